"""The second question: do the implementations agree? Each quantity end to end, against the reference in float64.

Every step is judged from the parameters that the implementation itself had before it, so that a step's disagreement
is its own and not the sum of all earlier ones. How much disagreement is normal is measured: the replicas of the
reference in the same format give an envelope, and an implementation agrees when

    max |recorded − float64| <= MULTIPLE (envelope + 4 u max |float64| + 4 tau)

A sample that lies on different sides of a kink in the two runs (its Z straddles 0 within rounding), or exactly on one,
has another gradient, with no bug anywhere. Such samples are left out of the dA and dZ behind a kink, and out of their
sums dW and db and the updates on both sides; how many is reported. Z and A keep all samples, so a mask cannot flip at a
Z that disagrees without being seen. Where no sample is left, what is behind a kink is not compared in that step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.disturbance import disturbed
from backproof.left_out import share, updated_without
from backproof.network import KINKED, Network
from backproof.replicas import Replicas, split
from backproof.rounding import format_of, ulps
from backproof.training import Step
from backproof.verdict import Verdict

Array = NDArray[Any]
Tensors = Mapping[str, Array]

MULTIPLE = 16.0
"""Times the envelope. Over 27,336 honest comparisons 8 never alarmed on ordinary data and 16 never at all."""
FLOOR = 4.0
"""Units of ``u max |quantity|`` that are added to the envelope."""
DISTURBANCES = (0, 1)
"""Seeds of the steps in which every quantity is off by a unit of its own equation (:mod:`backproof.disturbance`)."""
BUG = 16.0
"""Times the bound from which a disagreement is called a bug and no longer a suspect."""


@dataclass(frozen=True)
class Agreement:
    """One quantity of one step, compared end to end.

    Attributes:
        absolute: largest ``|recorded − exact|``; ``exact`` is the float64 reference.
        relative: ``absolute`` over the largest ``|exact|``.
        ulps: distance at the worst element, in units in the last place of the run's format.
        envelope: the replicas' largest ``absolute``.
        bound: what was allowed.
        left_out: samples on different sides of a kink, or exactly on one.
    """

    step: int
    quantity: str
    absolute: float
    relative: float
    ulps: float
    envelope: float
    bound: float
    index: tuple[int, ...]
    recorded: float
    exact: float
    left_out: int

    @property
    def fraction(self) -> float:
        """Part of the bound that was used."""
        return self.absolute / self.bound if self.absolute else 0.0

    @property
    def verdict(self) -> Verdict:
        """Rounding up to the bound, a bug beyond :data:`BUG` times it."""
        if self.fraction <= 1:
            return Verdict.ROUNDING
        return Verdict.BUG if self.fraction > BUG else Verdict.SUSPECT


class AgreementChecker:
    """Compares the steps of one run with the reference, one at a time.

    Args:
        replicas: of the run's training; several runs of one training share them.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    def check(self, step: Step) -> list[Agreement]:
        """Every quantity of a sound step that can be compared (the parameters before it left out).

        A quantity is left out when no sample is off the kinks, or when the reference itself is not finite. The
        disturbed steps are only made where the replicas' envelope is exceeded: ordinary runs pay nothing for them.
        """
        replicas = self._replicas.of_batch(step.samples)
        network, X = replicas.training.network, {"X": replicas.truth.X}
        names = (*network.parameter_shapes(), *network.state_shapes())
        start = {name: np.ascontiguousarray(step.tensors[name]) for name in names}
        exact, runs = replicas.one_step(start, step.index)
        truth = {**exact.tensors, **X}
        envelope = dict.fromkeys(exact.tensors, 0.0)
        for run in runs:
            _widen(envelope, network, {**run.tensors, **X}, truth, step.index)
            del run  # before the next one is computed: a step of all the data is large
        found = self._agreements(step, truth, envelope)
        if any(agreement.fraction > 1 for agreement in found):
            wide = replicas.truth.at(step.index, start)
            for seed in DISTURBANCES:
                _widen(envelope, network, disturbed(wide, step.tensors["Z1"].dtype, seed), truth, step.index)
            found = self._agreements(step, truth, envelope)
        return found

    def _agreements(self, step: Step, truth: Tensors, envelope: Mapping[str, float]) -> list[Agreement]:
        network = self._replicas.training.network
        differences, left_out = _differences(network, {**step.tensors, "X": truth["X"]}, truth, step.index)
        return [
            _agreement(step, name, difference, truth[name], envelope[name], left_out)
            for name, difference in differences
        ]


