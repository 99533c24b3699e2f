"""The learning rate of parameters before and after an update, where the caller did not say it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backproof.backprop.convention import Convention
from backproof.backprop.given import Given
from backproof.rounding import format_of

DIGITS = 5
"""Significant digits that a rate which somebody wrote down has at most."""
SPREAD = 6.0
"""Standard errors of the fit within which the short number is taken for the rate."""


def fitted_rate(step: Given) -> float | None:
    """Median over the layers of the least-squares alpha in ``W - W_next = alpha dW``; None without such a layer.

    W_next was rounded once, so a layer's alpha has the standard error ``u ||W_next * dW|| / ||dW||^2``; the shortest
    decimal number within a few of those (or that over m, where the update divides by it) is what was written down.
    """
    fits = sorted(fit for layer in range(1, step.depth + 1) if (fit := _fit(step, layer)) is not None)
    if not fits:
        return None
    rate, error = fits[len(fits) // 2]
    m = step.orientation.samples
    for digits in range(1, DIGITS + 1):
        for scale in (1, m, m * step.orientation.sizes[-1]):
            short = float(f"{rate * scale:.{digits}g}")
            if abs(short - rate * scale) <= SPREAD * error * scale:
                return short / scale
    return rate


def _fit(step: Given, layer: int) -> tuple[float, float] | None:
    W, dW, after = (step.recorded.get(name) for name in (f"W{layer}", f"dW{layer}", f"W{layer}_next"))
    if W is None or dW is None or after is None:
        return None
    g, moved = dW.astype(np.float64), W.astype(np.float64) - after
    square = float(np.vdot(g, g))
    if not square or not np.isfinite(square):
        return None
    rate = abs(float(np.vdot(moved, g))) / square
    # 2^-53 of the rate itself: a fit in float64 is no sharper.
    error = format_of(after.dtype).unit_roundoff * float(np.linalg.norm(after * g)) / square + 2.0**-52 * rate
    return (rate, error) if np.isfinite(rate) and rate > 0 else None


def with_rate(convention: Convention, step: Given) -> Convention:
    """A fitted rate is what multiplies dW: where the update has the 1/m, the rate is m times that."""
    if convention.averaged_in != "update":
        return convention
    network = convention.network
    rate = network.learning_rate * network.divisor(step.orientation.samples)
    return replace(convention, network=replace(network, learning_rate=rate))
