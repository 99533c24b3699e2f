"""The reference's step beside PyTorch's and JAX's, and how much memory it takes beside the data.

    python benchmarks/reference_step.py [--samples 60000 64] [--repetitions 7] [--clock cpu]

One step is forward, loss, backward and update, float32, unrecorded, on data that is already in place: the
reference's ``backpropagate`` and update, PyTorch's eager step, JAX's jitted step. They are timed in turns in one
process.
``JAX, fused`` is the same JAX program with XLA's own optimisations, all of them.

Memory is what NumPy allocates at its peak during ``train`` (tracemalloc), in units of the largest activation
(128 x m x 4 bytes).
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import numpy as np
import torch
from recording import CLOCKS, conditions, in_turns, random_training
from tabulate import tabulate

from backproof.training import Training
from implementations import jax_network, torch_network
from reference import network as reference
from reference.layouts import LAYOUTS


def reference_step(training: Training) -> Callable[[], Any]:
    """The reference's step on its own copy of the parameters."""
    network, layout = training.network, LAYOUTS[training.network.layout]
    parameters = {name: array.copy() for name, array in training.parameters.items()}
    alpha = network.step_size(training.samples)

    def step() -> None:
        _, gradients = reference.backpropagate(network, parameters, training.X, training.Y, layout)
        for name in parameters:
            parameters[name] -= alpha * gradients[f"d{name}"]

    return step


def torch_step(training: Training) -> Callable[[], Any]:
    """The usual five lines of PyTorch, eager."""
    model = torch_network.DenseNetwork(training.network, training.parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=training.network.learning_rate)
    X, Y = (torch.from_numpy(np.ascontiguousarray(array.T)) for array in (training.X, training.Y))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch_network.loss(training.network, model(X), Y).backward()
        optimizer.step()

    return step


def jax_step(training: Training, fused: bool) -> Callable[[], Any]:
    """The jitted step of the implementation, or the same function compiled with fusion."""
    compiled = jax.jit(jax_network.step.__wrapped__, static_argnums=0) if fused else jax_network.step
    X, Y = jax.numpy.array(training.X.T), jax.numpy.array(training.Y.T)
    parameters = {
        name: jax.numpy.array(array.T if name.startswith("W") else array[:, 0])
        for name, array in training.parameters.items()
    }
    alpha = jax.numpy.asarray(training.network.step_size(training.samples), X.dtype)
    state = jax_network.transformation(training.network, 0.0).init(parameters)

    def step() -> None:
        _, (after, _) = jax.block_until_ready(compiled(training.network, parameters, X, Y, state, alpha))
        parameters.update(after)

    return step


def several(step: Callable[[], Any], times: int) -> None:
    """Run ``step`` so many times."""
    for _ in range(times):
        step()


def peak_in_activations(training: Training) -> float:
    """Peak of NumPy's memory during ``train``, over the size of the largest activation."""
    tracemalloc.start()
    reference.train(training)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / (max(training.network.sizes[1:]) * training.samples * training.dtype.itemsize)


def rows(sizes: Iterable[int], repetitions: int, clock: str) -> Iterable[list[str]]:
    """A line of the table for each number of samples."""
    for samples in sizes:
        training = random_training(samples, steps=1)
        steps = {
            "reference": reference_step(training),
            "torch": torch_step(training),
            "jax": jax_step(training, fused=False),
            "fused": jax_step(training, fused=True),
        }
        # Small steps are timed in bundles, so that the clock's own resolution does not matter.
        bundle = max(1, 6000 // samples)
        actions = {name: partial(several, step, bundle) for name, step in steps.items()}
        times = {name: time / bundle for name, time in in_turns(actions, repetitions, clock).items()}
        memory = peak_in_activations(training)
        ratios = [f"{times['reference'] / times[other]:.2f}" for other in ("torch", "jax", "fused")]
        yield [str(samples), *(f"{1e3 * times[name]:.2f}" for name in steps), *ratios, f"{memory:.2f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[60000, 64])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    header = ["m", "reference, ms", "torch, ms", "jax, ms", "jax fused, ms"]
    header += ["reference / torch", "/ jax", "/ jax fused", "peak memory, activations"]
    table = rows(arguments.samples, arguments.repetitions, arguments.clock)
    print(f"{conditions(arguments.clock)}\n")
    print(tabulate(table, header, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
