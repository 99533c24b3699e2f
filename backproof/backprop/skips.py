"""Residual (skip) connections: ``A_l = g(Z_l) + A_k`` or ``A_l = g(Z_l + A_k)`` k < l: not checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import functions

Array = NDArray[Any]


class Skip(NamedTuple):
    """The layer whose output is added (0: the inputs), the activation, and the formula in words."""

    source: int
    activation: str
    text: str


def skip_of(tensors: Mapping[str, Array], layer: int, names: Sequence[str], slope: float, alike: float) -> Skip | None:
    """The skip connection under which A is what Z and an earlier layer's output give, where there is one.

    Args:
        names: activations that the layer may have.
        alike: relative distance up to which two arrays are one.
    """
    Z, A = tensors[f"Z{layer}"].astype(np.float64), tensors[f"A{layer}"].astype(np.float64)
    near = alike * float(np.abs(A).max(initial=0.0))
    for source in range(layer - 1, -1, -1):
        name = f"A{source}" if source else "X"
        below = tensors.get(name)
        if below is None or below.shape != A.shape or not np.any(below):
            continue
        for kind in names:
            for text, value in (
                (f"{kind}(Z{layer}) + {name}", functions.activated(kind, Z, slope) + below),
                (f"{kind}(Z{layer} + {name})", functions.activated(kind, Z + below, slope)),
            ):
                if np.abs(value - A).max(initial=0.0) <= near:
                    return Skip(source, kind, f"A{layer} = {text}")
    return None
