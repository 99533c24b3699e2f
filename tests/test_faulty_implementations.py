"""``verify`` and ``record`` of implementations that are wrong: what is said first is the cause, where it is."""

from __future__ import annotations

import numpy as np
import pytest

from backproof.equations import equations
from backproof.network import Network
from tests.cli_support import call, enter, faulty, project, spawn, summary_of

NETWORK = Network("small", (784, 5, 4, 10), ("relu", "tanh", "softmax"))
RUN = ("verify", "--samples", 20, "--steps", 3)
AT_STEP_1 = """\
if step.index == 1:
    {}
"""
CORRUPT = """\
if step.index == 1:
    array = tensors["{target}"] = tensors["{target}"].copy()
    array[np.unravel_index(np.abs(array).argmax(), array.shape)] *= 1.5
"""


@pytest.fixture
def verify_faulty(tmp_path, capsys, monkeypatch):
    """Verify a project whose implementation has the fault; its outcome, and its findings."""

    def verify(code, *options):
        enter(project(tmp_path, code), monkeypatch)
        outcome = call(capsys, *RUN, *options)
        done = (tmp_path / "reports" / "summary.json").exists()
        facts = summary_of(tmp_path / "reports")["networks"]["small"]["implementations"]["mine"] if done else None
        return outcome, facts and facts["findings"]

    return verify


@pytest.mark.parametrize("equation", equations(NETWORK), ids=lambda equation: equation.target)
def test_one_wrong_number(verify_faulty, equation):
    outcome, findings = verify_faulty(faulty(CORRUPT.format(target=equation.target)))
    first = findings[0]
    assert outcome.code == 1 and outcome.err == ""
    assert (first["step"], first["layer"], first["quantity"]) == (1, equation.layer, equation.target)
    assert (first["kind"], first["verdict"]) == ("equation", "bug")
    assert f"small by mine, step 1, layer {equation.layer}, {equation.target}: " in outcome.out


