"""What is captured from scripts in the styles that people write: exactly the arrays that the script computed."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from tests.tracing_support import SCRIPTS, STYLES, kept, run, variant, written


@pytest.fixture(scope="module", params=STYLES)
def traced(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    steps, ending = run(SCRIPTS / f"{request.param}.py", str(folder))
    return request.param, steps, ending, folder


def test_a_style_is_captured_exactly(traced):
    style, steps, _, folder = traced
    assert len(steps) == 3
    for number, step in enumerate(steps):
        own = kept(folder, number)
        assert {"X"} < set(own), style
        for key, value in own.items():
            assert key in step.arrays, (style, number, key)
            assert step.arrays[key].shape == value.shape, (style, number, key)
            assert np.array_equal(step.arrays[key], value), (style, number, key)


def test_the_script_is_stopped(traced):
    _, _, ending, folder = traced
    assert ending.how == "enough"
    assert not list(folder.glob("4-*.npy"))


def test_a_step_ends_where_the_next_begins(traced):
    style, steps, _, _ = traced
    for before, after in pairwise(steps):
        for key in [key for key in before.arrays if key.endswith("_next")]:
            assert np.array_equal(before.arrays[key], after.arrays[key.removesuffix("_next")]), (style, key)


def test_a_place_is_the_line_that_made_the_array(traced):
    style, steps, _, _ = traced
    lines = (SCRIPTS / f"{style}.py").read_text(encoding="utf-8").splitlines()
    made = [key for key in steps[1].places if re.fullmatch(r"(Z|A|dZ|dW|db)\d", key)]
    assert made
    for key in made:
        file, _, line = steps[1].places[key].partition(":")
        assert file == f"{style}.py"
        # A statement that binds something: in some styles under a name of its own (delta, dhidden).
        assert re.search(r"[^=!<>]=[^=]|append\(|[-+*/]=", lines[int(line) - 1]), (key, lines[int(line) - 1])


PLACES = {
    "plain_functions": {"Z1": "Z1 = W1.dot(X) + b1", "dZ1": "dZ1 = W2.T.dot(dZ2)", "W1_next": "W1 = W1 - alpha * dW1"},
    "one_class": {"dW1": 'grads["dW1"] = self.cache', "W1_next": "self.W1 -= self.lr", "Z1": "z1 = X @ self.W1"},
    "layer_objects": {"dZ1": "[self.inputs <= 0] = 0", "dW3": "self.dweights = ", "dZ3": "self.dinputs / samples"},
    "one_function": {"dZ2": "dscores /= ", "dA1": "dhidden = np.dot", "dZ1": "dhidden[hidden_layer <= 0] = 0"},
    "per_sample_lists": {"Z1": "z = np.dot(w, activation) + b", "dZ2": "delta = np.dot(self.weights[-l + 1]"},
    "course_dicts": {"dZ3": "dZ = dA * s * (1 - s)", "dZ1": "dZ[Z <= 0] = 0", "A3": "A = 1 / (1 + np.exp(-Z))"},
    "weight_lists": {"Z1": "self.z.append(", "dW1": "self.dW[i] = ", "W2_next": "self.W[i] -= lr"},
}  # fmt: skip


@pytest.mark.parametrize("style", PLACES)
def test_the_line_of_each_style(style):
    (step, *_), _ = run(SCRIPTS / f"{style}.py", steps=1)
    lines = (SCRIPTS / f"{style}.py").read_text(encoding="utf-8").splitlines()
    for key, text in PLACES[style].items():
        assert text in lines[int(step.places[key].partition(":")[2]) - 1], key


RATES = {
    "plain_functions": 0.1, "layer_objects": 0.5, "one_class": 0.2, "per_sample_lists": 3.0, "course_dicts": 0.05,
    "one_function": 0.3, "while_loop": 0.5, "sample_layers": 0.1, "weight_lists": 0.1, "query_network": 0.2,
    "flat_module": None,
    "letters": 0.1, "vectors": 0.01, "rebound_inputs": 0.5,
}  # fmt: skip


def test_the_learning_rate_is_found(traced):
    style, steps, _, _ = traced
    assert [step.learning_rate for step in steps] == [RATES[style]] * 3


COMPLETE = {"course_dicts", "layer_objects", "one_class", "while_loop"}


def test_what_is_missing_is_said(traced):
    style, steps, _, _ = traced
    missing = set(steps[0].missing)
    assert not missing if style in COMPLETE else missing
    assert missing.isdisjoint(steps[0].arrays)


def test_the_script_does_what_it_does_alone(tmp_path):
    """Traced to its end it leaves the numbers that it leaves untraced."""
    text = "\nnp.save(sys.argv[1] + '/end.npy', np.concatenate([W1.ravel(), W2.ravel()]))\n"
    change = ("W1, b1, W2, b2 = gradient_descent(X_train, Y_train, 0.1, 50)", "import sys\nW1, b1, W2, b2 = "
              "gradient_descent(X_train, Y_train, 0.1, 4)" + text)  # fmt: skip
    script = variant(tmp_path, "plain_functions", change)
    import subprocess
    import sys

    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    alone = np.load(tmp_path / "end.npy")
    (tmp_path / "end.npy").unlink()
    _, ending = run(script, str(tmp_path), steps=50)
    assert ending.how == "ended"
    assert np.array_equal(np.load(tmp_path / "end.npy"), alone)


def test_several_files(tmp_path):
    """Modules beside the script are the script's own."""
    script = variant(tmp_path, "one_class")
    text = script.read_text(encoding="utf-8")
    head, marker, tail = text.partition("rng = np.random.default_rng(4)")
    (tmp_path / "model.py").write_text(head.replace('f"{step}-', 'f"0-'), encoding="utf-8")
    script.write_text("import numpy as np\nfrom keeping import keep\nfrom model import NeuralNetwork\n" + marker + tail)
    steps, ending = run(script, steps=2)
    assert len(steps) == 2 and ending.how == "enough"
    assert steps[0].places["Z1"].startswith("model.py:") and steps[0].places["X"].startswith("one_class.py:")


