"""What to train on, and how: the settings that every implementation of a run shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from backproof import data
from backproof.errors import BackproofError
from backproof.files import know_bfloat16
from backproof.network import Network
from backproof.optimizer import Optimizer
from backproof.rounding import format_of, rounded
from backproof.shuffled import Shuffled
from backproof.training import Array, Reference, Training

MOST_STEPS = 10_000_000
LARGEST_SEED = int(np.iinfo(np.int64).max)
"""NumPy's generators take more, its integers and the frameworks' do not."""


@dataclass(frozen=True)
class Settings:
    """What to train on and how: the same for every implementation.

    Attributes:
        data: ``digits``, ``mnist`` or a folder of IDX files.
        samples: how many; None for all that the data set has.
        steps: of gradient descent; at most 10,000,000.
        batch_size: samples in a step; None for all of them.
        dtype: ``float32``, ``float64`` or ``bfloat16``, which needs ml_dtypes.
        seed: of the initial parameters and of the shuffling; 0 to 2^63 - 1.
        optimizer: a name, with the constants that it has by default, in the place of each network's own; None to keep
            those.
        learning_rate: in the place of each network's own; None to keep those.

    Raises:
        BackproofError: for a value outside these.
    """

    data: str = "digits"
    samples: int | None = None
    steps: int = 10
    batch_size: int | None = None
    dtype: str = "float32"
    seed: int = 0
    optimizer: str | None = None
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "samples", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BackproofError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.steps > MOST_STEPS:
            raise BackproofError(f"--steps must be at most {MOST_STEPS:,}, not {self.steps:,}")
        if self.seed > LARGEST_SEED:
            raise BackproofError(f"--seed must be at most {LARGEST_SEED}, the largest int64, not {self.seed}")
        if self.seed < 0:
            raise BackproofError(f"--seed must be at least 0, not {self.seed}")
        if self.dtype not in ("float32", "float64", "bfloat16"):
            raise BackproofError(f"unknown dtype {self.dtype!r}; choose float32, float64 or bfloat16")
        if self.dtype == "bfloat16":
            know_bfloat16()
        if self.optimizer is not None:
            Optimizer(self.optimizer)

    def applied(self, network: Network) -> Network:
        """The network with the optimizer and the learning rate that were asked for.

        Raises:
            BackproofError: for a learning rate that is none.
        """
        optimizer = network.optimizer if self.optimizer is None else Optimizer(self.optimizer)
        rate = network.learning_rate if self.learning_rate is None else self.learning_rate
        return replace(network, optimizer=optimizer, learning_rate=rate)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what was left to the networks goes unsaid."""
        values = asdict(self)
        return {k: v for k, v in values.items() if v is not None or k not in ("optimizer", "learning_rate")}


def prepare(network: Network, dataset: data.Dataset, settings: Settings, reference: Reference) -> Training:
    """The training that every implementation of one network is given; its arrays are read-only, for all share them."""
    network = settings.applied(network)
    samples = data.count(dataset, network, settings.samples)
    rate = network.step_size(min(settings.batch_size or samples, samples))
    if rate > format_of(settings.dtype).largest:
        raise BackproofError(f"network {network.name!r}: a learning rate of {rate:g} is infinite in {settings.dtype}")
    X, Y = data.arrays(dataset, network, settings.samples, np.dtype(settings.dtype))
    # A reference may round twice to a format that NumPy has not; in float64 nothing is rounded.
    known = settings.dtype if settings.dtype != "bfloat16" else "float64"
    drawn = reference.initial_parameters(network, settings.seed, known)
    parameters = {name: rounded(array, settings.dtype) for name, array in drawn.items()}
    for array in (X, Y, *parameters.values()):
        array.flags.writeable = False
    return Training(network, parameters, X, Y, batches(X.shape[1], settings), settings.seed, dataset.name)


def batches(samples: int, settings: Settings) -> Sequence[Array | None]:
    """Indices of the samples of each step: all of them, or shuffled mini-batches, a last partial one included.

    Raises:
        BackproofError: for a batch larger than the data.
    """
    size = settings.batch_size
    if size is None:
        return (None,) * settings.steps
    if size > samples:
        raise BackproofError(f"--batch-size {size} is above the {samples} samples there are")
    return Shuffled(samples, size, settings.steps, settings.seed)
