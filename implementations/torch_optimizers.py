"""``torch.optim``'s own optimizers, set to a specification, and the state that they keep.

Set equal on purpose, whatever PyTorch's defaults are: AdamW's decay (1e-2 here, 1e-4 in optax), RMSprop's decay (0.99;
optax 0.9) and its ε, which PyTorch adds to the root and optax, by default, inside it. PyTorch has no ε inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from backproof.errors import BackproofError
from backproof.network import Network

KEPT = {"v": "momentum_buffer", "m": "exp_avg", "s": "exp_avg_sq"}
"""Kind of state -> what ``torch.optim`` calls it."""


def optimizer_of(network: Network, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that the network asks for.

    Raises:
        BackproofError: for one that ``torch.optim`` has not.
    """
    said, rate = network.optimizer, network.learning_rate
    if said.epsilon_inside:
        raise BackproofError(
            f"{network.name}: torch.optim's {said.name} has no ε inside the root; set epsilon_inside = false, "
            "or leave the implementation out"
        )
    if said.name in ("sgd", "momentum", "nesterov"):
        momentum = 0.0 if said.name == "sgd" else said.momentum
        ahead = said.name == "nesterov"
        return torch.optim.SGD(parameters, rate, momentum, weight_decay=said.coupled, nesterov=ahead)
    if said.name == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, said.decay, said.epsilon, said.coupled)
    kind = torch.optim.AdamW if said.name == "adamw" else torch.optim.Adam
    return kind(parameters, rate, said.betas, said.epsilon, said.decoupled or said.coupled)


def resume(
    network: Network, optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter],
    state: Mapping[str, Tensor], steps: int,
) -> None:  # fmt: skip
    """Put the state that ``steps`` steps have left, by the suite's names, in the place of an optimizer's first one."""
    for name, parameter in named.items():
        own = {_key(network, kind): state[kind] for kind in network.optimizer.state(name)}
        if not isinstance(optimizer, torch.optim.SGD):
            own["step"] = torch.tensor(float(steps))  # as torch.optim makes it: float32, on the CPU
        optimizer.state[parameter] = own


def _key(network: Network, kind: str) -> str:
    return "square_avg" if network.optimizer.name == "rmsprop" else KEPT[kind[0]]


def kept(network: Network, optimizer: torch.optim.Optimizer, named: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The state by the suite's names, read from ``optimizer.state``; zeros before it has any."""
    found = {}
    for name, parameter in named.items():
        for state in network.optimizer.state(name):
            found[state] = optimizer.state[parameter].get(_key(network, state), torch.zeros_like(parameter))
    return found
