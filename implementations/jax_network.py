"""The network in JAX: pure functions, ``jax.jit``, ``jax.value_and_grad``. A witness beside the reference.

Every gradient comes from ``jax.value_and_grad``; nothing here knows a formula of backpropagation (one layer that may be
asked for does: :func:`implementations.jax_layers.by_hand`, written as people write their own). Samples stand in rows
and weights are in x out (``A = g(A_prev W + b)``), and are transposed at the edge: what :func:`record` yields are views
of the arrays that JAX computed.

Deltas are derivatives with respect to zeros: adding a zero to ``Z`` changes no value, and the derivative of
the loss with respect to that zero is ``dZ``; the same with ``A`` and ``dA``. One ``value_and_grad`` has them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from backproof.network import Network
from backproof.training import Array, Parameters, Step, Training
from backproof.variants import one_of
from implementations.jax_layers import LAYERS, dense
from implementations.jax_optimizers import kept, resumed, transformation
from implementations.jax_threads import limit_threads, threads

__all__ = [
    "device", "forward", "limit_threads", "loss", "record", "recorded_step", "step", "threads", "train", "variant",
    "versions",
]  # fmt: skip

# Without this JAX turns every float64 array into float32 and says nothing. Arrays of float32 stay float32.
jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

Arrays = dict[str, jax.Array]
Layer = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

# XLA fuses elementwise operations with what uses them, and contracts a product and a sum inside one fusion to
# an FMA. What it fuses depends on which values are asked for, so a recorded and an unrecorded step would differ
# in last bits, and a recorded delta would not be the one that was used. (The CPU compiler drops
# jax.lax.optimization_barrier before it fuses.) The algebraic simplifier turns a product of inner dimension 1 into a
# multiplication and moves constants through it: then the recorded delta is not the one that was used, either.
SEPARATE_OPERATIONS = {"xla_disable_hlo_passes": "fusion,algsimp"}

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda Z: Z,
}


def activate(network: Network, layer: int, Z: jax.Array) -> jax.Array:
    """``A = g(Z)``. The derivative at 0: ReLU 0, leaky ReLU 1."""
    name = network.activations[layer - 1]
    if name == "softmax":
        return jax.nn.softmax(Z, axis=1)
    if name == "leaky_relu":
        # jax.nn.leaky_relu is jitted and would take a Python float as a float64 argument.
        return jax.nn.leaky_relu(Z, Z.dtype.type(network.slope))
    return ACTIVATIONS[name](Z)


def forward(network: Network, parameters: Arrays, X: jax.Array, zeros: Arrays, layer: Layer = dense) -> Arrays:
    """Every ``Z_l = A_{l-1} W_l + b_l`` (m x out) and ``A_l = g_l(Z_l)``, by name.

    Args:
        parameters: ``W`` (in x out) and ``b`` (out) of every layer.
        X: m x features.
        zeros: what is added to the quantities of these names, to be differentiated; may be empty.
        layer: computes ``A W + b``.
    """
    observed: Arrays = {}

    def observe(name: str, value: jax.Array) -> jax.Array:
        observed[name] = value + zeros[name] if name in zeros else value
        return observed[name]

    A = X
    for index in range(1, network.depth + 1):
        Z = observe(f"Z{index}", layer(A, parameters[f"W{index}"], parameters[f"b{index}"]))
        A = observe(f"A{index}", activate(network, index, Z))
    return observed


def loss(network: Network, output: jax.Array, Y: jax.Array) -> jax.Array:
    """The loss, a scalar, divided by ``Network.divisor``, without its penalty.

    Of logits, cross-entropy is ``-sum y log_softmax(z)`` and binary cross-entropy ``sum softplus(z) - z y``, which is
    ``-(y log a + (1 - y) log(1 - a))`` with ``a = sigma(z)`` and overflows nowhere.

    Args:
        output: m x units; the logits Z where the network's output is joint with its loss, else A.
        Y: one-hot (m x classes), class indices (m x 1, integers), or numbers (m x units).
    """
    if network.loss == "mse":
        total = jnp.sum(jnp.square(output - Y)) * (0.5 if network.half else 1.0)
    elif network.loss == "binary_cross_entropy":
        of_output = -(Y * jnp.log(output) + (1 - Y) * jnp.log1p(-output))
        total = jnp.sum(jax.nn.softplus(output) - output * Y if network.joint else of_output)
    else:
        logarithm = jax.nn.log_softmax(output, axis=1) if network.joint else _log_where_needed(output, Y)
        integer = network.labels == "integer"
        total = -jnp.sum(jnp.take_along_axis(logarithm, Y, axis=1) if integer else Y * logarithm)
    return total / network.divisor(len(output))


def _log_where_needed(A: jax.Array, Y: jax.Array) -> jax.Array:
    """``log a``, and 0 where its label is 0: 0 · log 0 is no number, and neither is its derivative."""
    needed = jnp.arange(A.shape[1]) == Y if Y.shape != A.shape or Y.dtype.kind == "i" else Y != 0
    return jnp.log(jnp.where(needed, A, 1.0))


def _objective(
    parameters: Arrays, zeros: Arrays, network: Network, X: jax.Array, Y: jax.Array, layer: Layer
) -> tuple[jax.Array, Arrays]:
    observed = forward(network, parameters, X, zeros, layer)
    value = loss(network, observed[f"{'Z' if network.joint else 'A'}{network.depth}"], Y)
    if network.weight_decay:
        weights = (parameters[f"W{layer}"] for layer in range(1, network.depth + 1))
        value += network.weight_decay / 2 * sum(jnp.sum(jnp.square(W)) for W in weights)
    return value, observed


def _updated(
    network: Network, parameters: Arrays, gradients: Arrays, state: Any, alpha: jax.Array
) -> tuple[Arrays, Any]:
    """The parameters and optax's state after the update; plain gradient descent needs no optax."""
    if network.optimizer.plain:
        return {name: parameters[name] - alpha * gradients[name] for name in parameters}, state
    updates, state = transformation(network, alpha).update(gradients, state, parameters)
    return optax.apply_updates(parameters, updates), state  # type: ignore[return-value]


