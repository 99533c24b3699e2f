"""The learning rate of parameters before and after an update, where the caller did not say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.backprop.convention import Convention
from backproof.backprop.given import Given
from backproof.rounding import format_of

Array = NDArray[Any]

DIGITS = 5
"""Significant digits that a rate which somebody wrote down has at most."""
SPREAD = 6.0
"""Standard errors of the fit within which the short number is taken for the rate."""


class Fit(NamedTuple):
    """Of one parameter's update.

    Attributes:
        rate: least-squares alpha.
        error: its standard error.
        sharp: rounding explains what the fit leaves: the step is along the gradient.
    """

    rate: float
    error: float
    sharp: bool


def fitted_rate(step: Given) -> float | None:
    """The least-squares alpha in ``W - W_next = alpha dW`` of the layer that tells it best, of those that agree with
    the median over the layers; None without such a layer.

    A layer whose step is not along its gradient tells nothing, as long as another's is, be it a bias's. Where no
    gradient was given, the product of a given dZ with the layer's input stands for dW, if most of the layers whose step
    is along it agree. W_next was rounded once, so a layer's alpha has the standard error
    ``u ||W_next * dW|| / ||dW||^2``; the shortest decimal number within a few of those (or that over m, where the
    update divides by it) is what was written down; of as many digits, the nearest.
    """
    weights, biases = (_fits(step, kind, step.recorded) for kind in ("W", "b"))
    fits = sorted([*_sharp(weights), *_sharp(biases)]) or weights or _of_products(step)
    if not fits:
        return None
    # The middle one is no outlier; of those that agree with it the sharpest tells most digits.
    rate, error, _ = min(_agreeing(fits), key=lambda fit: fit.error)
    m = step.orientation.samples
    scales = (1, m, m * step.orientation.sizes[-1])
    for digits in range(1, DIGITS + 1):
        shorts = [float(f"{rate * scale:.{digits}g}") / scale for scale in scales]
        nearest = min(shorts, key=lambda short: abs(short - rate))
        if abs(nearest - rate) <= SPREAD * error:
            return nearest
    return rate


def _products(step: Given) -> dict[str, Array]:
    """``dZ A^T`` of every layer of which both were given."""
    found = {}
    for n in range(1, step.depth + 1):
        dZ, below = step.recorded.get(f"dZ{n}"), step.recorded.get("X" if n == 1 else f"A{n - 1}")
        if dZ is not None and below is not None:
            found[f"dW{n}"] = dZ @ below.T
    return found


def _of_products(step: Given) -> list[Fit]:
    """The sharp fits that the middle one agrees with, if those are most: a script may have a rate for each layer, which
    one layer alone would not tell.
    """
    gradients = _products(step)
    if len(gradients) < min(2, step.depth):
        return []
    fits = _sharp(_fits(step, "W", gradients))
    alike = _agreeing(fits)
    return alike if 2 * len(alike) > len(fits) else []


def _agreeing(fits: list[Fit]) -> list[Fit]:
    middle = fits[len(fits) // 2] if fits else None
    return [fit for fit in fits if middle and abs(fit.rate - middle.rate) <= SPREAD * (fit.error + middle.error)]


def _fits(step: Given, kind: str, gradients: Mapping[str, Array]) -> list[Fit]:
    names = (f"{kind}{n}" for n in range(1, step.depth + 1))
    return sorted(fit for name in names if (fit := _fit(step, name, gradients.get(f"d{name}"))) is not None)


def _sharp(fits: list[Fit]) -> list[Fit]:
    return [fit for fit in fits if fit.sharp]


def _fit(step: Given, name: str, gradient: Array | None) -> Fit | None:
    before, after = step.recorded.get(name), step.recorded.get(f"{name}_next")
    if before is None or gradient is None or after is None:
        return None
    g, moved = gradient.astype(np.float64), before.astype(np.float64) - after
    square = float(np.vdot(g, g))
    if not square or not np.isfinite(square):
        return None
    signed, u = float(np.vdot(moved, g)) / square, format_of(after.dtype).unit_roundoff
    rate = abs(signed)
    # 2^-53 of the rate itself: a fit in float64 is no sharper.
    error = u * float(np.linalg.norm(after * g)) / square + 2.0**-52 * rate
    if (coarse := format_of(gradient.dtype).unit_roundoff) > u:
        error += coarse * rate  # the step was made of a gradient with more digits than were given
    if 2 * SPREAD * error > rate:
        return None  # a step of a few last places of W tells no rate
    # The step and the difference are rounded once each.
    rounding = u * float(np.linalg.norm(after) + np.linalg.norm(moved))
    sharp = float(np.linalg.norm(moved - signed * g)) <= SPREAD * rounding
    return Fit(rate, error, sharp) if np.isfinite(rate) and rate > 0 else None


def with_rate(convention: Convention, step: Given) -> Convention:
    """A fitted rate is what multiplies dW: where the update has the 1/m, the rate is m times that."""
    if convention.averaged_in != "update":
        return convention
    network = convention.network
    rate = network.learning_rate * network.divisor(step.orientation.samples)
    return replace(convention, network=replace(network, learning_rate=rate))
