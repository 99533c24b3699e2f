"""What a run is given (:class:`Training`) and what one step of it leaves (:class:`Step`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backproof.errors import BackproofError
from backproof.network import Network
from backproof.rounding import format_of

Array = NDArray[Any]
Parameters = dict[str, Array]
"""``{"W1": (out, in), "b1": (out, 1), ...}`` in the run's own format."""


@dataclass(frozen=True)
class Step:
    """Everything that one batch computed, in the canonical form (features x samples, W out x in).

    Attributes:
        index: position in the run, from 0.
        samples: int64 indices of the batch's samples in the data, or None for all of them.
        tensors: the quantities of :meth:`Network.shapes`, by name. They may be views, and they are
            not modified after the step was handed over.
    """

    index: int
    samples: Array | None
    tensors: Mapping[str, Array]


@dataclass(frozen=True)
class Training:
    """One network, its initial parameters, its data and its batches: the input of every implementation.

    ``verify`` and ``record`` hand over X, Y and the parameters as read-only arrays, for all implementations share them.

    Attributes:
        network: the specification.
        parameters: the initial weights and biases, canonical form.
        X: features x samples, float of the run's format.
        Y: one-hot or binary in the dtype of X (units x samples), or integer labels (1 x samples, int64).
        batches: for each step the int64 indices of its samples, or None for all of them.
        seed: what the parameters were drawn from.
        data: the name of the data set.
        state: what the optimizer has kept before the first batch; empty where it starts from zeros.
        first: index of the first batch's step in the run: a training may go on where another one ended.

    Raises:
        BackproofError: for no samples or steps, and for arrays whose shapes, labels or dtype of Y do not fit.
    """

    network: Network
    parameters: Mapping[str, Array]
    X: Array
    Y: Array
    batches: Sequence[Array | None]
    seed: int = 0
    data: str = ""
    state: Mapping[str, Array] = field(default_factory=dict)
    first: int = 0

    def __post_init__(self) -> None:
        network, m = self.network, self.X.shape[-1]
        if m == 0 or not self.batches:
            raise BackproofError(f"{network.name}: zero samples or zero steps; nothing to train on")
        if self.X.shape != (network.sizes[0], m):
            raise BackproofError(
                f"{network.name}: X is {self.X.shape}, needed are {network.sizes[0]} features x samples"
            )
        if self.Y.shape != network.label_shape(m):
            why = too_narrow(self.Y, network.sizes[-1], m)
            raise BackproofError(f"{network.name}: Y is {self.Y.shape}, needed is {network.label_shape(m)}{why}")
        shapes = {name: array.shape for name, array in self.parameters.items()}
        if shapes != network.parameter_shapes():
            raise BackproofError(
                f"{network.name}: parameters of shapes {shapes}, needed are {network.parameter_shapes()}"
            )
        kept = {name: array.shape for name, array in self.state.items()}
        if kept and kept != network.state_shapes():
            raise BackproofError(f"{network.name}: state of shapes {kept}, needed are {network.state_shapes()}")
        if network.labels != "integer" and self.Y.dtype != self.X.dtype:
            raise BackproofError(
                f"{network.name}: {network.labels} Y must have the dtype of X, {self.X.dtype}, not {self.Y.dtype}; "
                f"convert it with Y.astype(X.dtype)"
            )
        check_labels(network, self.Y)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The run's format."""
        return self.X.dtype

    @property
    def samples(self) -> int:
        """Number of samples in the data (a batch may hold fewer)."""
        return int(self.X.shape[1])

    @property
    def start(self) -> dict[str, Array]:
        """The parameters before the first batch, and what the optimizer has kept: zeros unless ``state`` says more."""
        zeros = {name: np.zeros(shape, self.dtype) for name, shape in self.network.state_shapes().items()}
        return {**self.parameters, **zeros, **self.state}

    def at(self, step: int, tensors: Mapping[str, Array], batch: Array | None = None) -> Training:
        """One step of this training: step ``step`` of the run, from the parameters and the state in ``tensors``."""
        parameters = {name: tensors[name].astype(self.dtype, copy=False) for name in self.parameters}
        state = {name: tensors[name].astype(self.dtype, copy=False) for name in self.network.state_shapes()}
        return replace(self, parameters=parameters, state=state, first=step, batches=(batch,))

    def batch(self, samples: Array | None) -> tuple[Array, Array]:
        """X and Y of the samples of one step."""
        return (self.X, self.Y) if samples is None else (self.X[:, samples], self.Y[:, samples])

    @cached_property
    def initial_hash(self) -> str:
        """Identifies the initial parameters, bit by bit."""
        return fingerprint(self.parameters)

    @cached_property
    def data_hash(self) -> str:
        """Identifies X and Y, bit by bit."""
        return fingerprint({"X": self.X, "Y": self.Y})


