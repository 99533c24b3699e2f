"""Trains in several implementations at once and certifies every step; the float64 run and its replicas beside."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backproof.errors import BackproofError
from backproof.long_run.certifier import Certifier
from backproof.recording import RecordingWriter
from backproof.replicas import Replicas
from backproof.runs import same_samples, source_of, steps_of
from backproof.training import Implementation, Reference, Step, Training
from backproof.trajectory import FreeStep, free_run
from backproof.verdict import Verdict

GRACE = 3
"""Steps that the others may take to leave the finite numbers as well: rounding decides in which one it overflows."""


@dataclass
class LongRun:
    """What came of training in several implementations at once.

    Attributes:
        runs: one certifier for each implementation.
        envelope: of the replicas, and ``losses`` of the float64 run, step by step.
        stopped: why it ended early, in one sentence; empty where it did not.
        error: what an implementation raised.
        interrupted: whether Ctrl-C ended it.
        seconds: spent in each implementation, in checking, and in the float64 run and its replicas.
    """

    training: Training
    runs: dict[str, Certifier]
    envelope: array[float] = field(default_factory=lambda: array("d"))
    losses: array[float] = field(default_factory=lambda: array("d"))
    stopped: str = ""
    error: BackproofError | None = None
    interrupted: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst run's."""
        return max(run.verdict for run in self.runs.values())

    @property
    def diverged(self) -> bool:
        """Whether every implementation left the finite numbers, and nothing but growth did it."""
        return self.verdict is Verdict.ROUNDING and all(run.ended is not None for run in self.runs.values())


def train_together(
    training: Training,
    implementations: Mapping[str, Implementation],
    reference: Reference | None,
    mode: str = "sketch",
    every: int = 1,
    recordings: Path | None = None,
    progress: Callable[[], None] = lambda: None,
    overwrite: bool = False,
) -> LongRun:
    """Train side by side, judge each step and let go of it.

    Args:
        reference: for the float64 run and its replicas; None for neither.
        mode, every: see :class:`Certifier`.
        recordings: a folder for one recording of each implementation, or None to keep none.
        overwrite: replace recordings that it holds already.

    Ctrl-C, whatever an implementation raises, and a disk that is full end the run early; what was certified up to
    there is returned, and the recordings stay marked as incomplete.

    Raises:
        BackproofError, KeyboardInterrupt: as above, when no step had been judged.
    """
    found = LongRun(training, {name: Certifier(training, mode, every) for name in implementations})
    free = iter(()) if reference is None else free_run(Replicas(training, reference), kinks=True)
    try:
        with ExitStack() as stack, np.errstate(all="ignore"):
            streams = {name: steps_of(name, module, training) for name, module in implementations.items()}
            writers = {
                name: stack.enter_context(
                    RecordingWriter(recordings / name, training, source_of(name, module), overwrite)
                )
                for name, module in implementations.items()
                if recordings is not None
            }
            _all_steps(found, streams, writers, free, progress)
            for writer in writers.values():
                if writer.steps < len(training.batches):
                    writer.cut_short()
    except (KeyboardInterrupt, BackproofError) as error:
        if not any(run.steps for run in found.runs.values()):
            raise
        if isinstance(error, BackproofError):
            found.stopped, found.error = "an error, which is told below", error
        else:
            found.interrupted = True
            found.stopped = f"interrupted after {min(run.steps for run in found.runs.values())} steps"
    return found


def _all_steps(
    found: LongRun,
    streams: Mapping[str, Iterator[Step]],
    writers: Mapping[str, RecordingWriter],
    free: Iterator[FreeStep],
    progress: Callable[[], None],
) -> None:
    first_end: int | None = None
    for index in range(len(found.training.batches)):
        with _Timed(found.seconds, "float64 and replicas"):
            here = next(free, None)
        if here is not None:
            found.envelope.append(here.envelope)
            found.losses.append(here.loss)
        for name, run in found.runs.items():
            if run.ended is None:
                _one_step(found, name, streams[name], writers.get(name), here)
                progress()
        ended = [name for name, run in found.runs.items() if run.ended is not None]
        if ended and first_end is None:
            first_end = index
        if len(ended) == len(found.runs):
            what = found.runs[ended[0]].ended
            found.stopped = (
                f"every implementation left the finite numbers, first in step {first_end}: {what and what.message}"
            )
            return
        if first_end is not None and index >= first_end + GRACE:
            for name in ended:
                found.runs[name].end_apart("other implementations stay finite")
            found.stopped = f"{' and '.join(ended)} left the finite numbers, the others did not"
            return
    if first_end is not None:
        found.stopped = f"{' and '.join(ended)} left the finite numbers in the last steps; the others had not yet"
    for name, run in found.runs.items():
        if run.ended is None and next(streams[name], None) is not None:
            run.add_surplus()


def _one_step(
    found: LongRun, name: str, stream: Iterator[Step], writer: RecordingWriter | None, free: FreeStep | None
) -> None:
    run, training = found.runs[name], found.training
    with _Timed(found.seconds, name):
        step = next(stream, None)
    if step is None:
        raise BackproofError(
            f"implementation {name!r} left {run.steps} steps of {training.network.name}, "
            f"{len(training.batches)} were asked for"
        )
    if writer is not None:
        writer.write(step)
    with _Timed(found.seconds, "checking"):
        if same_samples(step, training.batches[run.steps], training.samples):
            run.consume(step, free)
        else:
            run.refuse_samples(step.index)


class _Timed:
    """Adds the seconds spent inside to an entry."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] = self._seconds.get(self._name, 0.0) + time.perf_counter() - self._start
