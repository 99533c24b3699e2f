"""Backpropagation by hand, in NumPy: the suite's first witness.

    forward     Z_l = W_l A_{l-1} + b_l      A_l = g_l(Z_l)
    output      dZ_L = (A_L - Y) / divisor      or dA_L = dloss/dA_L, dZ_L = dA_L * g'(Z_L)
    backward    dW_l = dZ_l A_{l-1}^T        db_l = sum over samples of dZ_l
                dA_{l-1} = W_l^T dZ_l        dZ_{l-1} = dA_{l-1} * g'(Z_{l-1})
    update      W_l <- W_l - alpha dW_l      b_l <- b_l - alpha db_l      (or another optimizer's)

``dZ`` is always the derivative of the loss itself, 1/m included, so dW and db hold no 1/m of their own.
(Nielsen, *Neural Networks and Deep Learning*, chapter 2, BP1-BP4; Goodfellow et al., *Deep Learning*, 6.5.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.network import Network
from backproof.training import Parameters, Step, Training
from reference.activations import activate, through
from reference.formats import wide
from reference.initialisation import initial_parameters
from reference.layouts import LAYOUTS, Layout, SequentialColumns
from reference.optimizers import update
from reference.output import objective, output, output_delta

__all__ = ["backpropagate", "forward", "initial_parameters", "record", "threads", "train", "versions"]

Array = NDArray[Any]
Tensors = dict[str, Array]


def forward(
    network: Network, parameters: Parameters, X: Array, layout: Layout, observed: Tensors | None = None
) -> tuple[list[Array], Array]:
    """All layers' activations ``[X, A_1, ..., A_{L-1}]`` and the logits ``Z_L``, in the given layout.

    Every Z and A goes into ``observed`` when there is one; without it each hidden A overwrites its Z.
    """
    activations = [X]
    for layer in range(1, network.depth):
        Z = layout.affine(parameters[f"W{layer}"], activations[-1], parameters[f"b{layer}"])
        name = network.activations[layer - 1]
        A = activate(name, Z, network.slope, out=Z if observed is None else None)
        activations.append(A)
        if observed is not None:
            observed |= {f"Z{layer}": Z, f"A{layer}": A}
    L = network.depth
    Z = layout.affine(parameters[f"W{L}"], activations[-1], parameters[f"b{L}"])
    if observed is not None:
        observed |= {f"Z{L}": Z, f"A{L}": output(network, Z, layout)}
    return activations, Z


# BLAS kernels raise the processor's flags for lanes that they discard, and a run that diverges overflows: both are
# judged by the values that are recorded, not by warnings.
@np.errstate(over="ignore", invalid="ignore")
def backpropagate(
    network: Network, parameters: Parameters, X: Array, Y: Array, layout: Layout, observed: Tensors | None = None
) -> tuple[Array, Tensors]:
    """Loss and gradients of one batch, everything in the given layout.

    Returns:
        the loss, and ``{"dW1": ..., "db1": ..., ...}``, each of the shape of its parameter.
    """
    activations, Z = forward(network, parameters, X, layout, observed)
    A_L = None if network.joint else output(network, Z, layout)
    value = objective(network, parameters, wide(Z), None if A_L is None else wide(A_L), Y, layout)
    dZ = output_delta(network, wide(Z), A_L, Y, layout, observed).astype(Z.dtype, copy=False)
    gradients = {}
    for layer in range(network.depth, 0, -1):
        A = activations.pop()
        gradients[f"dW{layer}"] = layout.weight_gradient(dZ, A)
        if network.weight_decay:
            gradients[f"dW{layer}"] += network.weight_decay * parameters[f"W{layer}"]
        gradients[f"db{layer}"] = layout.bias_gradient(dZ)
        if observed is not None:
            observed[f"dZ{layer}"] = dZ
        if layer > 1:
            dA = layout.back(parameters[f"W{layer}"], dZ)
            name = network.activations[layer - 2]
            dZ = through(name, dA, A, network.slope, out=dA if observed is None else None)
            if observed is not None:
                observed[f"dA{layer - 1}"] = dA
    return value, gradients


def _native(training: Training, layout: Layout) -> Parameters:
    return {name: layout.to_native(array).copy() for name, array in training.start.items()}


def _batches(training: Training, layout: Layout) -> Iterator[tuple[int, Array | None, Array, Array]]:
    whole: tuple[Array, Array] | None = None
    for index, samples in enumerate(training.batches, training.first):
        if samples is not None:
            X, Y = training.batch(samples)
            yield index, samples, layout.to_native(X), layout.to_native(Y)
            continue
        if whole is None:
            whole = layout.to_native(training.X), layout.to_native(training.Y)
        yield index, None, *whole


def record(training: Training, summation: str = "default") -> Iterator[Step]:
    """Train, and yield every step in the canonical form.

    Args:
        summation: ``sequential`` adds front to back (with samples in columns): an equally honest order that
            rounds the most. A replica of the reference for the agreement check.
    """
    network = training.network
    layout = SequentialColumns if summation == "sequential" else LAYOUTS[network.layout]
    parameters = _native(training, layout)
    for index, samples, X, Y in _batches(training, layout):
        alpha = training.dtype.type(network.step_size(X.shape[1 - layout.class_axis], index))
        observed: Tensors = dict(parameters)
        value, gradients = backpropagate(network, parameters, X, Y, layout, observed)
        parameters = update(network.optimizer, parameters, gradients, alpha, index + 1)
        observed |= gradients | {f"{name}_next": array for name, array in parameters.items()}
        tensors = {name: layout.to_canonical(array) for name, array in observed.items()}
        yield Step(index, samples, tensors | {"loss": np.asarray(value, training.dtype)})


def train(training: Training) -> Parameters:
    """Train without observing; the final parameters in the canonical form, C-contiguous."""
    network = training.network
    layout = LAYOUTS[network.layout]
    parameters = _native(training, layout)
    for index, _, X, Y in _batches(training, layout):
        alpha = training.dtype.type(network.step_size(X.shape[1 - layout.class_axis], index))
        _, gradients = backpropagate(network, parameters, X, Y, layout)
        if network.optimizer.plain:  # in place: no second copy of every parameter
            for name in parameters:
                parameters[name] -= alpha * gradients[f"d{name}"]
        else:
            parameters = update(network.optimizer, parameters, gradients, alpha, index + 1)
    return {name: np.ascontiguousarray(layout.to_canonical(parameters[name])) for name in training.parameters}


def versions() -> dict[str, str]:
    """The library that computes."""
    return {"numpy": np.__version__}


def threads() -> int:
    """Threads of NumPy's BLAS, or 1 where none can be told."""
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