def too_narrow(Y: Array, units: int, m: int) -> str:
    """Why a one-hot Y (classes x m) has fewer classes than the output has units, where that is likely; else empty."""
    if Y.ndim != 2 or Y.shape[1] != m or not 1 < len(Y) < units:
        return ""
    one_hot = ((Y == 0) | (Y == 1)).all() and (Y.sum(axis=0) == 1).all() and Y[-1].any()
    return "; its width is that of the labels that occur: Y.max() + 1? [one-hot-width]" if one_hot else ""


def check_labels(network: Network, Y: Array) -> None:
    """Raise :class:`BackproofError` when a label is not one that the network's output can have."""
    if network.labels == "integer":
        if not np.issubdtype(Y.dtype, np.integer):
            raise BackproofError(f"{network.name}: integer labels needed, Y is {Y.dtype}")
        outside = (Y < 0) | (network.sizes[-1] <= Y)
        if outside.any():
            at = int(np.argmax(outside))
            raise BackproofError(
                f"{network.name}: label {Y.ravel()[at]} of sample {at} is outside 0..{network.sizes[-1] - 1}"
            )
    elif network.labels == "real":
        if not np.isfinite(Y).all():
            raise BackproofError(f"{network.name}: real labels must be finite")
        # n probabilities, each rounded once, and summed in float64.
        allowed = len(Y) * format_of(Y.dtype).unit_roundoff
        if network.loss == "cross_entropy" and (np.abs(Y.sum(axis=0, dtype=np.float64) - 1) > allowed).any():
            raise BackproofError(f"{network.name}: the labels of a cross-entropy must be probabilities that sum to 1")
    elif not ((Y == 0) | (Y == 1)).all():
        raise BackproofError(f"{network.name}: {network.labels} labels must be 0 or 1")
    elif network.labels == "one_hot" and not (Y.sum(axis=0) == 1).all():
        raise BackproofError(f"{network.name}: a one-hot column of Y does not have exactly one 1")


def fingerprint(tensors: Mapping[str, Array]) -> str:
    """One hexadecimal BLAKE2b digest over names, dtypes, shapes and bytes, in sorted order."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


class Implementation(Protocol):
    """A module of the suite that can run a :class:`Training`: found by configuration, known by these names.

    It may have three more: ``device() -> str``, what it computes on, ``cpu`` where it does not say;
    ``limit_threads(number)`` (:mod:`backproof.threads`); and ``variant(**options)``, which returns the same with other
    means (:mod:`backproof.variants`).
    """

    def record(self, training: Training) -> Iterator[Step]:
        """Train, and yield every step."""

    def train(self, training: Training) -> Parameters:
        """Train without observing, and return the final parameters."""

    def versions(self) -> dict[str, str]:
        """Name and version of the libraries that compute."""

    def threads(self) -> int:
        """Number of threads that they compute with."""


class Reference(Implementation, Protocol):
    """The NumPy network: it also draws the initial weights, and sums front to back when asked to."""

    def record(self, training: Training, summation: str = "default") -> Iterator[Step]:
        """Train, and yield every step; ``summation="sequential"`` adds front to back."""

    def initial_parameters(self, network: Network, seed: int, dtype: DTypeLike) -> Parameters:
        """Initial weights and biases from a seed, rounded to ``dtype`` once."""
