"""Replicas: the same training with inputs, hidden units and samples permuted, which changes nothing but the order of
summation. How far the reference disagrees with its own replicas is how far honest implementations disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.training import Parameters, Reference, Step, Training

Array = NDArray[Any]


@dataclass(frozen=True)
class Replica:
    """One honest variant of the reference.

    Attributes:
        seed: of the permutations.
        other_layout: hold samples in rows where the network has columns, and the reverse.
        summation: ``default`` or ``sequential``.
    """

    seed: int
    other_layout: bool = False
    summation: str = "default"

    def permuted(self, training: Training) -> Permuted:
        """The training that this replica runs, with what is needed to undo it."""
        generator, sizes = np.random.default_rng(self.seed), training.network.sizes
        units = [generator.permutation(n) for n in sizes[:-1]] + [np.arange(sizes[-1])]
        samples = generator.permutation(training.samples)
        position = np.argsort(samples)
        batches = tuple(None if batch is None else generator.permutation(position[batch]) for batch in training.batches)
        return Permuted(self, training, tuple(units), samples, batches)


REPLICAS = (Replica(1), Replica(2), Replica(3, other_layout=True), Replica(4, summation="sequential"))
"""Four, as measured: more permutations do not widen the envelope, another layout and sequential sums do."""


@dataclass(frozen=True)
class Permuted:
    """A permuted training.

    Attributes:
        given: the training that is permuted.
        units, samples: where each unit of each layer, and each sample, came from.
        batches: those of ``given``, as indices of the permuted samples.
    """

    replica: Replica
    given: Training
    units: tuple[Array, ...]
    samples: Array
    batches: tuple[Array | None, ...]

    @cached_property
    def _inverse(self) -> tuple[list[Array], Array]:
        return [np.argsort(order) for order in self.units], np.argsort(self.samples)

    @property
    def training(self) -> Training:
        """Made anew whenever it is asked for: kept, the data of all replicas would be most of a run's memory."""
        given, network = self.given, self.given.network
        if self.replica.other_layout:
            network = replace(network, layout="rows" if network.layout == "columns" else "columns")
        parameters = {}
        for name, array in {**given.parameters, **given.state}.items():
            kind, layer = split(name)
            rows = self.units[layer]
            parameters[name] = array[np.ix_(rows, self.units[layer - 1])] if kind == "W" else array[rows]
        state = {name: parameters.pop(name) for name in given.state}
        X, Y = _gathered(given.X, self.units[0], self.samples), given.Y[:, self.samples]
        return Training(network, parameters, X, Y, self.batches, given.seed, given.data, state, given.first)

    def one_step(self, start: Mapping[str, Array], batch: Array | None = None, step: int = 0) -> Permuted:
        """The same permutation of the same data, one step from other parameters and state (given unpermuted).

        Args:
            batch: indices of the permuted samples; None for all of them.
            step: its index in the run.
        """
        return replace(self, given=self.given.at(step, start), batches=(batch,))

    def run(self, reference: Reference) -> Iterator[Step]:
        """The replica's steps, still permuted."""
        return reference.record(self.training, summation=self.replica.summation)

    def undone(self, step: Step) -> Step:
        """A full-batch step in the original order."""
        index, tensors = step.index, dict(step.tensors)
        del step  # each permuted array goes when its copy is made, where nobody else holds the step
        return Step(index, None, {name: self.undo(name, tensors.pop(name)) for name in list(tensors)})

    def undo(self, name: str, array: Array) -> Array:
        """A quantity of a full-batch step (or a parameter), back in the original order."""
        if array.ndim == 0:
            return array
        units, samples = self._inverse
        kind, layer = split(name)
        rows = units[layer]
        if kind == "W":
            return array[rows][:, units[layer - 1]]
        return array[rows] if kind == "b" else array[rows][:, samples]


def _gathered(array: Array, rows: Array, columns: Array) -> Array:
    """``array[rows][:, columns]``, row by row: no second copy on the way, and a row stays in the cache."""
    result = np.empty((len(rows), len(columns)), array.dtype)
    for target, row in zip(result, rows, strict=True):
        np.take(array[row], columns, out=target, mode="clip")
    return result


def in_float64(training: Training) -> Training:
    """The same training in float64: the same numbers, which every narrower format's are exactly."""
    parameters, state = (
        {name: array.astype(np.float64) for name, array in arrays.items()}
        for arrays in (training.parameters, training.state)
    )
    Y = training.Y if training.Y.dtype.kind in "iu" else training.Y.astype(np.float64)
    return replace(training, parameters=parameters, state=state, X=training.X.astype(np.float64), Y=Y)


def first(steps: Iterable[Step]) -> Step:
    """The only step of a run; what computed it is let go of with the iterator, which would hold all its arrays."""
    return next(iter(steps))


def split(name: str) -> tuple[str, int]:
    """``("W", 3)`` for W3, dW3, W3_next and vW3; ``("b", 1)`` for b1, db1; ``("Z", 2)`` for Z2 and dZ2."""
    stem = name.removesuffix("_next").lstrip("dvms")
    return stem[0], int(stem[1:])


class Replicas:
    """The reference in float64 and its replicas, of one training; made once, whoever compares with them.

    Args:
        training: what the runs are given.
        reference: the configured NumPy network.
    """

    def __init__(self, training: Training, reference: Reference) -> None:
        self.training = training
        self.reference = reference

    @cached_property
    def truth(self) -> Training:
        """The training in float64."""
        return in_float64(self.training)

    @cached_property
    def permutations(self) -> list[Permuted]:
        """The training, once for each of :data:`REPLICAS`."""
        return [replica.permuted(self.training) for replica in REPLICAS]

    def of_batch(self, samples: Array | None) -> Replicas:
        """Those of one batch on its own: each of its steps takes all of its samples. None is the whole of the data."""
        if samples is None:
            return self
        X, Y = self.training.batch(samples)
        return Replicas(replace(self.training, X=X, Y=Y, batches=(None,)), self.reference)

    def one_step(self, start: Parameters, step: int = 0) -> tuple[Step, Iterator[Step]]:
        """One step on all samples from other parameters and state: in float64, and by each replica, in the original
        order.
        """
        truth = first(self.reference.record(self.truth.at(step, start)))

        def each() -> Iterator[Step]:
            for permuted in self.permutations:
                yield permuted.undone(first(permuted.one_step(start, step=step).run(self.reference)))

        return truth, each()
