"""Does ``check_backprop`` stay silent on correct steps? Every verdict but "rounding" is a false alarm.

    python -m benchmarks.healthy --count 10000               # a seed from the clock, printed
    python -m benchmarks.healthy --seed 41 --count 1         # one case again, by its seed

Each seed is one random network and convention (:mod:`benchmarks.random_steps`): depth 1 to 4, any widths, activations,
losses, layouts and formats. Most are written out in NumPy; one in ten is trained for a step by PyTorch, one in fifty by
JAX (not jitted: it would compile for seconds), and handed over as that framework's own arrays. A fourth each is told
everything, told everything with some arrays withheld, told nothing, and told activations and loss with some withheld.
A step whose loss is not finite is drawn again: that is a finding, and no false one. Exits 1 after a false alarm.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

import jax
import numpy as np
import torch

import backproof
from backproof.network import Network
from backproof.training import Training
from benchmarks.random_steps import Arrays, Case, arrays_of, random_case
from implementations import jax_network, torch_network

WITHHELD = ("Z", "A", "dA", "dZ", "dW", "db", "loss")


def network_of(case: Case) -> Network:
    """The case as the suite specifies it, 1/m in the delta."""
    labels = {"cross_entropy": "one_hot", "binary_cross_entropy": "binary", "mse": "real"}[case.loss]
    reduction = "mean" if case.loss == "cross_entropy" and case.reduction != "sum" else case.reduction
    return Network(
        "random", case.sizes, case.activations, case.loss, labels, reduction=reduction, half=case.half,
        slope=case.slope, learning_rate=case.learning_rate,
    )  # fmt: skip


def framework_arrays(case: Case, source: str) -> dict[str, Any]:
    """One step of PyTorch or JAX, samples in rows, as its own arrays: W is out x in, or in x out."""
    columns = Case(**{**case.__dict__, "rows": False, "torch_like": False, "integer_labels": False})
    q = arrays_of(columns)
    network = network_of(case)
    parameters = {name: q[name] for name in network.parameter_shapes()}
    training = Training(network, parameters, q["X"], q["Y"], (None,))
    module = torch_network if source == "torch" else jax_network
    with jax.disable_jit():
        step = next(iter(module.record(training)))
    wrap = (lambda array: torch.from_numpy(array.copy())) if source == "torch" else jax.numpy.array
    native: dict[str, Any] = {"X": wrap(q["X"].T), "Y": wrap(q["Y"].T)}
    for name, array in step.tensors.items():
        if name.lstrip("d")[0] == "b":
            native[name] = wrap(array[:, 0])
        elif name.lstrip("d")[0] == "W":
            native[name] = wrap(array if source == "torch" else array.T)
        else:
            native[name] = wrap(array.T) if array.ndim else wrap(array)
    return native


def given(seed: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Where the step of one seed comes from, its arrays, and what is said of it."""
    draw = np.random.default_rng([seed, 9])
    source = "jax" if seed % 50 == 9 else "torch" if seed % 10 == 4 else "numpy"
    while True:
        case = random_case(int(draw.integers(1 << 40)))
        arrays: Arrays = arrays_of(case)
        if np.isfinite(arrays["loss"]):
            break
    given = dict(arrays) if source == "numpy" else framework_arrays(case, source)
    style = int(draw.integers(4))
    if style in (1, 3):
        names = [name for name in given if name.rstrip("0123456789") in WITHHELD]
        for name in draw.choice(names, size=min(len(names), int(draw.integers(1, 6))), replace=False):
            del given[str(name)]
    said = case.said if style in (0, 1) else {}
    if style == 3:
        said = {"activations": list(case.activations), "loss": case.loss}
    return f"{source}, {case}", given, said


def main() -> int:
    """Run the cases and print what was counted."""
    parser = argparse.ArgumentParser(description="False alarms of check_backprop on correct random steps.")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: from the clock")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    counted: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        name, arrays, said = given(seed)
        result = backproof.check_backprop(arrays, **said)
        counted[name.split(",")[0]] += 1
        counted["checked"] += len(result.coverage.checked)
        if result.verdict != "rounding":
            counted["alarms"] += 1
            print(f"seed {seed}: {name}\n{result}\n", flush=True)
    networks = sum(counted[source] for source in ("numpy", "torch", "jax"))
    print(
        f"{networks} networks ({counted['numpy']} NumPy, {counted['torch']} PyTorch, {counted['jax']} JAX), "
        f"{counted['checked']} equations, {counted['alarms']} false alarms"
    )
    return int(counted["alarms"] > 0)


if __name__ == "__main__":
    sys.exit(main())
