"""Structure first, values last: what a step must hold before any number in it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import equations
from backproof.network import Network

Array = NDArray[Any]


@dataclass(frozen=True)
class Flaw:
    """A quantity that cannot be judged, and why.

    Attributes:
        kind: ``missing``, ``unexpected``, ``shape``, ``dtype``, ``non-finite``, or ``overflow`` (the equation
            check's name for a non-finite value whose exact one is beyond the format).
    """

    quantity: str
    kind: str
    message: str


def flaws(network: Network, tensors: Mapping[str, Array], m: int, dtype: np.dtype[Any]) -> list[Flaw]:
    """Everything about a step of ``m`` samples that is not as the specification has it, in order of computation.

    Each quantity has at most one flaw: missing, unexpected, of another shape, of another dtype, or not finite.
    """
    shapes = network.shapes(m)
    order = [
        *network.parameter_shapes(),
        *network.state_shapes(),
        *(equation.target for equation in equations(network)),
    ]
    found = [flaw for name in order if (flaw := _flaw(name, tensors.get(name), shapes[name], dtype))]
    extra = sorted(set(tensors) - set(shapes))
    return found + [Flaw(name, "unexpected", f"{name} is not a quantity of {network.name}") for name in extra]


def sound(network: Network, tensors: Mapping[str, Array], m: int, dtype: np.dtype[Any]) -> bool:
    """Whether a step of ``m`` samples has just the arrays that the specification says, of its shapes and format."""
    shapes = network.shapes(m)
    return tensors.keys() == shapes.keys() and all(
        array.dtype == dtype and array.shape == shapes[name] for name, array in tensors.items()
    )


def _flaw(name: str, array: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Flaw | None:
    if array is None:
        return Flaw(name, "missing", f"{name} is missing")
    if array.shape != shape:
        hint = "; it is the transpose" if array.shape == shape[::-1] else ""
        return Flaw(name, "shape", f"{name} has shape {array.shape}, needed is {shape}{hint}")
    if array.dtype != dtype:
        return Flaw(name, "dtype", f"{name} is {array.dtype}, the run is {dtype}")
    # A sum is finite only if no term is infinite or NaN, and it needs no boolean array; it may overflow by itself.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(array.sum(dtype=np.float64))
    if suspicious and not (finite := np.isfinite(array)).all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
        where = f" at {index}" if index else ""
        count = int(array.size - np.count_nonzero(finite))
        return Flaw(
            name, "non-finite", f"{name} holds {count} values that are not finite; the first is {array[index]}{where}"
        )
    return None
