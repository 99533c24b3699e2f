"""Weights of classes in the output's delta, samples that are left out of it, a clip that stops it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case

Array = NDArray[Any]

SAMPLES = 3
"""From which one constant for each class is believed."""


def weighted(case: Case) -> Iterator[Candidate]:
    """Of dA_L and dZ_L; the constants are fitted, one a class."""
    Y, exact, recorded = case.one_hot, case.exact, case.recorded
    if exact.shape[1] < SAMPLES:
        return
    if len(exact) > 1:
        weights = _ratio(recorded, exact, 1)
        text = f"every class of {case.target} has a weight of its own, whatever the sample's label: {_said(weights)}"
        yield Candidate("class-weights-per-column", text, weights * exact, free=2)
    yield from _ignored(case, Y)
    if len(exact) > 1 and (Y.sum(axis=0) == 1).all():
        weights = np.array(
            [_ratio(recorded[:, y], exact[:, y]) if (y := Y[i] == 1).any() else 1.0 for i in range(len(Y))]
        )
        text = f"every sample of {case.target} is weighted by its class: {_said(weights)}"
        yield Candidate("class-weights", text, exact * (weights @ Y), free=2)
    yield from _stopped(case, Y)


def _ratio(recorded: Array, exact: Array, axis: int | None = None) -> Any:
    square = (exact * exact).sum(axis=axis, keepdims=axis is not None)
    return (recorded * exact).sum(axis=axis, keepdims=axis is not None) / np.where(square == 0, 1.0, square)


def _said(weights: Array) -> str:
    few = [f"{weight:.4g}" for weight in np.ravel(weights)[:4]]
    return ", ".join(few) + (", …" if weights.size > 4 else "")


def _ignored(case: Case, Y: Array) -> Iterator[Candidate]:
    """Samples of one class have no delta; the others may be divided by how many they are."""
    whole = case.matrix(case.whole.wide("Y"))
    for label in range(len(Y)):
        kept = Y[label] != 1
        count = int(np.count_nonzero(whole[label] != 1))
        if 0 < count < case.m:
            for word, factor in (("", 1.0), (f" and the mean is over the other {count}", case.m / count)):
                text = f"the samples of class {label} are left out of {case.target}{word}"
                yield Candidate("samples-ignored", text, case.exact * kept * factor, numbers={"kept": count})


def _stopped(case: Case, Y: Array) -> Iterator[Candidate]:
    """A clip of the probability stops the gradient of the samples beyond it: exactly 0 there, right elsewhere."""
    A = case.get(f"A{case.network.depth}")
    if A is None or case.network.loss == "mse":
        return
    likely = (A * Y).sum(axis=0) if case.network.loss == "cross_entropy" else A * Y + (1 - A) * (1 - Y)
    zero = (case.recorded == 0) & (case.exact != 0)
    stopped = zero.any(axis=0) if likely.ndim == 1 else zero
    if not stopped.any() or stopped.all():
        return
    # The clip lies between what it stops and what it lets through; of what is nearly certain it may stop some too.
    low, high = float(likely[stopped].max()), float(likely[~stopped].min())
    unsure = stopped & (likely < 0.5)
    if unsure.any() and float(likely[unsure].max()) < high:
        low = float(likely[unsure].max())
        text = (
            f"a clip of the probability stops the gradient: {case.target} is 0 where the label's probability is below "
            f"{high:.3g} ({np.count_nonzero(stopped)} of {stopped.size})"
        )
        numbers = {"stopped up to": low, "let through from": high}
        yield Candidate("clip-stops-gradient", text, np.where(stopped, 0.0, case.exact), free=1, numbers=numbers)
