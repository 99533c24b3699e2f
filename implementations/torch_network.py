"""The network in PyTorch: ``nn.Linear`` layers, autograd, ``torch.optim``. A witness beside the reference.

Every gradient comes from autograd; nothing here knows a formula of backpropagation (one layer that may be asked for
does: :class:`implementations.torch_layers.Affine`, written as people write their own). Samples stand
in rows (``A = g(A_prev W^T + b)``, W out x in), as PyTorch has them, and are transposed at the edge:
what :func:`record` yields are views of the tensors that PyTorch computed with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backproof.network import Network
from backproof.training import Array, Parameters, Step, Training
from backproof.variants import one_of
from implementations.torch_gradients import Differentiate, backward, compiled, functional
from implementations.torch_layers import LAYERS, view
from implementations.torch_layers import tensor as _tensor
from implementations.torch_optimizers import kept, optimizer_of, resume

__all__ = ["DenseNetwork", "device", "limit_threads", "loss", "record", "threads", "train", "variant", "versions"]

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def activate(network: Network, layer: int, Z: Tensor) -> Tensor:
    """``A = g(Z)``, never in place (Z is recorded)."""
    name = network.activations[layer - 1]
    if name == "identity":
        return Z.clone()  # a tensor of its own, with a gradient of its own
    if name == "softmax":
        return torch.softmax(Z, dim=1)
    return F.leaky_relu(Z, network.slope) if name == "leaky_relu" else ACTIVATIONS[name](Z)


def loss(network: Network, output: Tensor, Y: Tensor) -> Tensor:
    """The loss, a scalar, divided by ``Network.divisor``, without its penalty.

    PyTorch's ``mean`` is over samples in ``cross_entropy`` and over samples and units in ``mse_loss`` and
    ``binary_cross_entropy_with_logits`` (torch.nn.functional), which is what ``Network.divisor`` states.

    Args:
        output: m x units; the logits Z where the network's output is joint with its loss, else A.
        Y: class probabilities (m x classes), class indices (m, int64), or numbers (m x units).
    """
    reduction, divisor = network.reduction, 1
    if reduction == "mean_over_samples":
        reduction, divisor = "sum", len(output)
    if network.loss == "mse":
        value = F.mse_loss(output, Y, reduction=reduction)
        value = value / 2 if network.half else value
    elif network.joint:
        function = F.cross_entropy if network.loss == "cross_entropy" else F.binary_cross_entropy_with_logits
        value = function(output, Y, reduction=reduction)
    elif network.loss == "cross_entropy":
        chosen = output.gather(1, Y[:, None]) if Y.dtype == torch.int64 else output[Y != 0]
        weights = 1.0 if Y.dtype == torch.int64 else Y[Y != 0]
        value, divisor = -(weights * torch.log(chosen)).sum(), network.divisor(len(output))
    else:
        terms = Y * torch.log(output) + (1 - Y) * torch.log1p(-output)
        value, divisor = -terms.sum(), network.divisor(len(output))
    return value if divisor == 1 else value / divisor


class DenseNetwork(nn.Module):
    """``Z_l = A_{l-1} W_l^T + b_l``, ``A_l = g_l(Z_l)`` on a copy of the given parameters.

    Attributes:
        layers: one module (weight out x in, bias out) for each layer, the first at index 0.
    """

    def __init__(self, network: Network, parameters: Mapping[str, Array], layer: str = "linear") -> None:
        """Copy ``parameters`` (canonical form) into layers of the kind ``layer``, bit for bit."""
        super().__init__()
        self.network = network
        pairs = ((parameters[f"W{index}"], parameters[f"b{index}"]) for index in range(1, network.depth + 1))
        made = LAYERS[layer]
        self.layers = nn.ModuleList(made(nn.Parameter(_tensor(W)), nn.Parameter(_tensor(b[:, 0]))) for W, b in pairs)

    def forward(
        self, X: Tensor, observed: dict[str, Tensor] | None = None, zeros: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """What the loss is a function of (m x units), of ``X`` (m x features): the logits ``Z_L``, or ``A_L``.

        Every Z and A is put into ``observed`` when there is one (logits under ``A_L`` where the loss wants those).
        Those with a name in ``zeros`` have that zero added, to be differentiated.
        """
        A, zeros = X, zeros or {}
        for layer, linear in enumerate(self.layers, start=1):
            Z = linear(A)
            Z = Z + zeros[f"Z{layer}"] if f"Z{layer}" in zeros else Z
            logits = layer == self.network.depth and self.network.joint
            A = Z if logits else activate(self.network, layer, Z)
            A = A + zeros[f"A{layer}"] if f"A{layer}" in zeros else A
            if observed is not None:
                observed |= {f"A{layer}": A, f"Z{layer}": Z}
        return A


def objective(
    model: DenseNetwork, X: Tensor, Y: Tensor, observed: dict[str, Tensor] | None, zeros: Mapping[str, Tensor]
) -> Tensor:
    """The loss of a batch with the penalty ``λ/2 Σ W²``, if any: what is differentiated."""
    network = model.network
    value = loss(network, model(X, observed, zeros), Y)
    if not network.weight_decay:
        return value
    weights = [parameter for name, parameter in _named_parameters(model).items() if name.startswith("W")]
    return value + network.weight_decay / 2 * torch.stack([W.square().sum() for W in weights]).sum()


def _data(training: Training) -> tuple[Tensor, Tensor]:
    X = _tensor(training.X.T)
    if training.network.labels == "integer":
        return X, _tensor(training.Y[0]).long()
    return X, _tensor(training.Y.T).to(X.dtype)


def _batches(training: Training) -> Iterator[tuple[int, Array | None, Tensor, Tensor]]:
    X, Y = _data(training)
    for index, samples in enumerate(training.batches, training.first):
        if samples is None:
            yield index, None, X, Y
        else:
            rows = _tensor(samples)
            yield index, samples, X[rows], Y[rows]


def _start(training: Training, layer: str) -> tuple[DenseNetwork, torch.optim.Optimizer]:
    network = training.network
    model = DenseNetwork(network, training.parameters, layer)
    optimizer = optimizer_of(network, model.parameters())
    if training.first or training.state:
        named, start = _named_parameters(model), training.start
        state = {name: _tensor(start[name]).reshape(named[name[1:]].shape) for name in network.state_shapes()}
        resume(network, optimizer, named, state, training.first)
    return model, optimizer


def _descend(model: DenseNetwork, optimizer: torch.optim.Optimizer, m: int, index: int) -> None:
    """Update with the gradients in ``.grad``, of ``m`` samples."""
    for group in optimizer.param_groups:
        group["lr"] = model.network.step_size(m, index)
    optimizer.step()


def _named_parameters(model: DenseNetwork) -> dict[str, nn.Parameter]:
    names = [f"{kind}{layer}" for layer in range(1, model.network.depth + 1) for kind in "Wb"]
    return dict(zip(names, model.parameters(), strict=True))


def _view(tensor: Tensor | None) -> Array:
    """The tensor's own memory as an array; a bias becomes out x 1."""
    if tensor is None:
        raise RuntimeError("autograd left no gradient")
    array = view(tensor)
    return array[:, None] if array.ndim == 1 else array


