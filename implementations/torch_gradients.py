"""Ways to have PyTorch differentiate a step: ``backward``, ``backward`` of a compiled program, ``torch.func``.

Each leaves the parameters' gradients in ``.grad``, and returns the loss and the deltas of what it was asked to observe.
The second and third have deltas as derivatives with respect to zeros that are added to Z and A: what a compiled program
or a functional transformation hands out is no longer the tensor that the loss went through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]
Objective = Callable[[Any, Tensor, Tensor, Tensors | None, Mapping[str, Tensor]], Tensor]
"""The loss of ``(model, X, Y, observed, zeros)``."""
Differentiate = Callable[[Tensor, Tensor, Tensors | None], tuple[Tensor, Tensors]]
"""``(X, Y, observed) -> (loss, deltas by name)``; ``observed`` is filled, and without it there are no deltas."""


class _Loss(nn.Module):
    """A model with its objective: a module that leaves the loss and everything observed."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, X: Tensor, Y: Tensor, zeros: Tensors) -> tuple[Tensor, Tensors]:
        observed: Tensors = {}
        value = self.objective(self.model, X, Y, observed if zeros else None, zeros)
        return value, observed


def backward(objective: Objective, model: Any) -> Differentiate:
    """``Tensor.backward``; the deltas are the gradients that Z and A retain."""

    def differentiate(X: Tensor, Y: Tensor, observed: Tensors | None) -> tuple[Tensor, Tensors]:
        model.zero_grad(set_to_none=True)
        value = objective(model, X, Y, observed, {})
        seen = observed or {}
        for tensor in seen.values():
            tensor.retain_grad()
        value.backward()  # type: ignore[no-untyped-call]
        return value, {name: tensor.grad for name, tensor in seen.items() if tensor.grad is not None}

    return differentiate


def compiled(backend: str, objective: Objective, model: Any) -> Differentiate:
    """``Tensor.backward`` of what ``torch.compile`` made, one program for each shape, and no way around it."""
    # Programs of earlier runs count towards a limit beyond which PyTorch computes uncompiled, or fails (fullgraph).
    torch.compiler.reset()
    program = torch.compile(_Loss(model, objective), backend=backend, fullgraph=True, dynamic=False)

    def differentiate(X: Tensor, Y: Tensor, observed: Tensors | None) -> tuple[Tensor, Tensors]:
        model.zero_grad(set_to_none=True)
        zeros = _zeros(model, X, observed)
        for zero in zeros.values():
            zero.requires_grad_()
        value, seen = program(X, Y, zeros)
        value.backward()
        if observed is not None:
            observed |= seen
        return value, {name: zero.grad for name, zero in zeros.items() if zero.grad is not None}

    return differentiate


def functional(objective: Objective, model: Any) -> Differentiate:
    """``torch.func``: ``grad_and_value`` of a ``functional_call``, nothing recorded on tensors."""
    module = _Loss(model, objective)
    parameters = dict(module.named_parameters())

    def call(parameters: Tensors, zeros: Tensors, X: Tensor, Y: Tensor) -> tuple[Tensor, Tensors]:
        found: tuple[Tensor, Tensors] = torch.func.functional_call(module, parameters, (X, Y, zeros))
        return found

    derivatives = torch.func.grad_and_value(call, argnums=(0, 1), has_aux=True)

    def differentiate(X: Tensor, Y: Tensor, observed: Tensors | None) -> tuple[Tensor, Tensors]:
        start = {name: parameter.detach() for name, parameter in parameters.items()}
        (gradients, deltas), (value, seen) = derivatives(start, _zeros(model, X, observed), X, Y)
        for name, parameter in parameters.items():
            parameter.grad = gradients[name]
        if observed is not None:
            observed |= seen
        return value, deltas

    return differentiate


def _zeros(model: Any, X: Tensor, observed: Tensors | None) -> Tensors:
    """A zero for every Z and A that the loss goes through; none where nothing is observed."""
    if observed is None:
        return {}
    network = model.network
    apart = f"A{network.depth}" if network.joint else ""
    shapes = network.shapes(len(X))
    return {n: X.new_zeros(shapes[n][::-1]) for n in shapes if n[0] in "ZA" and n != apart}
