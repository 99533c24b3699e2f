"""A run's batches as reports show them: how large they are, and which sample of the data a column of one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from backproof.training import Training

Array = NDArray[Any]


@dataclass
class Batches:
    """Sizes of the batches that a run's steps are made of.

    Attributes:
        smallest, largest: samples in a step; 0 before the first one.
        gathered: whether some step names its samples, so that its columns are not those of the data.
    """

    smallest: int = 0
    largest: int = 0
    gathered: bool = False

    @classmethod
    def of(cls, training: Training) -> Batches:
        """Those that a training asks for."""
        batches = cls()
        for samples in training.batches:
            batches.add(training.samples if samples is None else len(samples), samples)
        return batches

    def add(self, size: int, samples: Array | None) -> None:
        """Take in one step's batch of ``size``; ``samples`` are the indices that it names."""
        self.smallest = min(self.smallest or size, size)
        self.largest = max(self.largest, size)
        self.gathered |= samples is not None

    def __str__(self) -> str:
        return f"{self.smallest} to {self.largest}" if self.smallest < self.largest else f"{self.largest}"


def by_sample(quantity: str) -> bool:
    """Whether a quantity has a column for each sample: Z, A, dA and dZ do."""
    return quantity.removeprefix("d")[0] in "ZA"


def in_data(quantity: str, index: Sequence[int], samples: Array | None) -> tuple[int, ...]:
    """The index of an element of a step's quantity, its column as that sample's index in the data.

    Args:
        samples: those that the step names; None where its columns are the data's own.
    """
    if samples is None or not by_sample(quantity):
        return tuple(index)
    row, column = index
    return row, int(samples[column])
