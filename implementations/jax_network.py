"""The network in JAX: pure functions, ``jax.jit``, ``jax.value_and_grad``. A witness beside the reference.

Every gradient comes from ``jax.value_and_grad``; nothing here knows a formula of backpropagation. Samples
stand in rows and weights are in x out (``A = g(A_prev W + b)``), and are transposed at the edge: what
:func:`record` yields are views of the arrays that JAX computed.

Deltas are derivatives with respect to zeros: adding a zero to ``Z`` changes no value, and the derivative of
the loss with respect to that zero is ``dZ``; the same with ``A`` and ``dA``. One ``value_and_grad`` has them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np

from backproof.network import Network
from backproof.training import Array, Parameters, Step, Training

__all__ = ["device", "forward", "loss", "record", "recorded_step", "step", "threads", "train", "versions"]

# Without this JAX turns every float64 array into float32 and says nothing. Arrays of float32 stay float32.
jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

Arrays = dict[str, jax.Array]

# XLA fuses elementwise operations with what uses them, and contracts a product and a sum inside one fusion to
# an FMA. What it fuses depends on which values are asked for, so a recorded and an unrecorded step would differ
# in last bits, and a recorded delta would not be the one that was used. (The CPU compiler drops
# jax.lax.optimization_barrier before it fuses.)
SEPARATE_OPERATIONS = {"xla_disable_hlo_passes": "fusion"}

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda Z: Z,
}


def activate(network: Network, layer: int, Z: jax.Array) -> jax.Array:
    """``A = g(Z)`` of a hidden layer, elementwise. The derivative at 0: ReLU 0, leaky ReLU 1."""
    name = network.activations[layer - 1]
    if name == "leaky_relu":
        # jax.nn.leaky_relu is jitted and would take a Python float as a float64 argument.
        return jax.nn.leaky_relu(Z, Z.dtype.type(network.slope))
    return ACTIVATIONS[name](Z)


def forward(network: Network, parameters: Arrays, X: jax.Array, zeros: Arrays) -> Arrays:
    """Every ``Z_l = A_{l-1} W_l + b_l`` (m x out) and ``A_l = g_l(Z_l)``, by name.

    Args:
        parameters: ``W`` (in x out) and ``b`` (out) of every layer.
        X: m x features.
        zeros: what is added to the quantities of these names, to be differentiated; may be empty.
    """
    observed: Arrays = {}

    def observe(name: str, value: jax.Array) -> jax.Array:
        observed[name] = value + zeros[name] if name in zeros else value
        return observed[name]

    A = X
    for layer in range(1, network.depth):
        Z = observe(f"Z{layer}", A @ parameters[f"W{layer}"] + parameters[f"b{layer}"])
        A = observe(f"A{layer}", activate(network, layer, Z))
    L = network.depth
    Z = observe(f"Z{L}", A @ parameters[f"W{L}"] + parameters[f"b{L}"])
    observe(f"A{L}", jax.nn.softmax(Z, axis=1) if network.loss == "cross_entropy" else jax.nn.sigmoid(Z))
    return observed


def loss(network: Network, Z: jax.Array, Y: jax.Array) -> jax.Array:
    """The loss of the logits ``Z`` (m x units), a scalar, divided by ``Network.divisor``.

    Cross-entropy is ``-sum y log_softmax(z)``; binary cross-entropy ``sum softplus(z) - z y``, which is
    ``-(y log a + (1 - y) log(1 - a))`` with ``a = sigma(z)`` and overflows nowhere.

    Args:
        Y: one-hot (m x classes), class indices (m x 1, integers), or zeros and ones (m x units).
    """
    if network.loss == "binary_cross_entropy":
        total = jnp.sum(jax.nn.softplus(Z) - Z * Y)
    elif network.labels == "integer":
        total = -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(Z, axis=1), Y, axis=1))
    else:
        total = -jnp.sum(Y * jax.nn.log_softmax(Z, axis=1))
    return total / network.divisor(len(Z))


def _objective(
    parameters: Arrays, zeros: Arrays, network: Network, X: jax.Array, Y: jax.Array
) -> tuple[jax.Array, Arrays]:
    observed = forward(network, parameters, X, zeros)
    return loss(network, observed[f"Z{network.depth}"], Y), observed


def _updated(network: Network, parameters: Arrays, gradients: Arrays, m: int) -> Arrays:
    # A Python float is weakly typed: it takes the arrays' format and never widens it.
    alpha = network.step_size(m)
    return {name: parameters[name] - alpha * gradients[name] for name in parameters}


@partial(jax.jit, static_argnums=0, compiler_options=SEPARATE_OPERATIONS)
def step(network: Network, parameters: Arrays, X: jax.Array, Y: jax.Array) -> tuple[jax.Array, Arrays]:
    """The loss and the parameters after one step of gradient descent."""
    (value, _), gradients = jax.value_and_grad(_objective, has_aux=True)(parameters, {}, network, X, Y)
    return value, _updated(network, parameters, gradients, len(X))


@partial(jax.jit, static_argnums=0, compiler_options=SEPARATE_OPERATIONS)
def recorded_step(network: Network, parameters: Arrays, X: jax.Array, Y: jax.Array) -> tuple[Arrays, Arrays]:
    """Every quantity of the step in JAX's layout, and the parameters after it."""
    m = len(X)
    # The output's A is no operand of the loss, which is computed from the logits.
    names = [name for name in network.shapes(m) if name[0] in "ZA" and name != f"A{network.depth}"]
    zeros = {name: jnp.zeros(network.shapes(m)[name][::-1], X.dtype) for name in names}
    differentiate = jax.value_and_grad(_objective, argnums=(0, 1), has_aux=True)
    (value, observed), (gradients, deltas) = differentiate(parameters, zeros, network, X, Y)
    derivatives = {f"d{name}": array for name, array in (gradients | deltas).items()}
    return observed | derivatives | {"loss": value}, _updated(network, parameters, gradients, m)


