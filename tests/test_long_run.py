"""Long runs: honest ones end certified, whatever the dynamics, and a planted error is found at its step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backproof import data
from backproof.accuracy import accuracy
from backproof.cli import main
from backproof.errors import BackproofError
from backproof.flips import Flips
from backproof.long_run import report
from backproof.long_run.certifier import MODES, Certifier
from backproof.long_run.together import LongRun, train_together
from backproof.network import Network
from backproof.optimizer import Optimizer
from backproof.recording import RecordingWriter, Source
from backproof.settings import Settings, batches, prepare
from backproof.training import Step, Training
from backproof.trajectory import FreeStep
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import BY_NAME, IMPLEMENTATIONS, implementation, training

NETWORK = BY_NAME["five_layer"]
TANH = BY_NAME["binary_tanh"]


def long(network: Network = NETWORK, steps: int = 40, m: int = 100, size: int = 16, **options: Any) -> Training:
    return training(network, m, batches=batches(m, Settings(steps=steps, batch_size=size)), **options)


def fake(steps: Any) -> Any:
    """An implementation that leaves these steps, given those of the reference."""
    return SimpleNamespace(
        record=lambda here: steps(here, reference.record(here)),
        train=reference.train,
        versions=reference.versions,
        threads=reference.threads,
    )


def planted(index: int, name: str, factor: float) -> Any:
    """The reference with one array of one step multiplied by a factor, and what follows computed from it."""

    def steps(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            if step.index != index:
                yield step
                continue
            tensors = dict(step.tensors)
            tensors[name] = tensors[name] * np.float32(factor)
            yield replace(step, tensors=tensors)

    return fake(steps)


@pytest.mark.parametrize("mode", MODES)
def test_honest_implementations_end_certified(mode: str) -> None:
    here = long()
    modules = {name: implementation(name) for name in IMPLEMENTATIONS}
    found = train_together(here, modules, reference, mode)
    assert found.verdict is Verdict.ROUNDING and not found.stopped
    for run in found.runs.values():
        assert run.steps == 40 and len(run.distances) == 40 and not run.findings
        assert (run.certified, run.unchecked) == ((0, 40) if mode == "none" else (40, 0))
    said = "\n".join(report.sentences(report.facts(found, mode, 1, dict.fromkeys(found.runs, 1.0), "training data")))
    assert said.startswith("Nothing was checked but" if mode == "none" else "Certified: 120 of 120 steps")


def test_every_nth_step_is_checked_and_the_others_are_said() -> None:
    found = train_together(long(steps=10), {"numpy": reference}, None, every=4)
    run = found.runs["numpy"]
    assert (run.certified, run.unchecked, run.steps) == (3, 7, 10) and not run.distances
    assert "(7 were not checked)" in report.sentences(report.facts(found, "sketch", 4, {"numpy": 1.0}, "x"))[0]


@pytest.mark.parametrize("mode", ["sketch", "dense"])
@pytest.mark.parametrize("name", ["dW1", "dW3", "dW5"])
def test_an_error_of_1e_5_in_one_gradient_of_one_step_is_found_at_that_step(name: str, mode: str) -> None:
    found = train_together(long(size=64, m=200), {"mine": planted(17, name, 1 + 1e-5)}, reference, mode)
    run = found.runs["mine"]
    assert run.verdict > Verdict.ROUNDING
    assert (run.findings[0].step, run.findings[0].quantity) == (17, name)


def test_an_error_in_the_step_after_continuity_is_found() -> None:
    found = train_together(long(), {"mine": planted(5, "W2", 1 + 1e-5)}, None)
    first = found.runs["mine"].findings[0]
    assert str(first).startswith("step 5, parameters: W2 at the start of step 5")


def test_what_an_optimizer_keeps_must_begin_where_it_ended() -> None:
    """A velocity that was changed between two steps: every equation of either step holds."""

    def moved(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        network, start = here.network, here.start
        for index, batch in enumerate(here.batches):
            if index == 5:
                start = {**start, "vW1": start["vW1"] * np.float32(1.001)}
            (step,) = reference.record(here.at(index, start, batch))
            yield step
            start = {name: step.tensors[f"{name}_next"] for name in (*here.parameters, *network.state_shapes())}

    here = long(replace(NETWORK, optimizer=Optimizer("momentum")), steps=8)
    run = train_together(here, {"mine": fake(moved)}, None).runs["mine"]
    assert run.certified == 7
    assert [str(f) for f in run.findings] == ["step 5, parameters: vW1 at the start of step 5 is not what step 4 left"]


def test_an_unstable_run_ends_certified_and_its_flips_are_named() -> None:
    """Learning rate 0.5 on digits: the distance grows a thousandfold in a step, with no bug anywhere."""
    sizes, activations = (784, 32, 16, 16, 10), ("relu", "relu", "relu", "softmax")
    network = Network("unstable", sizes, activations, learning_rate=0.5)
    here = prepare(network, data.load("digits"), Settings(steps=130, batch_size=64), reference)
    found = train_together(here, {"numpy": reference}, reference)
    run = found.runs["numpy"]
    assert found.verdict is Verdict.ROUNDING and run.certified == 130
    first = run.flips.first[0]
    assert first.by_rounding and (first.value > 0) != (first.float64 > 0)
    assert run.distances[first.step - 1] < run.distances[-1] / 30


def at(distance: float, envelope: float = 1e-7, Z: float = 1.0, spread: float = 1e-7) -> tuple[Step, FreeStep]:
    """A step of tiny arrays, at a distance from the float64 run, and that run's."""
    network = BY_NAME["two_layer"]
    here = training(network, 4)
    (step,) = reference.record(here)
    after = {name: array.astype(np.float64) for name, array in step.tensors.items() if name.endswith("_next")}
    after = {name.removesuffix("_next"): array for name, array in after.items()}
    moved = step.tensors["b2_next"] + np.array([[distance], [0], [0], [0]], np.float32)
    step = replace(step, tensors={**step.tensors, "b2_next": moved})
    wide = step.tensors["Z1"].astype(np.float64)
    if Z != 1.0:
        wide = wide.copy()
        wide[0, 0] = -np.sign(wide[0, 0]) * Z
    return step, FreeStep(after, 1.0, envelope, 0.0, {"Z1": wide}, {"Z1": spread})