def _snapshot(model: DenseNetwork) -> Parameters:
    # Copies: the optimizer updates the parameters in place.
    return {name: _view(parameter).copy() for name, parameter in _named_parameters(model).items()}


def _before_and_after(model: DenseNetwork, optimizer: torch.optim.Optimizer) -> Parameters:
    """The parameters, and what the optimizer keeps of them."""
    state = kept(model.network, optimizer, _named_parameters(model))
    return _snapshot(model) | {name: _view(tensor).copy() for name, tensor in state.items()}


Way = Callable[[DenseNetwork], Differentiate]
GRADIENTS: dict[str, Way] = {
    "backward": partial(backward, objective),
    "func": partial(functional, objective),
}


def variant(layer: str = "linear", gradients: str = "backward", compile: str = "") -> SimpleNamespace:
    """The same implementation with other means.

    Args:
        layer: ``linear`` (``nn.Linear``) or ``autograd_function`` (a ``torch.autograd.Function`` written by hand).
        gradients: ``backward`` or ``func`` (``torch.func``).
        compile: a backend of ``torch.compile``, like ``aot_eager``; empty for none.

    Raises:
        BackproofError: for a value that there is not, and for ``compile`` together with ``gradients = "func"``.
    """
    one_of("layer", layer, LAYERS)
    way = GRADIENTS[one_of("gradients", gradients, GRADIENTS if not compile else ["backward"])]
    if compile:
        one_of("compile", compile, torch.compiler.list_backends(exclude_tags=()))
        way = partial(compiled, compile, objective)
    return SimpleNamespace(
        record=partial(record, layer=layer, way=way), train=partial(train, layer=layer, way=way),
        versions=versions, threads=threads, device=device, limit_threads=limit_threads,
    )  # fmt: skip


def record(training: Training, layer: str = "linear", way: Way = GRADIENTS["backward"]) -> Iterator[Step]:
    """Train, and yield every step in the canonical form: transposed views of what PyTorch held in rows.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    network = training.network
    model, optimizer = _start(training, layer)
    differentiate = way(model)
    before = _before_and_after(model, optimizer)
    for index, samples, X, Y in _batches(training):
        observed: dict[str, Tensor] = {}
        value, deltas = differentiate(X, Y, observed)
        _descend(model, optimizer, len(X), index)
        after = _before_and_after(model, optimizer)
        L = network.depth
        if network.joint:
            observed[f"A{L}"] = activate(network, L, observed[f"Z{L}"].detach())
            deltas.pop(f"A{L}", None)  # the logits again
        tensors = {name: _view(rows).T for name, rows in observed.items()}
        tensors |= {f"d{name}": _view(rows).T for name, rows in deltas.items()}
        tensors |= before | {f"{name}_next": array for name, array in after.items()}
        tensors |= {f"d{name}": _view(parameter.grad) for name, parameter in _named_parameters(model).items()}
        yield Step(index, samples, tensors | {"loss": _view(value)})
        before = after


def train(training: Training, layer: str = "linear", way: Way = GRADIENTS["backward"]) -> Parameters:
    """Train without observing; the final parameters in the canonical form.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    model, optimizer = _start(training, layer)
    differentiate = way(model)
    for index, _, X, Y in _batches(training):
        differentiate(X, Y, None)
        _descend(model, optimizer, len(X), index)
    return _snapshot(model)


def versions() -> dict[str, str]:
    """The library that computes."""
    return {"torch": str(torch.__version__)}


def threads() -> int:
    """Threads that PyTorch computes one operation with."""
    return torch.get_num_threads()


def limit_threads(number: int) -> None:
    """Compute each operation with ``number`` threads from now on."""
    torch.set_num_threads(number)


def device() -> str:
    """Where the tensors lie that PyTorch computes with: they share the CPU's memory with NumPy's arrays."""
    return str(_tensor(np.zeros(1)).device)
