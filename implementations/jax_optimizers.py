"""optax's own optimizers, set to a specification, and the state that they keep.

Set equal on purpose, whatever optax's defaults are: AdamW's decay (1e-2 as in PyTorch; optax has 1e-4), RMSprop's decay
(0.99; optax 0.9) and its ε, which optax adds inside the root by default. A coupled decay stands before the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from backproof.network import Network

KEPT = {"v": "trace", "m": "mu", "s": "nu"}
"""Kind of state -> what optax calls it."""


def transformation(network: Network, alpha: Any) -> optax.GradientTransformation:
    """The optimizer that the network asks for, with the learning rate ``alpha``."""
    said = network.optimizer
    inside, outside = (said.epsilon, 0.0) if said.epsilon_inside else (0.0, said.epsilon)
    if said.name in ("sgd", "momentum", "nesterov"):
        momentum = None if said.name == "sgd" else said.momentum
        found = optax.sgd(alpha, momentum, nesterov=said.name == "nesterov")
    elif said.name == "rmsprop":
        found = optax.rmsprop(alpha, said.decay, said.epsilon, eps_in_sqrt=said.epsilon_inside)
    elif said.name == "adamw":
        found = optax.adamw(alpha, *said.betas, outside, inside, weight_decay=said.decoupled)
    else:
        found = optax.adam(alpha, *said.betas, outside, inside)
    return optax.chain(optax.add_decayed_weights(said.coupled), found) if said.coupled else found


def resumed(network: Network, state: Any, start: Mapping[str, jax.Array], steps: int) -> Any:
    """optax's state with what ``steps`` steps have left, by the suite's names, in the place of its first one."""
    parameters = network.parameter_shapes()
    values: dict[str, Any] = {}
    for kind in {name[0] for name in network.optimizer.state("")}:
        values[KEPT[kind]] = {name: start[f"{kind}{name}"] for name in parameters}
    if network.optimizer.name in ("adam", "adamw"):
        values["count"] = jnp.asarray(steps, jnp.int32)
    return optax.tree.set(state, **values) if values else state


def kept(network: Network, state: Any) -> dict[str, jax.Array]:
    """The state by the suite's names, from optax's own."""
    found = {}
    for kind in {name[0] for name in network.optimizer.state("")}:
        arrays: Mapping[str, jax.Array] = optax.tree.get(state, KEPT[kind])
        found |= {f"{kind}{name}": array for name, array in arrays.items()}
    return found