def test_names_of_ones_own(tmp_path):
    script = variant(tmp_path, "while_loop", ("hidden_input", "ping"), ("grad_bias_hidden", "pong"))
    (without, *_), _ = run(script, str(tmp_path), steps=1)
    assert "db1" not in without.arrays and "db1" in without.missing
    assert without.seen["Z1"].label == "ping" and "ping is Z1" in " ".join(without.notes)  # its value tells
    (step, *_), _ = run(script, str(tmp_path), steps=1, names={"ping": "Z1", "pong": "db1"})
    own = kept(tmp_path, 0)
    assert np.array_equal(step.arrays["Z1"], own["Z1"]) and np.allclose(step.arrays["db1"], own["dZ1"].sum(axis=0))
    assert step.seen["Z1"].label == "ping" and step.seen["db1"].label == "pong"


def test_a_delta_of_any_name_is_what_the_weights_move_along(tmp_path):
    script = variant(tmp_path, "while_loop", ("hidden_delta", "pong"))
    (step, *_), _ = run(script, str(tmp_path), steps=1)
    assert step.seen["dZ1"].label == "pong" and np.array_equal(step.arrays["dZ1"], kept(tmp_path, 0)["dZ1"])


def test_an_array_that_nothing_names_is_listed(tmp_path):
    script = variant(tmp_path, "while_loop", ("hidden_input", "ping"))
    _, ending = run(script, steps=1)
    assert ending.unnamed["ping"][1] == (30, 5)


def test_an_evaluation_between_is_no_step(tmp_path):
    """The same functions on other data, before, between and after: nothing of it is in a step."""
    change = ("        dW1, db1, dW2, db2 = backward_prop(", "        make_predictions(X_dev, W1, b1, W2, b2)\n"
              "        dW1, db1, dW2, db2 = backward_prop(")  # fmt: skip
    script = variant(tmp_path, "plain_functions", change)
    steps, _ = run(script, str(tmp_path))
    assert len(steps) == 3
    for number, step in enumerate(steps):
        for key, value in kept(tmp_path, number).items():
            assert np.array_equal(step.arrays[key], value), (number, key)


def test_forward_alone_is_no_step(tmp_path):
    steps, ending = run(
        written(tmp_path, "import numpy as np\nW1, b1, X = np.ones((3, 2)), np.ones((3, 1)), np.ones((2, 5))\n"
                "for i in range(4):\n    Z1 = W1 @ X + b1\n    A1 = np.tanh(Z1)\n")
    )  # fmt: skip
    assert steps == [] and ending.how == "ended"


def test_an_array_changed_in_place_later_is_what_it_was(tmp_path):
    script = variant(
        tmp_path, "plain_functions", ("    return np.maximum(Z, 0)", "    A = Z\n    A[A < 0] = 0\n    return A")
    )
    (step, *_), _ = run(script, steps=1)
    assert step.arrays["Z1"].min() < 0 <= step.arrays["A1"].min()
    line = script.read_text(encoding="utf-8").splitlines().index("    A[A < 0] = 0") + 1
    assert any(note.endswith(f"was changed in place at plain_functions.py:{line} (as A)") for note in step.notes)


def test_the_probe_of_a_numerical_gradient_is_no_update(tmp_path):
    probe = "        W1[0, 0] += 1e-5\n        forward_prop(W1, b1, W2, b2, X)\n        W1[0, 0] -= 1e-5\n"
    change = ("        W1, b1, W2, b2 = update_params(", probe + "        W1, b1, W2, b2 = update_params(")
    steps, _ = run(variant(tmp_path, "plain_functions", change), str(tmp_path))
    assert "W1_next" not in steps[0].arrays
    assert np.array_equal(steps[0].arrays["dW1"], kept(tmp_path, 0)["dW1"])


def test_an_optimizer_with_a_state_is_said(tmp_path):
    changes = [
        ("    for i in range(iterations):", "    v_W1 = 0 * W1\n    for i in range(iterations):"),
        (
            "        W1, b1, W2, b2 = update_params(",
            "        v_W1 = 0.9 * v_W1 + dW1\n        W1, b1, W2, b2 = update_params(",
        ),
        ("db2, alpha)\n        keep", "db2, alpha)\n        W1 = W1 - v_W1\n        keep"),
    ]
    steps, _ = run(variant(tmp_path, "plain_functions", *changes))
    assert len(steps) == 3 and not [key for key in steps[0].arrays if key.endswith("_next")]
    assert any("optimizer's state (v_W1)" in note for note in steps[0].notes)


def test_a_bias_gradient_that_is_one_number(tmp_path):
    script = variant(tmp_path, "plain_functions", ("np.sum(dZ2, axis=1, keepdims=True)", "np.sum(dZ2)"))
    (step, *_), _ = run(script, str(tmp_path), steps=1)
    assert step.arrays["db2"].shape == () and step.arrays["db2"] == kept(tmp_path, 0)["db2"]
