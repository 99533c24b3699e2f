"""What the configured modules leave is checked before it is believed, and what they raise is one line."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from backproof.errors import BackproofError
from backproof.recording import Recording
from backproof.runs import GuardedReference, source_of, steps_of
from backproof.training import Step
from backproof.verify import verify_network
from reference import network as reference
from tests.cli_support import call, enter, faulty, project, summary_of
from tests.support import BY_NAME, training

GIVEN = training(BY_NAME["five_layer"], 9, batches=(None, None, None))


def guarded(change):
    """The reference with its steps put through ``change``."""

    def record(given, summation="default"):
        return change(list(reference.record(given, summation)))

    parts = {name: getattr(reference, name) for name in ("train", "versions", "threads", "initial_parameters")}
    return GuardedReference(SimpleNamespace(record=record, **parts))


def test_an_honest_reference_passes_through():
    assert len(list(guarded(lambda steps: steps).record(GIVEN))) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda steps: steps[:-1], "left 2 steps of five_layer, not 3"),
        (lambda steps: [*steps, steps[-1]], "more than 3 steps"),
        (lambda steps: [None, *steps], r"left 0 steps"),
        (lambda steps: ["step"], "in step 0 of five_layer a str"),
        (lambda steps: 1 / 0, "raised ZeroDivisionError"),
        (lambda steps: [replace(steps[0], tensors={"W1": GIVEN.parameters["W1"]})], "nothing for b1"),
        (
            lambda steps: [replace(s, tensors={k: v.astype("float64") for k, v in s.tensors.items()}) for s in steps],
            "float64",
        ),
    ],
)
def test_a_reference_that_breaks_its_contract_is_refused(change, said):
    with pytest.raises(BackproofError, match=said):
        list(guarded(change).record(GIVEN))


def test_a_reference_that_ends_early_leaves_no_step_unjudged():
    """A wrong last step must not slip through because the reference has no such step."""

    def wrong(given):
        *good, last = reference.record(given)
        yield from good
        yield replace(last, tensors={**last.tensors, "db1": last.tensors["db1"] + 1})

    facts = verify_network(GIVEN, {"mine": SimpleNamespace(record=wrong)}, guarded(lambda steps: steps[:2]))
    assert [f["step"] for f in facts["implementations"]["mine"]["findings"]] == [2] * 3  # equation, update, agreement
    with pytest.raises(BackproofError, match="the reference left 0 steps of five_layer, not 1"):
        verify_network(GIVEN, {"mine": reference}, guarded(lambda steps: []))


def test_a_reference_without_summation_is_told_so():
    module = SimpleNamespace(record=lambda training: iter(()))
    with pytest.raises(BackproofError, match="raised TypeError"):
        list(GuardedReference(module).record(GIVEN))


@pytest.mark.parametrize(
    "step",
    [
        "no step",
        Step(np.int64(0), None, {}),
        Step(0, np.array([0.5]), {}),
        Step(0, None, {3: np.zeros(1)}),
        Step(0, None, {"W1": [1.0]}),
        Step(0, None, {"W1": np.ma.masked_array([1.0])}),
        Step(0, None, {"W1": np.array([object()])}),
    ],
)
def test_what_is_no_step_is_refused(step):
    with pytest.raises(BackproofError, match="'mine' left in step 0 of five_layer"):
        list(steps_of("mine", SimpleNamespace(record=lambda training: iter([step])), GIVEN))


@pytest.mark.parametrize(("versions", "threads"), [(None, 1), ({"numpy": np}, 1), ({"numpy": "2"}, "two")])
def test_what_is_no_source_is_refused(versions, threads):
    with pytest.raises(BackproofError, match="must return"):
        source_of("mine", SimpleNamespace(versions=lambda: versions, threads=lambda: threads))


def speaking(**more):
    return SimpleNamespace(versions=lambda: {"numpy": "2"}, threads=lambda: 1, **more)


def test_the_device_is_the_cpu_unless_the_module_says_another():
    assert source_of("mine", speaking()).device == "cpu"
    assert source_of("mine", speaking(device=lambda: "gpu (a kind)")).device == "gpu (a kind)"


@pytest.mark.parametrize("device", [lambda: None, lambda: "", lambda: 0, "cuda"])
def test_what_is_no_device_is_refused(device):
    with pytest.raises(BackproofError, match=r"device\(\) must return a name|asked for .* device: 'str' object is not"):
        source_of("mine", speaking(device=device))


def test_the_device_is_recorded_and_shown(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, faulty("") + "def device(): return 'abacus 7'\n"), monkeypatch)
    assert call(capsys, "verify", "--samples", 12, "--steps", 1, "--keep-recordings").code == 0
    assert summary_of(tmp_path / "reports")["environment"]["implementations"]["mine"]["device"] == "abacus 7"
    (row,) = [line for line in (tmp_path / "reports" / "README.md").read_text().splitlines() if "abacus" in line]
    assert [cell.strip() for cell in row.split("|")][1:4:2] == ["mine", "abacus 7"]
    recorded = tmp_path / "reports" / "recordings" / "small" / "mine"
    assert Recording(recorded).source.device == "abacus 7"
    assert ", abacus 7, " in call(capsys, "check", recorded).out


@pytest.mark.parametrize("parameters", [None, {"W1": [1.0]}, {"W1": np.full((2, 2), np.nan, "float32")}])
def test_initial_parameters_are_checked(parameters):
    module = SimpleNamespace(initial_parameters=lambda *_: parameters)
    with pytest.raises(BackproofError, match="initial"):
        GuardedReference(module).initial_parameters(BY_NAME["five_layer"], 0, "float32")
