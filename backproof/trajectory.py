"""The third question: is the trajectory right?

It is right when every step is right (the equation check, the update included) and each step starts from exactly the
parameters that the step before it ended with: that is checked bit for bit. Training amplifies rounding, so how far the
free runs end up apart proves nothing; it is reported, beside the distance of the reference's replicas:

    distance_t = ||theta_t − theta64_t||_2 / ||theta64_t − theta64_0||_2

with theta all parameters and theta64 those of the reference in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.overwritten import NAME as OVERWRITTEN
from backproof.optimizer import is_state
from backproof.parallel import BLOCK, single_threaded_blas
from backproof.replicas import REPLICAS, Replicas, first
from backproof.training import Step, Training

Array = NDArray[Any]


class Continuity:
    """Checks that each step begins where the one before it ended, and the first one at the initial parameters.

    What an optimizer keeps is held to the same; it starts at zero.
    """

    def __init__(self, initial: Mapping[str, Array]) -> None:
        self._names = tuple(initial)
        self._expected = dict(initial)
        self._index = 0

    def check(self, step: Step) -> list[str]:
        """One sentence for each parameter that is not, bit for bit, what the step before left; also for a gap."""
        broken = []
        if step.index != self._index:
            broken.append(f"step {step.index} follows step {self._index - 1}")
        for name, expected in self._expected.items():
            array = step.tensors.get(name)
            initial = "an optimizer's first state" if is_state(name) else "the initial parameters"
            origin = initial if step.index == 0 else f"step {self._index - 1}"
            if array is not None and not _identical(array, expected):
                broken.append(
                    f"{name} at the start of step {step.index} is not what {origin} left{_why(name, array, step)}"
                )
        self._expected = {
            name: np.array(step.tensors[f"{name}_next"]) for name in self._names if f"{name}_next" in step.tensors
        }
        self._index = step.index + 1
        return broken


@dataclass(frozen=True)
class FreeStep:
    """Where the float64 run is after one step, and how far from it the replicas are.

    Attributes:
        parameters: of the float64 run, after the step's update.
        travelled: its distance from the initial parameters.
        envelope: the largest ``distance`` of a replica.
        loss: of the float64 run, before the update.
        kinked: its Z of each layer with a kink, where they were asked for.
        spread: how far the replicas' Z are from those, at most, in each of these layers.
    """

    parameters: Mapping[str, Array]
    travelled: float
    envelope: float
    loss: float
    kinked: Mapping[str, Array] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)

    def distance(self, parameters: Mapping[str, Array]) -> float:
        """Distance of other parameters from the float64 run's, as a part of the distance travelled."""
        gap = _norm({name: parameters[name] - wide for name, wide in self.parameters.items()})
        return gap / self.travelled if self.travelled else gap


def free_run(replicas: Replicas, kinks: bool = False) -> Iterator[FreeStep]:
    """The reference in float64 and its replicas in the run's format, step by step, each on its own.

    Each step is a run of its own from the parameters that the one before it left: a run that waits for its next step
    would hold every array of its last one. A replica of a batch permutes that batch's samples and no others.

    Args:
        kinks: keep each step's Z of the layers with a kink, for :mod:`backproof.flips`.
    """
    reference, layers = replicas.reference, replicas.training.network.kinked if kinks else ()
    initial, after = replicas.truth.parameters, replicas.truth.start
    own = [replicas.training.start for _ in REPLICAS]
    for number, batch in enumerate(replicas.training.batches):
        here = replicas.of_batch(batch)
        with _threads(here.training):
            step = first(reference.record(here.truth.at(number, after)))
        after, loss = after_update(step), float(step.tensors["loss"])
        kinked = {f"Z{layer}": step.tensors[f"Z{layer}"] for layer in layers}
        spread = dict.fromkeys(kinked, 0.0)
        del step
        travelled = _norm({name: after[name] - array for name, array in initial.items()})
        free = FreeStep({name: after[name] for name in initial}, travelled, 0.0, loss, kinked, spread)
        for place, permuted in enumerate(here.permutations):
            with _threads(here.training):
                run = first(permuted.one_step(own[place], step=number).run(reference))
            own[place] = {name: permuted.undo(name, array) for name, array in after_update(run).items()}
            for name, Z in kinked.items():
                spread[name] = max(spread[name], float(np.abs(permuted.undo(name, run.tensors[name]) - Z).max()))
            del run
        yield replace(free, envelope=max(map(free.distance, own)))


def _threads(training: Training) -> AbstractContextManager[None]:
    """One BLAS thread for products so small that several would mostly wait for each other."""
    small = training.samples * max(training.network.sizes) <= BLOCK
    return single_threaded_blas() if small else nullcontext()


def after_update(step: Step) -> dict[str, Array]:
    """The parameters that a step ends with, and what the optimizer keeps, by their plain names."""
    return {name.removesuffix("_next"): array for name, array in step.tensors.items() if name.endswith("_next")}


def _why(name: str, array: Array, step: Step) -> str:
    """The reason, where the arrays themselves tell."""
    after = step.tensors.get(f"{name}_next")
    if after is not None and _identical(array, after):
        return f": it is {name}_next, changed in place or copied without depth [{OVERWRITTEN}]"
    if is_state(name) and step.index == 0 and (array == array.flat[0]).all():
        return f": it is {array.flat[0]:g} throughout and not 0 [state-not-zero]"
    return ""


def _identical(first: Array, second: Array) -> bool:
    """The same bits: 0.0 is not -0.0, and a NaN is itself."""
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def _norm(parameters: Mapping[str, Array]) -> float:
    return float(np.sqrt(sum(float(np.vdot(array, array)) for array in parameters.values())))