def _canonical(array: jax.Array) -> Array:
    """A view: features x samples, out x in, out x 1, or the scalar."""
    view = np.asarray(array)
    return view[:, None] if view.ndim == 1 else view.T


def _initial(training: Training) -> Arrays:
    return {
        name: jnp.array(array.T if name.startswith("W") else array[:, 0]) for name, array in training.parameters.items()
    }


def _views(arrays: Arrays) -> dict[str, Array]:
    return {name: _canonical(array) for name, array in arrays.items()}


def _data(training: Training, samples: Array | None) -> tuple[jax.Array, jax.Array]:
    # jnp.array copies; jnp.asarray may share NumPy's memory with whoever changes it next.
    X, Y = training.batch(samples)
    return jnp.array(X.T), jnp.array(Y.T)


def _batches(training: Training) -> Iterator[tuple[int, Array | None, jax.Array, jax.Array]]:
    whole: tuple[jax.Array, jax.Array] | None = None
    for index, samples in enumerate(training.batches):
        if samples is None:
            whole = whole or _data(training, None)
            yield index, None, *whole
        else:
            # Gathered by NumPy, which refuses an index outside the data; JAX would clamp it and say nothing.
            yield index, samples, *_data(training, samples)


def record(training: Training) -> Iterator[Step]:
    """Train, and yield every step in the canonical form: transposed views of what JAX held in rows.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    network = training.network
    parameters = _initial(training)
    before = _views(parameters)
    for index, samples, X, Y in _batches(training):
        observed, parameters = recorded_step(network, parameters, X, Y)
        after = _views(parameters)
        tensors = _views(observed) | before | {f"{name}_next": array for name, array in after.items()}
        yield Step(index, samples, tensors)
        before = after


def train(training: Training) -> Parameters:
    """Train without observing; the final parameters in the canonical form, C-contiguous copies.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    parameters = _initial(training)
    for _, _, X, Y in _batches(training):
        _, parameters = step(training.network, parameters, X, Y)
    return {name: np.array(view, order="C") for name, view in _views(parameters).items()}


def versions() -> dict[str, str]:
    """The libraries that compute."""
    return {name: version(name) for name in ("jax", "jaxlib")}


def threads() -> int:
    """Size of the thread pool that XLA computes with on a CPU, which JAX itself does not tell.

    XLA takes PJRT_NPROC, else NPROC, else the processors that the process may run on (``DefaultThreadPoolSize``
    in xla/pjrt/utils.cc), once, when its client is made.
    """
    for variable in ("PJRT_NPROC", "NPROC"):
        value = os.environ.get(variable, "")
        if value.isdecimal():
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> str:
    """Where JAX puts what it computes with: ``cpu``, or the platform and kind of an accelerator."""
    (where,) = jnp.zeros(1).devices()
    return "cpu" if where.platform == "cpu" else f"{where.platform} ({where.device_kind})"
