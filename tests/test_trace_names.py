"""Names, statements and what lies in dicts and lists: the tables that everything else stands on."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from backproof.tracing.names import OUT, Meaning, canonical, parse
from backproof.tracing.sightings import leaves, meaning_of
from backproof.tracing.statements import MISSING, statements, value_of

NAMES = {
    ("X", None): "X x x_batch X_train X_batch inputs images batch_x x_train X_mini train_images",
    (
        "Y",
        None,
    ): "Y y y_batch y_train labels targets one_hot_Y Y_onehot y_true train_labels y_one_hot t t_batch expected_output",
    ("W", None): "W w weights",
    ("W", 0): "syn0 W0 weights_0",
    (
        "W",
        1,
    ): "W1 w1 W_1 weights1 weights_1 theta1 Theta_1 wih weights_input_hidden hidden_weights W_h wh w_in fc1_weight",
    ("W", OUT): "who weights_hidden_output output_weights W_out wout W_o",
    ("b", 2): "b2 B2 b_2 bias2 biases_2 l2_bias",
    ("b", 1): "bh bias_hidden b_h hidden_bias",
    ("b", OUT): "bout bias_output b_o output_bias",
    ("Z", 1): "z1 Z1 z_1 net1 hidden_input hidden_inputs hidden_layer_input hidden_layer_input1 net_h z_hidden",
    ("Z", OUT): "scores logits ZL final_inputs output_layer_input z_out",
    ("A", 0): "a0 A0 l0 layer_0",
    ("A", 1): "a1 A1 h1 l1 layer_1 hidden hidden_layer hidden_output hiddenlayer_activations out1 o1 a_h act1",
    ("A", OUT): "y_hat yhat probs AL A_L output out final_outputs y_pred predictions output_layer_activations",
    ("dZ", 2): "dZ2 dz2 d_z2 dZ_2 delta2 delta_2 l2_delta grad_z2 d2 dL_dZ2",
    ("dZ", OUT): "dscores dlogits dZL delta_out delta_o output_delta d_scores",
    ("dA", 1): "dA1 da1 d_a1 grad_a1",
    ("dA", OUT): "dAL dA_L d_probs",
    ("dH", 1): "dhidden dh1 d_hidden_layer hidden_error hidden_errors l1_error error1 Error_at_hidden_layer",
    ("dH", OUT): "d_output output_error output_errors",
    ("dW", 1): "dW1 dw1 grad_W1 nabla_w1 d_w1 dL_dW1 dJdW1 W1_grad gradW1 d_weights1 grad_weights_1 dwh",
    ("dW", None): "dW nabla_w delta_nabla_w dweights weights_gradient grad_w",
    ("db", 1): "db1 d_b1 grad_b1 nabla_b1 b1_grad dbias1",
    ("in", None): "A_prev a_prev",
    ("in_grad", None): "dA_prev dinputs input_gradient dX",
    ("out_grad", None): "dvalues output_gradient grad_output dout",
    ("loss", None): "loss cost J train_loss loss_value",
    ("learning_rate", None): "lr alpha learning_rate eta step_size learningRate",
    ("state", None): "vW1 v_dW1 m_dW1 velocity_W1 momentum vdb1",
}
"""(kind, number) -> names that mean it."""
NOTHING = "X_test y_test x_val np self i epoch m delta_w1 W_new best_acc exp_scores e mask X_dev val_loss accuracy beta"


@pytest.mark.parametrize(("kind", "number", "name"), [(*key, n) for key, names in NAMES.items() for n in names.split()])
def test_a_name_means(kind, number, name):
    assert parse(name) == Meaning(kind, number)


@pytest.mark.parametrize("name", NOTHING.split())
def test_a_name_means_nothing(name):
    assert parse(name) is None


@pytest.mark.parametrize(
    ("label", "kind", "number"),
    [
        ("self.W1", "W", 1),
        ("self.model.W1", "W", 1),
        ('grads["dW1"]', "dW", 1),
        ('grads["W1"]', "dW", 1),
        ('self.gradients["b2"]', "db", 2),
        ('self.v["W1"]', "state", 1),
        ('cache["A_prev"]', "in", None),
        ('params[0]["W"]', "W", None),
    ],
)
def test_a_source_text_means(label, kind, number):
    assert meaning_of(label) == Meaning(kind, number)


@pytest.mark.parametrize("label", ["weights[0]", "f(W1)", "W1.shape", "x + W1"])
def test_no_other_source_text_means_anything(label):
    assert meaning_of(label) is None


@pytest.mark.parametrize("key", ["X", "Y", "loss", "learning_rate", "W1", "dA12", "db3", "W"])
def test_a_key_is_canonical(key):
    assert canonical(key) is not None


@pytest.mark.parametrize("key", ["", "W0", "dX1", "W1_next", "hidden", "X1", "W01"])
def test_a_key_is_none(key):
    assert canonical(key) is None


def found_in(label, value):
    return {
        f.label: (f.meaning.kind, f.meaning.number, f.family) for f in leaves(label, value, meaning_of) if f.meaning
    }


ONE = np.ones((2, 3))
BIAS = np.ones(3)


@pytest.mark.parametrize(
    ("label", "value", "expected"),
    [
        ("W1", ONE, {"W1": ("W", 1, "")}),
        ("grads", {"dW1": ONE, "note": "x"}, {'grads["dW1"]': ("dW", 1, "")}),
        ("weights", [ONE, ONE], {"weights[0]": ("W", 1, "weights[]"), "weights[1]": ("W", 2, "weights[]")}),
        ("params", [{"W": ONE}], {'params[0]["W"]': ("W", 1, "params[]")}),
        ("params", {"W": [ONE]}, {'params["W"][0]': ("W", 1, 'params["W"][]')}),
        ("params", [(ONE, BIAS)], {"params[0][0]": ("W", 1, "params[]"), "params[0][1]": ("b", 1, "params[]")}),
        ("grads", [(ONE, BIAS)], {"grads[0][0]": ("dW", 1, "grads[]"), "grads[0][1]": ("db", 1, "grads[]")}),
        ("W", np.array([ONE, np.ones((3, 4))], dtype=object), {"W[0]": ("W", 1, "W[]"), "W[1]": ("W", 2, "W[]")}),
        ("loss", 0.5, {"loss": ("loss", None, "")}),
        ("loss", 3, {}),
        ("W1", "text", {}),
        ("W1", np.array(["a"]), {}),
        ("W1", None, {}),
        ("training_data", [(ONE, BIAS)] * 1000, {}),
    ],
)  # fmt: skip
def test_what_lies_in_a_value(label, value, expected):
    assert found_in(label, value) == expected


def test_a_dict_that_holds_itself():
    endless: dict[str, object] = {}
    endless["endless"] = endless
    assert found_in("endless", endless) == {}


SOURCE = """\
W1, (b1, *rest) = f()
grads["dW1"][0] = 1
self.W -= lr * self.dW
zs.append(z)
Z = (a +
     b)
