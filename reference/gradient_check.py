"""Hand-derived gradients against central differences, parameter by parameter, with a derived allowance.

For a parameter theta and a step h, in exact arithmetic,

    D(h) = (f(theta + h) - f(theta - h)) / 2h = f' + h^2/6 f''' + O(h^4)
    D(2h) - D(h) = h^2/2 f''' + O(h^4)

so the truncation error of D(h) is ``(D(2h) - D(h)) / 3``. Each f is computed with an error of at most e
(:func:`loss_rounding`), which puts e/h into D(h), e/2h into D(2h) and so 3/2 e/h / 3 = e/2h into that estimate:

    |D(h) - f'| <= |D(2h) - D(h)| / 3 + 3/2 e/h

(the O(h^4) terms, near 1e-21 f^(5), vanish beside e/h). The sum is smallest for h near the cube root of the unit
roundoff u. Nothing in the allowance comes from the gradient that is judged.
(Nocedal and Wright, *Numerical Optimization*, 8.1.)

A kinked activation has no derivative at 0, and a difference taken across the kink approximates none. Where a
perturbation changes the side on which any Z of a ReLU or leaky ReLU lies, for any sample, the check refuses with
the parameter's and the unit's name: change the data or the seed, so that every |Z| keeps a margin.

The step h is a power of two, so that h times an activation is exact. How four losses a parameter are had for much less
than four forward passes is in :mod:`reference.perturbed`; each is the value of the loss function itself, and no
derivative is taken by any rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.network import Network
from reference.layouts import LAYOUTS
from reference.network import backpropagate, forward
from reference.output import objective, output, output_gradient
from reference.perturbed import Around, Unit

Array = NDArray[Any]
Tensors = dict[str, Array]

U = 2.0**-53
STEP = 2.0**-18
"""The power of two next to cbrt(U) = 2^-17.7."""


class Differences(NamedTuple):
    """Central differences of every parameter and how far each may lie from the derivative, canonical form."""

    values: Tensors
    allowances: Tensors


def loss_rounding(network: Network, parameters: Mapping[str, Array], X: Array, Y: Array) -> float:
    """A bound on ``|fl(f) - f|``, to first order in u (Higham, *Accuracy and Stability*, 3.1 and 3.5).

    Layer by layer, with E the bound on A's error (every g here has ``|g'| <= 1``):
    ``E_l = |W| E_{l-1} + (K + 4) u (|W| |A| + |b|) + 8 u |A_l|``, K the inner dimension; K + 1 roundings are the
    product's and the bias's, three more the update's by which a perturbed Z is made of the unperturbed one; 8 u for a
    library function good to 4 units in the last place. The loss of a sample changes by at most
    ``sum |a - y| E <= 2 max E`` (cross-entropy) or by ``sum E`` (binary); its own operations add
    ``(2 n + 32) u (1 + max |z|)``. A loss of the
    output A changes by ``sum |dA| E_A``, E_A having the output activation's error (of softmax, as a share of a,
    ``2 max E + (2 n + 8) u (1 + max |z|)`` at most), and its own operations add ``4 u (1 + |dA|)`` an element. The sum
    over all terms and the division add ``(terms + 1) u |f|``, the penalty another u for each weight.

    Args:
        parameters: float64, canonical form, as X and Y.
    """
    columns = LAYOUTS["columns"]
    observed: Tensors = {}
    Z = forward(network, dict(parameters), X, columns, observed)[1]
    A, E = X, np.zeros_like(X)
    for layer in range(1, network.depth + 1):
        W, b = np.abs(parameters[f"W{layer}"]), np.abs(parameters[f"b{layer}"])
        E = W @ E + (W.shape[1] + 4) * U * (W @ np.abs(A) + b)
        if layer < network.depth:
            A = observed[f"A{layer}"]
            E += 8 * U * np.abs(A)
    A_L = None if network.joint else output(network, Z, columns)
    value = float(objective(network, dict(parameters), Z, A_L, Y, columns))
    summed = _joint_rounding(network, Z, E) if network.joint else _split_rounding(network, Z, observed, E, Y)
    weights = sum(parameters[f"W{n}"].size for n in range(1, network.depth + 1)) if network.weight_decay else 0
    return summed / network.divisor(Z.shape[1]) + (Z.size + weights + 1) * U * abs(value)


def _joint_rounding(network: Network, Z: Array, E: Array) -> float:
    units = len(Z)
    propagated = 2 * E.max(axis=0) if network.loss == "cross_entropy" else E.sum(axis=0)
    own = (2 * units + 32) * U * (1 + np.abs(Z).max(axis=0)) * (1 if network.loss == "cross_entropy" else units)
    return float((propagated + own).sum())


def _split_rounding(network: Network, Z: Array, observed: Tensors, E: Array, Y: Array) -> float:
    A = observed[f"A{network.depth}"]
    if network.activations[-1] == "softmax":
        E = A * (2 * E.max(axis=0) + (2 * len(Z) + 8) * U * (1 + np.abs(Z).max(axis=0)))
    else:
        E = E + 8 * U * np.abs(A)
    slope = np.abs(output_gradient(network, A, Y, LAYOUTS["columns"])) * network.divisor(Z.shape[1])
    return float((slope * E + 4 * U * (1 + slope)).sum())


def _native(network: Network, arrays: Mapping[str, Array]) -> Tensors:
    to_native = LAYOUTS[network.layout].to_native
    return {name: to_native(np.array(array, np.float64)) for name, array in arrays.items()}


def central_differences(network: Network, parameters: Mapping[str, Array], X: Array, Y: Array) -> Differences:
    """Central differences of the loss in every parameter, in float64, and the allowance of each.

    Args:
        parameters: canonical form, ``W1`` (out, in), ``b1`` (out, 1), ...; not modified.
        X: features x m. Y: as the network's labels (:meth:`Network.label_shape`).

    Raises:
        BackproofError: when a perturbation of up to 2h crosses a kink.
    """
    from backproof.parallel import in_parallel, single_threaded_blas

    wide = {name: np.array(array, np.float64) for name, array in parameters.items()}
    X64 = np.array(X, np.float64)
    e = loss_rounding(network, wide, X64, Y)
    around = Around(network, wide, X64, Y if network.labels == "integer" else np.array(Y, np.float64))
    values = {name: np.empty_like(array) for name, array in wide.items()}
    allowances = {name: np.empty_like(array) for name, array in wide.items()}

    def differentiate(unit: Unit) -> None:
        layer, row = unit
        theta = np.append(wide[f"W{layer}"][row], wide[f"b{layer}"][row])
        h = STEP * np.exp2(np.floor(np.log2(np.maximum(1.0, np.abs(theta)))))
        above, below, far_above, far_below = around.losses(unit, np.stack([h, -h, 2 * h, -2 * h]))
        fine, coarse = (above - below) / (2 * h), (far_above - far_below) / (4 * h)
        allowed = np.abs(coarse - fine) / 3 + 1.5 * e / h
        for found, into in ((fine, values), (allowed, allowances)):
            into[f"W{layer}"][row], into[f"b{layer}"][row] = found[:-1], found[-1]

    with single_threaded_blas():
        in_parallel(differentiate, around.units())
    return Differences(values, allowances)


def gradient_check(
    network: Network,
    parameters: Mapping[str, Array],
    X: Array,
    Y: Array,
    gradients: Mapping[str, Array] | None = None,
) -> dict[str, float]:
    """For each parameter tensor, the largest error of its gradient as a fraction of its allowance.

    A gradient passes with a fraction of at most 1; a not-a-number is returned as such, and passes no comparison.

    Args:
        parameters, X, Y: as :func:`central_differences` takes them.
        gradients: ``dW1``, ``db1``, ... in the canonical form; by default those of the NumPy reference.

    Raises:
        BackproofError: at a kink, or when ``gradients`` lacks a parameter or has it in another shape.
    """
    layout = LAYOUTS[network.layout]
    if gradients is None:
        native = layout.to_native(np.array(X, np.float64)), layout.to_native(Y)
        found = backpropagate(network, _native(network, parameters), *native, layout)[1]
        gradients = {name: layout.to_canonical(array) for name, array in found.items()}
    for name, array in parameters.items():
        shape = gradients[f"d{name}"].shape if f"d{name}" in gradients else None
        if shape != array.shape:
            raise BackproofError(f"{network.name}: the gradient of {name} has shape {shape}, needed is {array.shape}")
    values, allowances = central_differences(network, parameters, X, Y)
    return {name: float(np.max(np.abs(gradients[f"d{name}"] - values[name]) / allowances[name])) for name in values}