def certified(step: Step, free: FreeStep) -> Certifier:
    run = Certifier(training(BY_NAME["two_layer"], 4), "none")
    run.consume(step, free)
    return run


def test_a_distance_that_leaves_the_envelope_before_a_flip_fails() -> None:
    assert certified(*at(1e-6)).verdict is Verdict.ROUNDING
    outside = certified(*at(1e-3))
    assert outside.verdict is Verdict.BUG and outside.findings[0].quantity == "distance"


def test_after_a_flip_it_is_explained_but_only_by_one_that_rounding_explains() -> None:
    step, free = at(1e-3, Z=1e-9, spread=10.0)
    assert certified(step, free).verdict is Verdict.ROUNDING
    far = certified(*at(1e-3, Z=0.5, spread=1e-9))
    assert far.verdict is Verdict.SUSPECT and far.findings[0].quantity == "Z1"


def test_honest_formulas_that_an_optimizer_pulls_apart_are_explained_by_units_and_a_planted_error_is_not() -> None:
    """Adam divides by small roots: in float64 PyTorch ends 300 times the replicas' envelope from the float64 run."""
    network = replace(TANH, optimizer=Optimizer("adam"), learning_rate=0.1)
    here = long(network, steps=20, size=16, dtype="float64")
    found = train_together(here, {"torch": implementation("torch")}, reference)
    assert found.verdict is Verdict.ROUNDING
    off = train_together(here, {"mine": planted(3, "dW1", 1 + 1e-4)}, reference, "none").runs["mine"]
    assert off.verdict is Verdict.ROUNDING  # nothing follows from a gradient that is only recorded wrongly
    wrong = fake(lambda given, honest: reference.record(replace(given, network=replace(network, learning_rate=0.1001))))
    run = train_together(here, {"mine": wrong}, reference, "none").runs["mine"]
    assert run.verdict is Verdict.BUG and run.findings[0].quantity == "distance"


def test_flips_are_told_by_their_sample_in_the_data() -> None:
    step, free = at(0.0, Z=1e-9, spread=10.0)
    flips = Flips()
    flips.add(3, step.tensors, np.array([40, 41, 42, 43]), free)
    (flip,) = flips.first
    assert (flip.step, flip.layer, flip.unit, flip.sample, flips.count) == (3, 1, 0, 40, 1)
    assert str(flip).startswith("step 3, layer 1, unit 0, sample 40: Z = ")


