"""The output layer: its activation, the loss, and the delta ``dZ_L`` that the backward pass begins with.

Where activation and loss are one function of the logits (``Network.joint``), ``A`` is None and everything follows from
``Z``; elsewhere the loss is a function of the output ``A``, and ``dZ_L = dA_L * g'(Z_L)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.network import Network
from backproof.training import Parameters
from reference import losses
from reference.activations import activate, softmax, through, through_softmax
from reference.formats import wide
from reference.layouts import Layout

Array = NDArray[Any]
Tensors = dict[str, Array]


def loss(network: Network, Z: Array, A: Array | None, Y: Array, layout: Layout) -> Array:
    """The network's loss, without its penalty: of the logits ``Z``, or of the output ``A`` where there is one."""
    axis = layout.class_axis
    divisor = network.divisor(Z.shape[1 - axis])
    if A is None:
        if network.loss == "cross_entropy":
            return losses.cross_entropy(Z, Y, axis, divisor)
        return losses.binary_cross_entropy(Z, Y, divisor)
    if network.loss == "mse":
        return losses.mean_squared_error(A, Y, divisor, network.half)
    if network.loss == "cross_entropy":
        return losses.cross_entropy_of_output(A, Y, axis, divisor)
    return losses.binary_cross_entropy_of_output(A, Y, divisor)


def sample_losses(network: Network, Z: Array, A: Array | None, Y: Array) -> Array:
    """What each sample (column) adds to :func:`loss`, undivided: the same terms, summed over its units."""
    if A is None:
        joint = network.loss == "cross_entropy"
        terms = losses.cross_entropy_terms(Z, Y, 0) if joint else losses.binary_cross_entropy_terms(Z, Y)
    elif network.loss == "mse":
        terms = losses.mean_squared_error_terms(A, Y)
        terms = terms / 2 if network.half else terms
    elif network.loss == "cross_entropy":
        terms = losses.cross_entropy_of_output_terms(A, Y, 0)
    else:
        terms = losses.binary_cross_entropy_of_output_terms(A, Y)
    return np.asarray(terms.sum(axis=0))


def output_gradient(network: Network, A: Array, Y: Array, layout: Layout) -> Array:
    """``dA_L``, the derivative of the loss with respect to the output ``A``."""
    axis = layout.class_axis
    divisor = network.divisor(A.shape[1 - axis])
    if network.loss == "mse":
        return losses.mean_squared_error_gradient(A, Y, divisor, network.half)
    if network.loss == "cross_entropy":
        return losses.cross_entropy_gradient(A, Y, axis, divisor)
    return losses.binary_cross_entropy_gradient(A, Y, divisor)


def output_delta(
    network: Network, Z: Array, A: Array | None, Y: Array, layout: Layout, observed: Tensors | None = None
) -> Array:
    """``dZ_L``, the derivative of the loss with respect to the logits ``Z``; dA_L, if any, goes into ``observed``."""
    axis = layout.class_axis
    divisor = network.divisor(Z.shape[1 - axis])
    if A is None:
        if network.loss == "cross_entropy":
            return losses.cross_entropy_delta(Z, Y, axis, divisor)
        return losses.binary_cross_entropy_delta(Z, Y, divisor)
    dA, name = output_gradient(network, A, Y, layout), network.activations[-1]
    if observed is not None:
        observed[f"dA{network.depth}"] = dA
    return through_softmax(dA, A, axis) if name == "softmax" else through(name, dA, A, network.slope)


def output(network: Network, Z: Array, layout: Layout) -> Array:
    """``A_L = g(Z_L)``."""
    name = network.activations[-1]
    return softmax(Z, layout.class_axis) if name == "softmax" else activate(name, Z, network.slope)


def objective(network: Network, parameters: Parameters, Z: Array, A: Array | None, Y: Array, layout: Layout) -> Array:
    """The loss with its penalty, if there is one: what the gradients are the derivatives of."""
    value = loss(network, Z, A, Y, layout)
    return value + penalty(network, parameters).astype(value.dtype) if network.weight_decay else value


def penalty(network: Network, parameters: Parameters) -> Array:
    """``λ/2 sum W^2`` over all weights, in the run's format."""
    weights = [wide(parameters[f"W{layer}"]) for layer in range(1, network.depth + 1)]
    return np.asarray(network.weight_decay / 2 * sum((W * W).sum() for W in weights))
