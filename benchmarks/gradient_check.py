"""Every parameter's gradient by finite differences: ``central_differences`` beside PyTorch's slow ``gradcheck``.

    python benchmarks/gradient_check.py [--batch 16] [--repetitions 3]

784-128-50-50-25-10, ReLU, softmax and cross-entropy in float64: about 112,000 parameters. PyTorch takes two losses a
parameter; the reference takes four, for its bound on the truncation. Both run in one process, PyTorch once.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from recording import FIVE_LAYERS, conditions, seconds

from backproof.network import Network
from implementations import torch_network
from reference.gradient_check import central_differences, gradient_check
from reference.initialisation import initial_parameters


def case(network: Network, m: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Float64 parameters, random images and labels."""
    generator = np.random.default_rng(0)
    Y = np.eye(network.sizes[-1])[:, generator.integers(0, network.sizes[-1], m)]
    return initial_parameters(network, 0, np.float64), generator.random((network.sizes[0], m)), Y


def torch_gradcheck(network: Network, parameters: dict[str, np.ndarray], X: np.ndarray, Y: np.ndarray) -> bool:
    """The loss of the same network as a function of its parameters, checked in the slow mode."""
    model = torch_network.DenseNetwork(network, parameters)
    names, tensors = zip(*((name, tensor) for name, tensor in model.named_parameters()), strict=True)
    rows, labels = (torch.from_numpy(np.ascontiguousarray(array.T)) for array in (X, Y))

    def loss(*values: torch.Tensor) -> torch.Tensor:
        Z = torch.func.functional_call(model, dict(zip(names, values, strict=True)), rows)
        return torch_network.loss(network, Z, labels)

    return torch.autograd.gradcheck(loss, tensors, fast_mode=False)


def main() -> None:
    """Print the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    given = case(FIVE_LAYERS, arguments.batch)
    print(conditions("wall"))
    ours = min(seconds(lambda: central_differences(FIVE_LAYERS, *given), "wall") for _ in range(arguments.repetitions))
    print(f"central differences: {ours:.2f} s; largest part of an allowance: ", end="")
    print(f"{max(gradient_check(FIVE_LAYERS, *given).values()):.2g}", flush=True)
    theirs = seconds(lambda: torch_gradcheck(FIVE_LAYERS, *given), "wall")
    print(f"torch.autograd.gradcheck, slow mode: {theirs:.1f} s; ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