for x, y in data:
    pass
np.dot(a, b, out=Z)
x = 1; y = 2
if (n := g()) > 1:
    q = n
def f(a):
    return a
print(2)
"""


def targets(tmp_path):
    path = tmp_path / "source.py"
    path.write_text(SOURCE, encoding="utf-8")
    return {line: [(t.label, t.in_place) for t in s.targets] for line, s in statements(str(path)).items()}


def test_statements(tmp_path):
    found = targets(tmp_path)
    assert found[1] == [("W1", False), ("b1", False), ("rest", False)]
    assert found[2] == [("grads['dW1'][0]", True), ("grads['dW1']", True), ("grads", True)]
    assert found[3] == [("self.W", True)]
    assert found[4][:1] == [("zs", True)]
    assert found[5] == found[6] == [("Z", False)]
    assert found[7] == [("x", False), ("y", False)]
    assert ("Z", True) in found[9] and ("a", True) in found[9]
    assert found[10] == [("x", False), ("y", False)]
    assert found[12] == [("q", False)]
    assert found[14] == found[8] == []


class Trap:
    """An object whose properties must not be called."""

    def __init__(self):
        self.held = 7

    @property
    def property(self):
        raise AssertionError("called")

    def __getattr__(self, name):
        raise AssertionError("called")


def test_values_are_read_without_running_code():
    import sys

    frame = sys._getframe()
    names = {"t": Trap(), "d": {"a": [1, 2]}, "i": 1, "n": np.ones(3)}

    def value(text):
        return value_of(ast.parse(text, mode="eval").body, frame, names)

    assert value("t.held") == 7 and value("d['a'][i]") == 2 and value("d['a'][-i]") == 2 and value("d['a'][i - 1]") == 1
    for text in ("t.property", "t.missing", "d['b']['c']", "d['a'][5]", "n[0]", "f(1)", "nowhere", "t[0]", "i + 'a'"):
        assert value(text) in (MISSING, None), text
