"""From a script to the name of its mistake: correct ones are rounding, a planted mistake is found where it is."""

from __future__ import annotations

import json

import pytest

from tests.cli_support import spawn
from tests.tracing_support import SCRIPTS, STYLES, variant


@pytest.mark.parametrize("style", STYLES)
def test_a_correct_script_is_rounding(style):
    outcome = spawn("trace", SCRIPTS / f"{style}.py")
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[-1] == f"{style}.py: rounding (3 steps judged)"


SQUARE = [
    ("5, 57)", "7, 57)"),
    ("W2 = np.random.rand(5, 7)", "W2 = np.random.rand(7, 7)"),
    ("rand(5, 1)", "rand(7, 1)"),
]
"""Changes that give plain_functions as many classes as hidden units."""
MISTAKES = {
    "mask missing, columns": ("plain_functions", "dZ1", "mask-missing", [(" * ReLU_deriv(Z1)", "")]),
    "mask missing, layer objects": (
        "layer_objects",
        "dZ2",
        "mask-missing",
        [("        self.dinputs[self.inputs <= 0] = 0\n", "")],
    ),
    "mask missing, lists": ("weight_lists", "dZ2", "mask-missing", [(" * (self.z[i - 1] > 0)", "")]),
    "mask missing, in place": (
        "one_function",
        "dZ1",
        "mask-missing",
        [("        dhidden[hidden_layer <= 0] = 0\n", "")],
    ),
    "another derivative": (
        "while_loop",
        "dZ1",
        "derivative-of-wrong-form",
        [("(1 - hidden_output**2)", "hidden_output * (1 - hidden_output)")],
    ),
    "db a scalar": (
        "plain_functions",
        "db2",
        "summed-over-everything",
        [("np.sum(dZ2, axis=1, keepdims=True)", "np.sum(dZ2)")],
    ),
    "1/m twice": ("one_class", "dW1", "factor", [('self.cache["X"].T @ dz1', 'self.cache["X"].T @ dz1 / m')]),
    "1/m in one layer only": (
        "course_dicts",
        "dW1",
        "factor",
        [
            (
                "    dW = 1.0 / m * np.dot(dZ, A_prev.T)",
                "    dW = (1.0 / m if W.shape[0] < 8 else 1.0) * np.dot(dZ, A_prev.T)",
            )
        ],
    ),
    "W not transposed": ("plain_functions", "dZ1", "", [*SQUARE, ("W2.T.dot(dZ2)", "W2.dot(dZ2)")]),
    "sign of the update": ("one_class", "W1_next", "sign", [("self.W1 -= ", "self.W1 += ")]),
    "a parameter that is not updated": (
        "plain_functions",
        "b1_next",
        "not-updated",
        [("    b1 = b1 - alpha * db1\n", "")],
    ),
    "softmax over the samples": (
        "one_class",
        "A2",
        "softmax-over-samples",
        [("z.max(axis=1, keepdims=True)", "z.max(axis=0)"), ("e.sum(axis=1, keepdims=True)", "e.sum(axis=0)")],
    ),
    "bias subtracted": (
        "while_loop",
        "Z1",
        "bias-subtracted",
        [("weights_input_hidden) + bias", "weights_input_hidden) - bias")],
    ),
    "Z for A in dW": (
        "while_loop",
        "dW2",
        "input-not-activated",
        [("hidden_output.T.dot(output_delta)", "hidden_input.T.dot(output_delta)")],
    ),
    "one delta for all samples": ("per_sample_lists", "dZ2", "", [("delta) * sp\n", "delta) * z\n")]),
}
"""Mistake -> script, equation, name of the best explanation (none: where a name would need the dA that is absent)."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_named(tmp_path, mistake):
    style, key, name, changes = MISTAKES[mistake]
    script = variant(tmp_path, style, *changes)
    outcome = spawn("trace", "--json", tmp_path / "out.json", script)
    assert outcome.code == 1, outcome.out + outcome.err
    steps = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["steps"]
    for step in steps:
        first, *_ = step["result"]["failures"]
        assert first["equation"] == key, (mistake, first)
        named = [explanation["name"] for explanation in first["explanations"]]
        assert not name or named[0].startswith(name), (mistake, named)
    line = steps[0]["found"][key]["place"]
    assert not line or line in outcome.out


def test_errors_propagated_without_the_derivative(tmp_path):
    """A well-known network hands its output's error down as it is; and its errors are Y − A."""
    change = (
        "hidden_errors = numpy.dot(self.who.T, output_deltas)",
        "hidden_errors = numpy.dot(self.who.T, output_errors)",
    )
    inline = (
        "numpy.dot(output_deltas, numpy.transpose(hidden_outputs))",
        "numpy.dot((output_errors * final_outputs * (1.0 - final_outputs)), numpy.transpose(hidden_outputs))",
    )
    gone = ("        output_deltas = output_errors * final_outputs * (1.0 - final_outputs)\n", "")
    kept = ('        keep(f"{number}-minus-dZ2", output_deltas)\n', "")
    script = variant(tmp_path, "query_network", change, inline, kept, gone)
    # Read as binary cross-entropy it would be the update of W2 that is wrong: as many equations.
    outcome = spawn("trace", "--loss", "mse", "--json", tmp_path / "out.json", script)
    assert outcome.code == 1 and "all are read with a minus" in outcome.out
    for step in json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["steps"]:
        assert step["result"]["failures"][0]["equation"] == "dA1"


RETURN = "        return input_gradient"


def test_updated_weights_in_the_backward_pass(tmp_path):
    """The layer learns before it hands its gradient down."""
    early = ("        input_gradient = np.dot(self.weights.T, output_gradient)\n", "")
    late = (
        "        return input_gradient",
        "        input_gradient = np.dot(self.weights.T, output_gradient)\n        return input_gradient",
    )
    outcome = spawn("trace", "--json", tmp_path / "out.json", variant(tmp_path, "sample_layers", early, late))
    assert outcome.code == 1
    for step in json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["steps"]:
        (failure,) = step["result"]["failures"]
        assert failure["equation"] == "dA1" and failure["explanations"][0]["name"].startswith("weights-updated")


def test_gradients_that_are_never_reset(tmp_path):
    """Each step adds to what the step before left; the first is right."""
    started = (
        "        self.biases = 0.1 * np.random.randn(1, n_neurons)\n",
        "        self.biases = 0.1 * np.random.randn(1, n_neurons)\n"
        "        self.dweights, self.dbiases = np.zeros_like(self.weights), np.zeros_like(self.biases)\n",
    )
    weights, biases = ("self.dweights = ", "self.dweights += "), ("self.dbiases = ", "self.dbiases += ")
    script = variant(tmp_path, "layer_objects", weights, biases, started)
    outcome = spawn("trace", "--json", tmp_path / "out.json", script)
    assert outcome.code == 1
    first, *later = [s["result"] for s in json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["steps"]]
    assert first["verdict"] == "rounding" and len(later) == 2
    gradients = [f"d{kind}{n}" for n in (3, 2, 1) for kind in "Wb"]
    for result in later:
        assert [failure["equation"] for failure in result["failures"]] == gradients
        assert {failure["explanations"][0]["name"] for failure in result["failures"]} == {"accumulated"}
    assert "dW3 was not reset: it is this step's gradient plus the dW3 of the step before" in outcome.out