@partial(jax.jit, static_argnums=0, static_argnames="layer", compiler_options=SEPARATE_OPERATIONS)
def step(
    network: Network, parameters: Arrays, X: jax.Array, Y: jax.Array, state: Any, alpha: jax.Array, *,
    layer: Layer = dense,
) -> tuple[jax.Array, tuple[Arrays, Any]]:  # fmt: skip
    """The loss; the parameters and the optimizer's state after one step with the learning rate ``alpha``."""
    (value, _), gradients = jax.value_and_grad(_objective, has_aux=True)(parameters, {}, network, X, Y, layer)
    return value, _updated(network, parameters, gradients, state, alpha)


@partial(jax.jit, static_argnums=0, static_argnames="layer", compiler_options=SEPARATE_OPERATIONS)
def recorded_step(
    network: Network, parameters: Arrays, X: jax.Array, Y: jax.Array, state: Any, alpha: jax.Array, *,
    layer: Layer = dense,
) -> tuple[Arrays, tuple[Arrays, Any]]:  # fmt: skip
    """Every quantity of the step in JAX's layout; the parameters and the optimizer's state after it."""
    m = len(X)
    # Where the loss is computed from the logits, the output's A is no operand of it.
    apart = f"A{network.depth}" if network.joint else ""
    names = [name for name in network.shapes(m) if name[0] in "ZA" and name != apart]
    zeros = {name: jnp.zeros(network.shapes(m)[name][::-1], X.dtype) for name in names}
    differentiate = jax.value_and_grad(_objective, argnums=(0, 1), has_aux=True)
    (value, observed), (gradients, deltas) = differentiate(parameters, zeros, network, X, Y, layer)
    derivatives = {f"d{name}": array for name, array in (gradients | deltas).items()}
    return observed | derivatives | {"loss": value}, _updated(network, parameters, gradients, state, alpha)


def _canonical(array: jax.Array) -> Array:
    """A view: features x samples, out x in, out x 1, or the scalar."""
    view = np.asarray(array)
    return view[:, None] if view.ndim == 1 else view.T