def _widen(envelope: dict[str, float], network: Network, run: Tensors, truth: Tensors, index: int) -> None:
    for name, difference in _differences(network, run, truth, index)[0]:
        largest = float(np.abs(difference).max(initial=0.0))
        if np.isfinite(largest):  # a replica that overflows says nothing of how far rounding carries
            envelope[name] = max(envelope[name], largest)


def flipped(network: Network, first: Tensors, second: Tensors) -> Array:
    """Indices of the samples that lie on different sides of some kink in two runs, or exactly on one."""
    different = np.zeros(first["Z1"].shape[1], bool)
    for layer in range(1, network.depth + 1):
        if network.activations[layer - 1] in KINKED:
            a, b = first[f"Z{layer}"], second[f"Z{layer}"]
            different |= (((a > 0) != (b > 0)) | (a == 0) | (b == 0)).any(axis=0)
    return np.flatnonzero(different)


def _differences(network: Network, run: Tensors, truth: Tensors, index: int) -> tuple[Iterator[tuple[str, Array]], int]:
    """``run − truth`` of each quantity, without the samples that :func:`flipped` names; and how many those are."""
    flips = flipped(network, run, truth)
    m = truth["Z1"].shape[1]

    def each() -> Iterator[tuple[str, Array]]:
        for name in network.shapes(m):
            if name in network.parameter_shapes() or name in network.state_shapes():
                continue
            kind, layer = split(name) if name != "loss" else ("loss", network.depth)
            behind_kink = (name.startswith("d") or name.endswith("_next")) and _behind(network, kind, layer, name)
            if behind_kink and len(flips) == m:
                continue  # no sample is left to compare: none is no agreement, so the quantity gets none in this step
            difference = run[name] - truth[name]
            if len(flips):
                if kind in "Wb" and behind_kink and name.endswith("_next") and not network.optimizer.plain:
                    difference = difference - (
                        updated_without(network, run, name, flips, index)
                        - updated_without(network, truth, name, flips, index)
                    )
                elif kind in "Wb" and behind_kink:
                    sign = -network.step_size(m, index) if name.endswith("_next") else 1.0
                    difference = difference - sign * (share(run, kind, layer, flips) - share(truth, kind, layer, flips))
                elif behind_kink:
                    difference[:, flips] = 0
            yield name, difference

    return each(), len(flips)


def _behind(network: Network, kind: str, layer: int, name: str) -> bool:
    """Whether a derivative passed a kink on its way from the loss: below the output all, at the output what follows
    its own activation.
    """
    at_output = layer == network.depth
    return not at_output or (network.activations[-1] in KINKED and not (kind == "A" and name.startswith("dA")))


def _agreement(step: Step, name: str, difference: Array, truth: Array, envelope: float, left_out: int) -> Agreement:
    recorded = step.tensors[name]
    size = np.abs(difference)
    index = tuple(int(i) for i in np.unravel_index(int(size.argmax()), size.shape)) if size.ndim else ()
    absolute, top = float(size[index]), float(np.abs(truth).max(initial=0.0))
    fmt = format_of(recorded.dtype)
    bound = MULTIPLE * (envelope + FLOOR * fmt.unit_roundoff * top + 4 * fmt.smallest_normal)
    pair = np.asarray(recorded[index]), np.asarray(truth[index]).astype(recorded.dtype)
    return Agreement(
        step=step.index,
        quantity=name,
        absolute=absolute,
        relative=absolute / top if top else float(absolute > 0),
        ulps=float(ulps(*(np.atleast_1d(value) for value in pair))[0]),
        envelope=envelope,
        bound=bound,
        index=index,
        recorded=float(pair[0]),
        exact=float(truth[index]),
        left_out=left_out,
    )
