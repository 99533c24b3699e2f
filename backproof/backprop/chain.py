"""Activations of layers of which neither A nor the next Z was given: those that lead to the next quantity that was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.evaluation import Context
from backproof.network import HIDDEN_ACTIVATIONS

Array = NDArray[Any]
Tensors = Mapping[str, Array]

SAMPLES = 64
"""Samples on which the chain is followed."""
LONGEST = 4
"""Layers up to which every combination is tried; of a longer chain, only one activation for all hidden layers."""
APART = 0.02
"""Relative distance up to which a chain leads there: a few layers in bfloat16 are that far apart, two activations are
not that near."""
CLEARLY = 4.0
"""Times that the second best is farther away."""


def led_there(tensors: Tensors, first: int, depth: int, outputs: Sequence[str], context: Context) -> dict[int, str]:
    """Layer -> activation, from layer ``first``, whose Z is known, up to the next given Z or A; empty where none is
    clearly the nearest.
    """
    end = next((n for n in range(first + 1, depth + 1) if not {f"Z{n}", f"A{n}"}.isdisjoint(tensors)), None)
    if end is None:
        return {}
    to_output = f"Z{end}" not in tensors
    target = f"{'A' if to_output else 'Z'}{end}"
    layers = list(range(first, end + to_output))
    needed = [f"{kind}{n}" for n in range(first + 1, end + 1) for kind in "Wb"]
    if not all(name in tensors and np.isfinite(tensors[name]).all() for name in (*needed, f"Z{first}", target)):
        return {}
    columns = np.unique(np.linspace(0, tensors[target].shape[1] - 1, SAMPLES).astype(np.int64))
    Z, goal = (tensors[name][:, columns].astype(np.float64) for name in (f"Z{first}", target))
    size = float(np.abs(goal).max(initial=0.0)) or 1.0
    ways = sorted(
        (float(np.abs(_followed(tensors, Z, layers, kinds, end, context) - goal).max()) / size, place, kinds)
        for place, kinds in enumerate(_combinations(layers, depth, outputs))
    )
    apart, _, nearest = ways[0]
    second = next((way[0] for way in ways[1:]), np.inf)
    return dict(zip(layers, nearest, strict=True)) if apart <= APART and second > CLEARLY * apart else {}


def _combinations(layers: Sequence[int], depth: int, outputs: Sequence[str]) -> Iterator[tuple[str, ...]]:
    if len(layers) <= LONGEST:
        yield from product(*(outputs if n == depth else HIDDEN_ACTIVATIONS for n in layers))
        return
    for kind, last in product(HIDDEN_ACTIVATIONS, outputs if layers[-1] == depth else [""]):
        yield (*[kind] * (len(layers) - 1), last or kind)


def _followed(
    tensors: Tensors, Z: Array, layers: Sequence[int], kinds: Sequence[str], end: int, context: Context
) -> Array:
    """The Z or A at the end of the chain."""
    for n, kind in zip(layers, kinds, strict=True):
        A = elementwise.FORMULAS[kind](Z, context, Z).exact
        if n == end:
            return np.asarray(A)
        Z = tensors[f"W{n + 1}"].astype(np.float64) @ A + tensors[f"b{n + 1}"].astype(np.float64)
    return Z
