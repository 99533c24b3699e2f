"""Masks of a dropout that are called as deltas are: ``D1 = rng.random(A1.shape) < 0.8``."""

from __future__ import annotations

import re

from backproof.tracing.layers import Placed
from backproof.tracing.sightings import Sighting
from backproof.tracing.unpatched import np

_NAME = re.compile(r"[dD]_?\d+")


def without_masks(found: Placed, depth: int) -> Placed:
    """Without what is called ``d1`` or ``D1`` and is a mask: truth values, or nothing negative before there is an
    output, of which a delta is made.
    """
    made = min((s.order for kind in "ZA" for s in found.get((kind, depth), [])), default=0)
    kept = {key: [s for s in seen if not _is_mask(s, made)] if key[0] == "dZ" else seen for key, seen in found.items()}
    return {key: seen for key, seen in kept.items() if seen}


def _is_mask(s: Sighting, made: int) -> bool:
    if not _NAME.fullmatch(s.label.rpartition(".")[2]):
        return False
    return s.value.dtype.kind == "b" or (s.order < made and bool(np.all(s.value >= 0)) and bool(np.any(s.value)))
