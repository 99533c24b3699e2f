"""The learning rate of a step: the number of such a name that its update shows, or none where it shows another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backproof.tracing.layers import Placed
from backproof.tracing.movement import ALONG, movements
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

FITS = 1e-3
"""A learning rate is recognised in the update when it explains it up to this: names decide otherwise."""
AGREED = 1e-5
"""Relative distance within which all layers have one rate, and within which that is a mistake's multiple."""


def learning_rate(step: Step, found: Placed) -> Sighting | None:
    """Of the numbers under such names the one that explains the update, or the last that is no ``alpha``. None where
    all layers agree on another: a schedule inside of the update, a norm that the gradients are clipped to.
    """
    seen = [s for s in found.get(("learning_rate", 0), []) if s.value.size == 1]
    pairs = movements(step)
    if not seen or not step.updated:
        return None
    with np.errstate(all="ignore"):
        apart = [min((_unexplained(float(s.value), step.samples, *pair) for pair in pairs), default=1.0) for s in seen]
        if min(apart) < FITS:
            return seen[apart.index(min(apart))]
        common = _common(pairs)
    plain = [s for s in seen if s.label.rpartition(".")[2].lower() not in ("alpha", "epsilon", "eta")]
    last = (plain or [s for s in seen if not s.label.endswith("epsilon")] or [None])[-1]  # type: ignore[list-item]
    if last is None or common is None or _is_mistaken(common / float(last.value), step):
        return last
    step.notes.append(f"the update takes the rate {common:.6g} in all layers, and not {last.label} ({last.place})")
    return None


def _unexplained(rate: float, samples: int, moved: Array, gradient: Array) -> float:
    norm = float(np.linalg.norm(moved))
    if not norm > 0:
        return 1.0
    factors = (rate, rate / samples) if samples else (rate,)
    return min(float(np.linalg.norm(moved + sign * c * gradient)) / norm for c in factors for sign in (1, -1))


def _common(pairs: list[tuple[Array, Array]]) -> float | None:
    """The rate at which all of several layers go down along their gradients; None where there is no such."""
    rates = [-float(np.vdot(moved, gradient)) / float(np.vdot(gradient, gradient)) for moved, gradient in pairs]
    if len(rates) < 2 or not all(np.isfinite(rates)) or min(rates) <= 0:
        return None
    along = all(
        float(np.linalg.norm(moved + rate * gradient)) < ALONG * float(np.linalg.norm(moved))
        for rate, (moved, gradient) in zip(rates, pairs, strict=True)
    )
    return rates[-1] if along and max(rates) - min(rates) <= AGREED * max(rates) else None


def _is_mistaken(times: float, step: Step) -> bool:
    """Whether it is the rate times what a mistake brings in: a step that is done twice, or divided once too often."""
    m, n = max(step.samples, 1), step.network.widths[-1] if step.network.widths else 1
    known = (2.0, 10.0, 255.0, float(m), float(n), 2.0 * m, m / 2, float(m * n), float(m) ** 2)
    return any(abs(k - 1) <= AGREED for number in known for k in (times / number, times * number))