def _native(arrays: Mapping[str, Array]) -> Arrays:
    """Weights in x out and biases, and what an optimizer keeps of them."""
    return {name: jnp.array(array.T if "W" in name else array[:, 0]) for name, array in arrays.items()}


def _start(training: Training) -> tuple[Arrays, Any]:
    network, parameters = training.network, _native(training.parameters)
    state = transformation(network, 0.0).init(parameters)  # the rate is no part of the state
    if training.first or training.state:
        state = resumed(network, state, _native(training.start), training.first)
    return parameters, state


def _rate(training: Training, m: int, index: int) -> jax.Array:
    """The step size in the run's format; an argument, so that a schedule compiles nothing anew."""
    return jnp.asarray(training.network.step_size(m, index), training.dtype)


def _views(arrays: Arrays) -> dict[str, Array]:
    return {name: _canonical(array) for name, array in arrays.items()}


def _data(training: Training, samples: Array | None) -> tuple[jax.Array, jax.Array]:
    # jnp.array copies; jnp.asarray may share NumPy's memory with whoever changes it next.
    X, Y = training.batch(samples)
    return jnp.array(X.T), jnp.array(Y.T)


def _batches(training: Training) -> Iterator[tuple[int, Array | None, jax.Array, jax.Array]]:
    whole: tuple[jax.Array, jax.Array] | None = None
    for index, samples in enumerate(training.batches, training.first):
        if samples is None:
            whole = whole or _data(training, None)
            yield index, None, *whole
        else:
            # Gathered by NumPy, which refuses an index outside the data; JAX would clamp it and say nothing.
            yield index, samples, *_data(training, samples)


def variant(layer: str = "dot", jit: bool = True) -> SimpleNamespace:
    """The same implementation with other means.

    Args:
        layer: ``dot``, or ``custom_vjp`` (derivatives written by hand).
        jit: compile a step as one program; False computes it operation by operation.

    Raises:
        BackproofError: for a value that there is not.
    """
    means: dict[str, Any] = {
        "layer": LAYERS[one_of("layer", layer, LAYERS)],
        "jit": bool(one_of("jit", jit, (True, False))),
    }
    return SimpleNamespace(
        record=partial(record, **means), train=partial(train, **means),
        versions=versions, threads=threads, device=device, limit_threads=limit_threads,
    )  # fmt: skip


def record(training: Training, layer: Layer = dense, jit: bool = True) -> Iterator[Step]:
    """Train, and yield every step in the canonical form: transposed views of what JAX held in rows.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    network = training.network
    parameters, state = _start(training)
    before = _views(parameters | kept(network, state))
    for index, samples, X, Y in _batches(training):
        rate = _rate(training, len(X), index)
        # Around a step and nothing else: a generator that waits must not leave everybody else without jit.
        with jax.disable_jit(not jit):
            observed, (parameters, state) = recorded_step(network, parameters, X, Y, state, rate, layer=layer)
        after = _views(parameters | kept(network, state))
        tensors = _views(observed) | before | {f"{name}_next": array for name, array in after.items()}
        yield Step(index, samples, tensors)
        before = after


def train(training: Training, layer: Layer = dense, jit: bool = True) -> Parameters:
    """Train without observing; the final parameters in the canonical form, C-contiguous copies.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    parameters, state = _start(training)
    for index, _, X, Y in _batches(training):
        rate = _rate(training, len(X), index)
        with jax.disable_jit(not jit):
            _, (parameters, state) = step(training.network, parameters, X, Y, state, rate, layer=layer)
    return {name: np.array(view, order="C") for name, view in _views(parameters).items()}


def versions() -> dict[str, str]:
    """The libraries that compute."""
    return {name: version(name) for name in ("jax", "jaxlib", "optax")}


def device() -> str:
    """Where JAX puts what it computes with: ``cpu``, or the platform and kind of an accelerator."""
    (where,) = jnp.zeros(1).devices()
    return "cpu" if where.platform == "cpu" else f"{where.platform} ({where.device_kind})"