FAULTS = {
    "forgets a quantity": ('del tensors["dZ2"]', (1, 2, "dZ2", "missing"), "dZ2 is missing"),
    "leaves a transpose": ('tensors["dW2"] = tensors["dW2"].T', (1, 2, "dW2", "shape"), "it is the transpose"),
    "leaves another dtype": (
        'tensors["A1"] = tensors["A1"].astype(np.float64)', (1, 1, "A1", "dtype"), "A1 is float64, the run is float32",
    ),
    "leaves NaN": (
        'tensors["dA1"] = np.where(np.arange(20) == 7, np.float32("nan"), tensors["dA1"])',
        (1, 1, "dA1", "non-finite"), "nan at (0, 7)",
    ),
    "leaves infinity": (
        'tensors["loss"] = np.asarray(np.float32("inf"))', (1, 3, "loss", "non-finite"), "inf",
    ),
    "leaves more": ('tensors["dA3"] = tensors["dZ3"]', (1, 3, "dA3", "unexpected"), "not a quantity of small"),
    "leaves odd names": ('tensors["<b>|`x"] = tensors["dZ3"]', (1, 0, "<b>|`x", "unexpected"), "not a quantity"),
    "leaves nothing": ("tensors.clear()", (1, 1, "W1", "missing"), "W1 is missing"),
    "stops early": ("return", (1, 0, "steps", "missing"), "1 steps were left, 3 were asked for"),
    "jumps": ("step = Step(2, None, tensors)", (2, 0, "parameters", "continuity"), "step 2 follows step 0"),
    "takes other samples": (
        "samples = np.arange(1, 20)", (1, 0, "samples", "samples"), "other samples than it was given",
    ),
    "names samples that are not there": (
        "samples = np.array([20])", (1, 0, "samples", "samples"), "other samples than it was given",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_structure(verify_faulty, fault):
    line, where, said = FAULTS[fault]
    outcome, findings = verify_faulty(faulty(AT_STEP_1.format(line)))
    first = findings[0]
    assert outcome.code == 1 and outcome.err == ""
    assert (first["step"], first["layer"], first["quantity"], first["kind"]) == where
    assert said in first["message"] and first["message"] in outcome.out


def test_starts_elsewhere(verify_faulty):
    """One unit in the last place is enough, whatever the equations say of it."""
    line = 'tensors["b2"] = np.nextafter(tensors["b2"], np.float32(1))'
    outcome, findings = verify_faulty(faulty(AT_STEP_1.format(line)))
    assert outcome.code == 1
    found = [(finding["step"], finding["message"]) for finding in findings if finding["kind"] == "continuity"]
    assert found == [(1, "b2 at the start of step 1 is not what step 0 left")]


def test_no_step_at_all(verify_faulty):
    outcome, findings = verify_faulty(faulty("return"))
    assert outcome.code == 1
    assert [finding["message"] for finding in findings] == [
        "0 steps were left, 3 were asked for", "no equation could be checked",
    ]  # fmt: skip


ENDLESS = (
    faulty("")
    + """
    while True:
        yield step
"""
)


def test_too_many_steps(verify_faulty):
    outcome, findings = verify_faulty(ENDLESS)
    assert outcome.code == 1
    assert [(finding["step"], finding["kind"], finding["message"]) for finding in findings] == [
        (3, "surplus", "more than 3 steps were left, 3 were asked for")
    ]


def test_mini_batches_in_another_order(verify_faulty):
    """The equations of every step hold; they are those of other samples."""
    code = faulty("").replace("honest(training)", "honest(replace(training, batches=training.batches[::-1]))")
    outcome, findings = verify_faulty("from dataclasses import replace\n" + code, "--batch-size", 5)
    assert outcome.code == 1
    assert (findings[0]["step"], findings[0]["quantity"]) == (0, "samples")


def test_all_samples_by_their_indices(verify_faulty):
    outcome, findings = verify_faulty(faulty("samples = np.arange(20)"))
    assert outcome.code == 0 and findings == []


ABORTS = {
    "raises": (
        'raise ValueError("no luck\\n  at all")',
        ("'mine'", "ValueError", "step 1 of small", "no luck", ".py:9"),
    ),
    "divides by zero": ("1 // 0", ("'mine'", "ZeroDivisionError", "step 1 of small")),
    "ends the process": ("raise SystemExit(0)", ("'mine'", "SystemExit", "step 1 of small")),
    "writes into X": ("training.X[0, 0] = 1", ("'mine'", "step 1 of small", "read-only")),
    "writes into weights": ('training.parameters["W1"][0] += 1', ("'mine'", "step 1 of small", "read-only")),
    "makes X writeable": ("training.X.flags.writeable = True; training.X[0] = 1", ("small", "changed the data")),
    "leaves a list": ('tensors["Z2"] = tensors["Z2"].tolist()', ("'mine'", "step 1 of small", "Z2 as a list", "NumPy")),
    "leaves a float": ('tensors["loss"] = 0.5', ("'mine'", "step 1 of small", "loss as a float")),
    "leaves no step": ("step = yield tensors", ("'mine'", "step 1 of small", "a dict", "Step")),
}


@pytest.mark.parametrize("fault", ABORTS)
def test_no_verdict_without_a_whole_run(verify_faulty, fault):
    line, words = ABORTS[fault]
    outcome, findings = verify_faulty(faulty(AT_STEP_1.format(line)))
    outcome.refused(*words)
    assert findings is None


def test_no_traceback(tmp_path):
    """The same through a process of its own: exit code 2, one line, no traceback."""
    line, words = ABORTS["raises"]
    project(tmp_path, faulty(AT_STEP_1.format(line)))
    spawn(*RUN, cwd=tmp_path).refused(*words)
    assert not (tmp_path / "reports" / "summary.json").exists()


@pytest.mark.parametrize(
    ("code", "said"), [(faulty(AT_STEP_1.format("return")), "left 1 steps"), (ENDLESS, "more than 3")]
)
def test_record_refuses_another_number_of_steps(tmp_path, capsys, monkeypatch, code, said):
    enter(project(tmp_path, code), monkeypatch)
    options = ("--implementation", "mine", *RUN[1:], "--output", "r")
    call(capsys, "record", "small", *options).refused("'mine'", said, "small", "incomplete")
    call(capsys, "check", "r").refused("r", "incomplete", "record anew")


def test_training_that_overflows(tmp_path):
    """A learning rate of 1e38 is no bug of the equations, but nothing about it is within rounding."""
    table = 'networks.wild = { sizes = [784, 6, 10], activations = ["relu", "softmax"], learning_rate = 1e38 }'
    outcome = spawn(*RUN, cwd=project(tmp_path, networks=table))
    assert outcome.code == 1 and outcome.err == "", outcome.err
    run = summary_of(tmp_path / "reports")["networks"]["wild"]["implementations"]["mine"]
    assert run["findings"][0]["kind"] == "overflow" and np.isfinite(run["losses"]).all()
