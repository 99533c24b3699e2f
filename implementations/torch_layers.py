"""Dense layers in PyTorch: ``nn.Linear``, and one whose backward is written by hand, as people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backproof.training import Array

__all__ = ["LAYERS", "Affine", "Dense", "view"]


def tensor(array: Array) -> Tensor:
    """A copy, whatever the strides: the tensor never shares memory that somebody else may change."""
    copy = np.array(array, order="C")
    if copy.dtype.name == "bfloat16":  # which torch.from_numpy does not know
        return torch.from_numpy(copy.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(copy)


def view(tensor: Tensor) -> Array:
    """The tensor's own memory as an array."""
    kept = tensor.detach()
    if kept.dtype == torch.bfloat16:
        return kept.view(torch.int16).numpy().view("bfloat16")
    array: Array = kept.numpy()
    return array


class Affine(torch.autograd.Function):
    """``Z = A Wᵀ + b`` (m x out), with derivatives by hand: ``dA = dZ W``, ``dW = dZᵀ A``, ``db = Σ dZ``."""

    @staticmethod
    def forward(A: Tensor, W: Tensor, b: Tensor) -> Tensor:
        """Of A (m x in), W (out x in) and b (out); one rounding of ``A Wᵀ + b`` in narrow formats."""
        return torch.addmm(b, A, W.T)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep what the derivatives need."""
        A, W, _ = inputs
        ctx.save_for_backward(A, W)

    @staticmethod
    def backward(ctx: Any, dZ: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """``dA`` (none for the data, which has no derivative), ``dW`` and ``db``."""
        A, W = ctx.saved_tensors
        return dZ @ W if ctx.needs_input_grad[0] else None, dZ.T @ A, dZ.sum(0)


class Dense(nn.Module):
    """A layer that computes through :class:`Affine`."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter) -> None:
        """Take the weight (out x in) and the bias (out)."""
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, A: Tensor) -> Tensor:
        """``Z`` (m x out) of ``A`` (m x in)."""
        Z: Tensor = Affine.apply(A, self.weight, self.bias)
        return Z


def linear(weight: nn.Parameter, bias: nn.Parameter) -> nn.Linear:
    """``nn.Linear`` with the given weight (out x in) and bias (out)."""
    # On the meta device nothing is allocated and no random number is drawn: the weights are given.
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta", dtype=weight.dtype)
    layer.weight, layer.bias = weight, bias
    return layer


LAYERS = {"linear": linear, "autograd_function": Dense}
