"""The network in PyTorch: ``nn.Linear`` layers, autograd, ``torch.optim``. A witness beside the reference.

Every gradient comes from ``Tensor.backward``; nothing here knows a formula of backpropagation. Samples stand
in rows (``A = g(A_prev W^T + b)``, W out x in), as PyTorch has them, and are transposed at the edge:
what :func:`record` yields are views of the tensors that PyTorch computed with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backproof.network import Network
from backproof.training import Array, Parameters, Step, Training
from implementations.torch_optimizers import kept, optimizer_of

__all__ = ["DenseNetwork", "device", "loss", "record", "threads", "train", "versions"]

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
        layers: one ``nn.Linear`` (weight out x in, bias out) for each layer, the first at index 0.
    """

    def __init__(self, network: Network, parameters: Mapping[str, Array]) -> None:
        """Copy ``parameters`` (canonical form) into ``nn.Linear`` layers, bit for bit."""
        super().__init__()
        self.network = network
        self.layers = nn.ModuleList(
            _linear(parameters[f"W{layer}"], parameters[f"b{layer}"]) for layer in range(1, network.depth + 1)
        )

    def forward(self, X: Tensor, observed: dict[str, Tensor] | None = None) -> Tensor:
        """What the loss is a function of (m x units), of ``X`` (m x features): the logits ``Z_L``, or ``A_L``.

        Every Z and A is put into ``observed`` when there is one (logits under ``A_L`` where the loss wants those).
        """
        A = X
        for layer, linear in enumerate(self.layers, start=1):
            Z = linear(A)
            logits = layer == self.network.depth and self.network.joint
            A = Z if logits else activate(self.network, layer, Z)
            if observed is not None:
                observed |= {f"A{layer}": A, f"Z{layer}": Z}
        return A


def objective(model: DenseNetwork, X: Tensor, Y: Tensor, observed: dict[str, Tensor] | None = None) -> Tensor:
    """The loss of a batch with the penalty ``λ/2 Σ W²``, if any: what is differentiated."""
    network = model.network
    value = loss(network, model(X, observed), Y)
    if not network.weight_decay:
        return value
    weights = [parameter for name, parameter in _named_parameters(model).items() if name.startswith("W")]
    return value + network.weight_decay / 2 * torch.stack([W.square().sum() for W in weights]).sum()


def _linear(W: Array, b: Array) -> nn.Linear:
    # On the meta device nothing is allocated and no random number is drawn: the weights are given.
    weight, bias = nn.Parameter(_tensor(W)), nn.Parameter(_tensor(b[:, 0]))
    layer = nn.Linear(W.shape[1], W.shape[0], device="meta", dtype=weight.dtype)
    layer.weight, layer.bias = weight, bias
    return layer


def _tensor(array: Array) -> Tensor:
    # np.array copies, whatever the strides: the tensor never shares memory that somebody else may change.
    return torch.from_numpy(np.array(array, order="C"))


def _data(training: Training) -> tuple[Tensor, Tensor]:
    X = _tensor(training.X.T)
    if training.network.labels == "integer":
        return X, _tensor(training.Y[0]).long()
    return X, _tensor(training.Y.T).to(X.dtype)


def _batches(training: Training) -> Iterator[tuple[int, Array | None, Tensor, Tensor]]:
    X, Y = _data(training)
    for index, samples in enumerate(training.batches):
        if samples is None:
            yield index, None, X, Y
        else:
            rows = _tensor(samples)
            yield index, samples, X[rows], Y[rows]


def _start(training: Training) -> tuple[DenseNetwork, torch.optim.Optimizer]:
    model = DenseNetwork(training.network, training.parameters)
    return model, optimizer_of(training.network, model.parameters())


def _descend(model: DenseNetwork, optimizer: torch.optim.Optimizer, value: Tensor, m: int, index: int) -> None:
    """Differentiate the loss ``value`` of ``m`` samples and update; the gradients stay in ``.grad``."""
    for group in optimizer.param_groups:
        group["lr"] = model.network.step_size(m, index)
    # None, not zeros: each step's gradients are new tensors, and those handed over earlier stay as they were.
    optimizer.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _named_parameters(model: DenseNetwork) -> dict[str, nn.Parameter]:
    names = [f"{kind}{layer}" for layer in range(1, model.network.depth + 1) for kind in "Wb"]
    return dict(zip(names, model.parameters(), strict=True))


def _view(tensor: Tensor | None) -> Array:
    """The tensor's own memory as an array; a bias becomes out x 1."""
    if tensor is None:
        raise RuntimeError("autograd left no gradient")
    array: Array = tensor.detach().numpy()
    return array[:, None] if array.ndim == 1 else array


def _snapshot(model: DenseNetwork) -> Parameters:
    # Copies: the optimizer updates the parameters in place.
    return {name: _view(parameter).copy() for name, parameter in _named_parameters(model).items()}


def _before_and_after(model: DenseNetwork, optimizer: torch.optim.Optimizer) -> Parameters:
    """The parameters, and what the optimizer keeps of them."""
    state = kept(model.network, optimizer, _named_parameters(model))
    return _snapshot(model) | {name: _view(tensor).copy() for name, tensor in state.items()}


def record(training: Training) -> Iterator[Step]:
    """Train, and yield every step in the canonical form: transposed views of what PyTorch held in rows.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    network = training.network
    model, optimizer = _start(training)
    before = _before_and_after(model, optimizer)
    for index, samples, X, Y in _batches(training):
        observed: dict[str, Tensor] = {}
        value = objective(model, X, Y, observed)
        for tensor in observed.values():
            tensor.retain_grad()
        _descend(model, optimizer, value, len(X), index)
        after = _before_and_after(model, optimizer)
        L = network.depth
        deltas = {f"d{name}": tensor.grad for name, tensor in observed.items() if name != f"A{L}" or not network.joint}
        if network.joint:
            observed[f"A{L}"] = activate(network, L, observed[f"Z{L}"].detach())
        tensors = {name: _view(rows).T for name, rows in (observed | deltas).items()}
        tensors |= before | {f"{name}_next": array for name, array in after.items()}
        tensors |= {f"d{name}": _view(parameter.grad) for name, parameter in _named_parameters(model).items()}
        yield Step(index, samples, tensors | {"loss": _view(value)})
        before = after


def train(training: Training) -> Parameters:
    """Train without observing; the final parameters in the canonical form.

    Raises:
        IndexError: for a batch that asks for a sample that the data does not have.
    """
    model, optimizer = _start(training)
    for index, _, X, Y in _batches(training):
        _descend(model, optimizer, objective(model, X, Y), len(X), index)
    return _snapshot(model)


def versions() -> dict[str, str]:
    """The library that computes."""
    return {"torch": str(torch.__version__)}


def threads() -> int:
    """Threads that PyTorch computes one operation with."""
    return torch.get_num_threads()


def device() -> str:
    """Where the tensors lie that PyTorch computes with: they share the CPU's memory with NumPy's arrays."""
    return str(_tensor(np.zeros(1)).device)
