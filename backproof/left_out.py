"""What single samples contribute to gradients, and through the optimizer to the update: agreement leaves some out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.equation_check import context_of
from backproof.equations import Elementwise, equations
from backproof.network import Network
from backproof.replicas import split

Array = NDArray[Any]
Tensors = Mapping[str, Array]


def share(tensors: Tensors, kind: str, layer: int, samples: Array) -> Array:
    """What the samples contribute to dW or db of a layer, in float64."""
    dZ = tensors[f"dZ{layer}"][:, samples].astype(np.float64)
    if kind == "b":
        return np.asarray(dZ.sum(axis=1, keepdims=True))
    below = tensors["X"] if layer == 1 else tensors[f"A{layer - 1}"]
    return np.asarray(dZ @ below[:, samples].astype(np.float64).T)


def updated_without(network: Network, tensors: Tensors, target: str, samples: Array, step: int) -> Array:
    """What the samples contribute to a parameter or a state after the update, in float64.

    Adam is not linear in the gradient: the update is evaluated with it and without the samples' share of it, from the
    state before the step, and the difference is theirs.
    """
    kind, layer = split(target)
    gradient = tensors[f"d{kind}{layer}"].astype(np.float64)
    rest = gradient - share(tensors, kind, layer, samples)
    both = (_updated(network, tensors, f"{kind}{layer}", g, target, step) for g in (gradient, rest))
    return np.asarray(next(both) - next(both))


def _updated(network: Network, tensors: Tensors, parameter: str, gradient: Array, target: str, step: int) -> Array:
    values: dict[str, Array] = {f"d{parameter}": gradient}
    context = context_of(network, np.dtype(np.float64), tensors["Z1"].shape[1], step=step)
    for equation in equations(network):
        rule, after = equation.rule, equation.target
        if not isinstance(rule, Elementwise) or (f"d{parameter}" not in rule.operands and f"{parameter}_next" != after):
            continue
        operands = [values.get(name, tensors.get(name)) for name in rule.operands]
        wide = [np.asarray(array, np.float64) for array in operands]
        values[after] = elementwise.FORMULAS[rule.formula](np.zeros_like(gradient), context, *wide).exact
    return values[target]
