"""Gradients that are clipped before the update: ``dW = np.clip(dW, -5, 5)``, ``dW *= 1 / norm``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backproof.tracing.layers import Placed
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

NEAR = 1e-5
"""Relative distance within which the norm of what was clipped is the number that it was clipped to: many divide by the
norm and 1e-6 more."""


def undo(step: Step, found: Placed) -> None:
    """Take the gradients as they were before their elements, or their norms, were cut; ``step.clipped`` are those."""
    used = {key: s for key, s in step.quantities.items() if key[:2] in ("dW", "db")}
    versions = {}
    for key, s in used.items():
        seen = found.get((s.kind, s.number or 0), [])
        versions[key] = [t for t in reversed(seen) if t.order < s.order]
    before = _by_one_norm(versions, used) or {
        key: made
        for key, s in used.items()
        if (made := _first(versions[key], s, _is_cut) or _first(versions[key], s, _is_scaled)) is not None
    }
    step.quantities |= before
    step.clipped += [s.label for s in before.values()]


def _first(versions: list[Sighting], used: Sighting, relation: Callable[[Array, Array], bool]) -> Sighting | None:
    alike = (s for s in versions if s.value.shape == used.value.shape)
    return next((s for s in alike if relation(s.value, used.value)), None)


def _by_one_norm(versions: dict[str, list[Sighting]], used: dict[str, Sighting]) -> dict[str, Sighting]:
    """Gradients as they were before all of them were made shorter alike, to one norm that somebody wrote down."""
    whole = float(np.sqrt(sum(float(np.vdot(s.value, s.value)) for s in used.values())))
    if len(used) < 2 or not _is_written(whole):
        return {}
    before = {key: made for key, s in used.items() if (made := _first(versions[key], s, _shorter)) is not None}
    times = [float(np.linalg.norm(used[key].value)) / float(np.linalg.norm(s.value)) for key, s in before.items()]
    return before if len(before) == len(used) and max(times) - min(times) <= NEAR * max(times) else {}


def _is_cut(before: Array, after: Array) -> bool:
    """Whether all beyond some size were set to that, and the others kept."""
    size = float(np.abs(after).max(initial=0.0))
    return size > 0 and np.array_equal(np.clip(before, -size, size), after) and not np.array_equal(before, after)


def _is_scaled(before: Array, after: Array) -> bool:
    """Whether it was made shorter, to a norm that somebody wrote down."""
    return before.size > 1 and _is_written(float(np.linalg.norm(after))) and _shorter(before, after)


def _is_written(norm: float) -> bool:
    """One digit and a power of ten."""
    written = float(f"{norm:.0e}") if np.isfinite(norm) else 0.0
    return norm > 0 and abs(norm - written) <= NEAR * written


def _shorter(before: Array, after: Array) -> bool:
    first, last = (float(np.linalg.norm(array)) for array in (before, after))
    if before.shape != after.shape or not 0 < last < first * (1 - NEAR) or not np.isfinite(first):
        return False
    return float(np.linalg.norm(after / last - before / first)) < NEAR
