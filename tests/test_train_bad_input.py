"""``backproof train`` with what it cannot use, or ended in the middle: nothing wrong passes, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.cli import main
from backproof.errors import BackproofError
from backproof.long_run import report
from backproof.long_run.together import train_together
from backproof.recording import Recording, RecordingWriter
from backproof.training import Step, Training
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import IMPLEMENTATIONS, implementation
from tests.test_long_run import NETWORK, fake, long

Change = Callable[[dict[str, Any]], object]


def changed(index: int, change: Change) -> Any:
    """The reference with the arrays of one step changed."""

    def steps(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            tensors = dict(step.tensors)
            if step.index == index:
                change(tensors)
            yield replace(step, tensors=tensors)

    return fake(steps)


def told(found: Any, mode: str = "sketch") -> str:
    facts = report.facts(found, mode, 1, dict.fromkeys(found.runs, 0.5), "training data")
    json.dumps(facts, allow_nan=False)
    return report.terminal(facts)


@pytest.mark.parametrize("name", ["Z1", "loss", "dW2", "A5", "W1_next"])
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("at", [5, 8, 9])
def test_what_is_not_finite_for_no_reason_is_a_bug_in_whatever_step_and_company(
    name: str, beside: bool, at: int
) -> None:
    mine = changed(at, lambda t: t.update({name: t[name] * np.float32(np.nan)}))
    found = train_together(long(steps=10), {"mine": mine} | ({"numpy": reference} if beside else {}), None)
    run = found.runs["mine"]
    assert not found.diverged and run.verdict is Verdict.BUG and run.certified == at
    assert (run.findings[0].step, run.findings[0].quantity) == (at, name)
    assert "\nBug: " in told(found)


@pytest.mark.parametrize("rate", [1e3, 1e6, 1e10, 1e15, 1e20, 1e30])
def test_growth_out_of_the_format_is_no_bug(rate: float) -> None:
    network = replace(NETWORK, learning_rate=rate)
    found = train_together(long(network, steps=30), {name: implementation(name) for name in IMPLEMENTATIONS}, None)
    assert found.verdict is Verdict.ROUNDING


def test_one_that_overflows_in_the_last_step_is_said() -> None:
    def large(tensors: dict[str, Any]) -> None:
        tensors["W1_next"] = tensors["W1_next"] * np.float32(1e38)

    def steps(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in changed(8, large).record(here):
            if step.index < 9:
                yield step
                last = step.tensors
        again = replace(here, parameters={name: last[f"{name}_next"] for name in here.parameters})
        (step,) = reference.record(replace(again, batches=here.batches[9:10], first=9))
        yield step

    found = train_together(long(steps=10), {"mine": fake(steps), "numpy": reference}, None)
    assert "mine left the finite numbers in the last steps; the others had not yet" in told(found)


@pytest.mark.parametrize("name", ["Z1", "loss", "W1", "W1_next", "b3_next", "dW2"])
@pytest.mark.parametrize("mode", ["sketch", "none"])
@pytest.mark.parametrize(
    "change",
    [lambda a: a.reshape(-1), lambda a: np.stack([a, a]), lambda a: a.astype(np.int32), lambda a: a[..., :0], None],
)
def test_a_step_of_another_structure_is_a_finding_and_no_crash(name: str, mode: str, change: Any) -> None:
    def wrong(tensors: dict[str, Any]) -> None:
        array = np.atleast_1d(tensors.pop(name))
        if change is not None:
            tensors[name] = change(array)

    found = train_together(long(steps=8), {"mine": changed(5, wrong)}, reference, mode)
    run = found.runs["mine"]
    assert run.steps == 8 and told(found, mode)
    if mode == "sketch":
        assert run.verdict is Verdict.BUG and {(f.step, f.quantity) for f in run.findings} >= {(5, name)}


def test_more_steps_than_were_asked_for_are_a_finding() -> None:
    def more(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            yield step
            last = step
        yield replace(last, index=last.index + 1)

    found = train_together(long(steps=4), {"mine": fake(more)}, None)
    assert found.verdict is Verdict.BUG and "more than the 4 steps" in told(found)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_ends_early_leaves_recordings_that_say_so(tmp_path: Path, error: type[BaseException]) -> None:
    def broken(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            if step.index == 3:
                raise error
            yield step

    found = train_together(long(steps=6), {"mine": fake(broken)}, None, recordings=tmp_path)
    assert found.runs["mine"].certified == 3
    assert json.loads((tmp_path / "mine" / "manifest.json").read_text())["complete"] is False
    assert main(["check", str(tmp_path / "mine")]) == 2
    assert main(["check", "--partial", str(tmp_path / "mine")]) == 0


def test_a_full_disk_keeps_what_was_certified(tmp_path: Path, monkeypatch: Any) -> None:
    write = RecordingWriter.write

    def full(self: RecordingWriter, step: Step) -> None:
        if step.index == 3:
            raise BackproofError("cannot write to here: No space left on device")
        write(self, step)

    monkeypatch.setattr(RecordingWriter, "write", full)
    found = train_together(long(steps=6), {"mine": reference}, None, recordings=tmp_path)
    assert found.runs["mine"].certified == 3 and "No space left" in str(found.error)
    assert "an implementation failed" not in told(found)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_judged_is_no_verdict(error: type[BaseException]) -> None:
    def broken(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        raise error
        yield from honest

    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else BackproofError):
        train_together(long(), {"mine": fake(broken)}, None)


def test_batches_that_all_share_cannot_be_changed_by_one() -> None:
    def greedy(here: Training, honest: Iterator[Step]) -> Iterator[Step]:
        for step in honest:
            yield step
            assert step.samples is not None
            step.samples[:] = 0

    found = train_together(long(steps=4), {"mine": fake(greedy), "numpy": reference}, None)
    assert "raised ValueError" in str(found.error) and found.runs["numpy"].certified == 1


SHORT = ["--implementation", "numpy", "--steps", "2", "--samples", "20"]


def test_a_learning_rate_beyond_the_format_is_refused(capsys: Any) -> None:
    assert main(["train", "two_layer", *SHORT, "--learning-rate", "1e39"]) == 2
    assert "a learning rate of 1e+39 is infinite in float32" in capsys.readouterr().err
    assert main(["train", "two_layer", *SHORT, "--learning-rate", "1e39", "--dtype", "float64"]) == 0


def test_a_folder_that_cannot_be_is_refused_before_the_training(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["train", "two_layer", *SHORT, "--output", str(tmp_path / "file")]) == 2
    said = capsys.readouterr()
    assert not said.out and "cannot write to" in said.err


def test_tables_of_several_networks_are_named(capsys: Any) -> None:
    assert main(["train", "two_layer", "binary_relu", *SHORT]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "two_layer" in said and "binary_relu" in said


def test_a_folder_without_a_test_set_is_judged_on_what_was_trained_on(tmp_path: Path, capsys: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28)).astype(np.uint8)
    header = np.array([0x803, 30, 28, 28], ">i4").tobytes(), np.array([0x801, 30], ">i4").tobytes()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header[0] + images.tobytes())
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(header[1] + bytes(n % 10 for n in range(30)))
    assert main(["train", "two_layer", *SHORT, "--data", str(tmp_path)]) == 0
    assert "Accuracy is of the training data." in capsys.readouterr().out
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"broken")
    assert main(["train", "two_layer", *SHORT, "--data", str(tmp_path)]) == 2
    assert not capsys.readouterr().out  # before the training, and not after it


@pytest.mark.parametrize("option", ["--output", "--recordings"])
def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: Any, capsys: Any, option: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["train", "two_layer", *SHORT, option, ""])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and f"argument {option}: an empty name is no path" in said
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--epochs", "999999999"], "--epochs must be at most 9,765 of 1,024 steps each, not 999,999,999"),
        (["--epochs", "0"], "--epochs must be at least 1, not 0"),
        (["--steps", "999999999"], "--steps must be at most 10,000,000, not 999,999,999"),
        (["--steps", "0"], "--steps must be at least 1, not 0"),
        (["--epochs", "1", "--steps", "1"], "--epochs and --steps both say how long; give one of them"),
        (["--batch-size", "0"], "--batch-size must be at least 1, not 0"),
        (["--batch-size", "-64"], "--batch-size must be at least 1, not -64"),
        (["--batch-size", "1798"], "--batch-size 1798 is above the 1797 samples there are"),
        (["--batch-size", "11", "--samples", "10"], "--batch-size 11 is above the 10 samples there are"),
        (["--check-every", "0"], "--check-every must be at least 1, not 0"),
        (["--learning-rate", "0"], "network 'two_layer': learning_rate must be positive, not 0.0"),
        (["--learning-rate", "nan"], "network 'two_layer': learning_rate must be positive, not nan"),
        (
            ["--optimizer", "lion"],
            "unknown optimizer 'lion'; choose from sgd, momentum, nesterov, adam, adamw, rmsprop",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_one_line_that_names_what_was_typed(
    capsys: Any, typed: list[str], said: str
) -> None:
    size = [] if "--batch-size" in typed else ["--samples", "1024", "--batch-size", "1"]
    assert main(["train", "two_layer", "--implementation", "numpy", *size, *typed]) == 2
    told = capsys.readouterr()
    assert told.err == f"backproof: error: {said}\n" and not told.out


def test_a_recording_that_a_divergence_cut_short_is_not_complete(tmp_path: Path) -> None:
    here = long(replace(NETWORK, learning_rate=1e20), steps=30)
    modules = dict.fromkeys(("one", "another"), reference)
    found = train_together(here, modules, None, recordings=tmp_path / "all")
    assert found.diverged and 0 < found.runs["one"].steps < 30
    wild = changed(3, lambda t: t.update(W1_next=t["W1_next"] * np.float32(np.nan)))
    apart = train_together(long(steps=10), {"mine": wild, "numpy": reference}, None, recordings=tmp_path / "one")
    assert (apart.runs["mine"].steps, apart.runs["numpy"].steps) == (4, 7)
    for folder in (*(tmp_path / "all").iterdir(), *(tmp_path / "one").iterdir()):
        with pytest.raises(BackproofError, match="interrupted and is incomplete"):
            Recording(folder)
    train_together(long(steps=10), {"mine": reference}, None, recordings=tmp_path / "whole")
    assert Recording(tmp_path / "whole" / "mine").steps_written == 10
