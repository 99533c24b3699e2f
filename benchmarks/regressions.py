"""Small changes for the worse, planted in a network written out equation by equation, each in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Product, equations
from backproof.gate.change import Kind
from backproof.gate.facts import Key, of_summary
from backproof.gate.judge import Judgement, judge
from backproof.training import Parameters, Step, Training
from benchmarks.small_runs import NETWORKS, SAMPLES, write
from tests.support import Fault, one_step, product

Array = NDArray[Any]
NAME = "written"


class Written:
    """An implementation: each equation in NumPy, one after the other, with the faults of a network in it."""

    def __init__(self, network: str = "", faults: Mapping[str, Fault] | None = None) -> None:
        self._network, self._faults = network, faults

    def record(self, training: Training) -> Iterator[Step]:
        """Every step, of all samples."""
        parameters = training.parameters
        faults = self._faults if training.network.name == self._network else None
        for index in range(len(training.batches)):
            step = one_step(replace(training, parameters=parameters), faults)
            yield Step(index, None, step.tensors)
            parameters = {name: step.tensors[f"{name}_next"] for name in parameters}

    def train(self, training: Training) -> Parameters:
        """The last step's parameters."""
        *_, last = self.record(training)
        return {name: last.tensors[f"{name}_next"] for name in training.parameters}

    def versions(self) -> dict[str, str]:
        """What computes."""
        return {"numpy": np.__version__}

    def threads(self) -> int:
        """Not told."""
        return 1


@dataclass(frozen=True)
class Regression:
    """One planted change.

    Attributes:
        target: the quantity that it changes; empty where the whole network is left out.
        kind: what the gate calls it.
    """

    name: str
    network: str
    target: str = ""
    fault: Fault | None = None
    kind: Kind = Kind.VERDICT

    @property
    def place(self) -> str:
        """Network and quantity."""
        return f"{self.network} {self.target}".strip()


def _rounded(array: Array, bits: int) -> Array:
    """Rounded to a significand of so many bits: 24 is float32 itself, 11 is TF32 or float16, 8 is bfloat16."""
    significand, exponent = np.frexp(array)
    return np.ldexp(np.round(significand * 2**bits) / 2**bits, exponent).astype(array.dtype)


def kernel(network: str, target: str, bits: int) -> Fault:
    """The product with its operands rounded, and added up in float32: what a matrix unit does."""
    specification = next(n for n in NETWORKS if n.name == network)
    rule = next(e.rule for e in equations(specification) if e.target == target)
    assert isinstance(rule, Product)
    operands = (rule.left, rule.right)

    def fault(value: Array, tensors: Mapping[str, Array]) -> Array:
        return product(rule, {**tensors, **{name: _rounded(tensors[name], bits) for name in operands}})

    return fault


def _in_float16(quantity: str, divisor: float = 1.0) -> Fault:
    """A sum over samples, one after the other, whose partial sums are float16."""

    def fault(value: Array, tensors: Mapping[str, Array]) -> Array:
        sums = np.cumsum(tensors[quantity].astype(np.float16), axis=1, dtype=np.float16)
        return sums[:, -1:].astype(np.float32) / np.float32(divisor)

    return fault


def _scaled(factor: float) -> Fault:
    return lambda value, tensors: value * np.float32(factor)


def _leaky(slope: float) -> Fault:
    return lambda value, tensors: np.where(tensors["Z1"] > 0, tensors["Z1"], np.float32(slope) * tensors["Z1"])


def _update(rate: float) -> Fault:
    return lambda value, tensors: tensors["W1"] - np.float32(rate) * tensors["dW1"]


REGRESSIONS = (
    Regression("Z2 multiplied in TF32", "five_layer", "Z2", kernel("five_layer", "Z2", 11)),
    Regression("dW3 multiplied in bfloat16", "five_layer", "dW3", kernel("five_layer", "dW3", 8)),
    Regression("dA2 multiplied in float16", "row_major", "dA2", kernel("row_major", "dA2", 11)),
    Regression("Z1 multiplied with 20 bits", "sparse_labels", "Z1", kernel("sparse_labels", "Z1", 20)),
    Regression("Z3 multiplied with 22 bits", "row_major", "Z3", kernel("row_major", "Z3", 22), Kind.HEADROOM),
    Regression("leaky slope 0.0011 for 0.001", "binary_leaky_relu", "A1", _leaky(0.0011)),
    Regression("1/(m - 1) for 1/m", "five_layer", "dZ5", _scaled(SAMPLES / (SAMPLES - 1))),
    Regression("learning rate 0.1001 for 0.1", "two_layer", "W1_next", _update(0.1001)),
    Regression("db2 summed in float16", "sparse_labels", "db2", _in_float16("dZ2")),
    Regression("db1 summed in float16", "binary_tanh", "db1", _in_float16("dZ1")),
    Regression("a network is missing", "binary_tanh", kind=Kind.VANISHED),
)


def gated(regression: Regression, folder: Path, seed: int = 0) -> Judgement:
    """The run with the regression, held against an honest one of the same seed; two more networks stand beside it."""
    before, after = folder / "honest.json", folder / "planted.json"
    networks = [network for network in NETWORKS if network.name in (regression.network, "two_layer", "binary_relu")]
    kept = [network for network in networks if regression.target or network.name != regression.network]
    faults = {regression.target: regression.fault} if regression.fault else None
    write(before, seed, {NAME: Written()}, networks)
    write(after, seed, {NAME: Written(regression.network, faults)}, kept)
    return judge(of_summary(before), of_summary(after))


def named(regression: Regression, found: Judgement) -> bool:
    """Whether the first change is the planted one: its network, layer and quantity."""
    if not found.failures:
        return False
    first = found.failures[0]
    network = next(network for network in NETWORKS if network.name == regression.network)
    place = Key(network.name)
    if regression.target:
        layer = network.layer_of(regression.target)
        place = Key(network.name, NAME, layer, regression.target, first.key.check)
    return first.key == place and first.kind is regression.kind