def test_ctrl_c_ends_with_what_was_certified() -> None:
    def interrupted(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            if step.index == 7:
                raise KeyboardInterrupt
            yield step

    found = train_together(long(), {"mine": fake(interrupted)}, reference)
    assert found.stopped == "interrupted after 7 steps" and found.runs["mine"].certified == 7
    assert found.verdict is Verdict.ROUNDING and found.error is None


@pytest.mark.parametrize("ending", [RuntimeError("no"), None])
def test_an_implementation_that_fails_in_the_middle(ending: Exception | None) -> None:
    def broken(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            if step.index == 7:
                if ending is not None:
                    raise ending
                return
            yield step

    found = train_together(long(), {"mine": fake(broken), "numpy": reference}, None)
    assert isinstance(found.error, BackproofError) and found.runs["mine"].certified == 7
    assert ("raised RuntimeError in step 7" if ending else "left 7 steps") in str(found.error)


def test_a_training_that_overflows_everywhere_is_no_mismatch() -> None:
    here = long(replace(NETWORK, learning_rate=1e20), steps=60)
    found = train_together(here, {name: implementation(name) for name in IMPLEMENTATIONS}, reference)
    assert found.diverged and found.verdict is Verdict.ROUNDING
    assert "every implementation left the finite numbers, first in step " in found.stopped
    assert report.sentences(report.facts(found, "sketch", 1, dict.fromkeys(found.runs, 0.0), "x"))[0].startswith(
        "Diverged"
    )


@pytest.mark.parametrize("mode", ["none", "sketch"])
def test_what_is_not_finite_is_seen_in_steps_that_are_not_checked(mode: str) -> None:
    modules = {"mine": planted(9, "W2_next", np.nan), "numpy": reference}
    found = train_together(long(), modules, reference, mode, every=4)
    assert found.runs["mine"].verdict is Verdict.BUG and found.runs["numpy"].verdict is Verdict.ROUNDING
    assert found.runs["mine"].findings[0].quantity == "W2_next"
    wild = {name: implementation(name) for name in ("numpy", "torch")}
    assert train_together(long(replace(NETWORK, learning_rate=1e20)), wild, reference, mode, every=4).diverged


def test_one_that_overflows_alone_is_a_bug() -> None:
    found = train_together(long(), {"mine": planted(9, "dW2", np.inf), "numpy": reference}, None)
    run = found.runs["mine"]
    assert not found.diverged and run.verdict is Verdict.BUG and found.runs["numpy"].verdict is Verdict.ROUNDING
    assert run.findings[0].quantity == "dW2" and "its operands are finite" in run.findings[0].message


def test_wrong_samples_are_refused() -> None:
    def shuffled(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        return (replace(step, samples=step.samples[::-1].copy()) for step in honest if step.samples is not None)

    run = train_together(long(steps=3), {"mine": fake(shuffled)}, None).runs["mine"]
    assert run.verdict is Verdict.BUG and run.certified == 0 and run.findings[0].quantity == "samples"


@pytest.mark.parametrize("name", sorted(n.name for n in BY_NAME.values() if n.labels != "binary" or n.sizes[-1] == 1))
def test_accuracy_counts_what_the_reference_gets_right(name: str) -> None:
    network = BY_NAME[name]
    here = training(network, 60, dtype="float64")
    (step,) = reference.record(here)
    A, Y = step.tensors[f"A{network.depth}"], here.Y
    right = (
        (A > 0.5) == (Y > 0.5) if len(A) == 1 else A.argmax(0) == (Y[0] if network.labels == "integer" else Y.argmax(0))
    )
    assert accuracy(network, here.parameters, here.X, Y) == pytest.approx(np.mean(right))


def test_a_report_is_written_and_says_what_the_terminal_said(tmp_path: Any, monkeypatch: Any) -> None:
    found: LongRun = train_together(long(steps=5), {"mine": planted(2, "dW2", 1.01)}, reference)
    facts = report.facts(found, "sketch", 1, {"mine": 0.5}, "training data")
    path = report.write(tmp_path / "new", facts)
    page = path.read_text()
    assert path.name == "five_layer.html" and page.count("<svg") == 3
    assert "dW2 is not" not in page and facts["runs"]["mine"]["findings"][0]["message"][:30] in page
    assert report.terminal(facts) in path.with_suffix(".md").read_text()
    assert path.with_suffix(".json").exists()
    monkeypatch.setattr(report, "PAGE", ("a_package_that_nobody_has",))
    assert report.write(tmp_path / "plain", facts).name == "five_layer.md"


def test_a_page_of_somebody_else_is_not_replaced(tmp_path: Any) -> None:
    facts = report.facts(train_together(long(steps=2), {"mine": reference}, None), "sketch", 1)
    (tmp_path / "five_layer.html").write_text("mine")
    with pytest.raises(BackproofError, match="is no page of"):
        report.write(tmp_path, facts)
    assert (tmp_path / "five_layer.html").read_text() == "mine"


@pytest.mark.parametrize("change", [1.0, 1 + 1e-4])
def test_a_recording_is_certified_as_the_live_run_is(tmp_path: Any, capsys: Any, change: float) -> None:
    here = long(steps=6)
    with RecordingWriter(tmp_path / "run", here, Source("mine", {}, 1)) as writer:
        for step in planted(3, "dW2", change).record(here):
            writer.write(step)
    assert main(["check", str(tmp_path / "run"), "--check", "sketch"]) == int(change > 1)
    said = capsys.readouterr().out
    assert ("Certified: 6 of 6 steps" in said) == (change == 1)
    assert ("step 3, dW2" in said) == (change > 1)
