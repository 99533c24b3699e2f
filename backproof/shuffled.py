"""Mini-batches of a long run: drawn when they are asked for, so that a million steps take no more memory than ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KEPT = 2
"""Epochs whose order is held: runs that are taken step by step together are never further apart."""


class Shuffled(Sequence[Array]):
    """Read-only indices of the samples of each step: every epoch in an order of its own, a last partial batch included.

    The orders are ``numpy.random.default_rng(seed)``'s permutations, one after the other; going back draws them again.

    Args:
        samples: in the data.
        size: samples in a batch, at most all of them.
        steps: how many batches there are.
    """

    def __init__(self, samples: int, size: int, steps: int, seed: int) -> None:
        self._samples, self._size, self._steps, self._seed = samples, size, steps, seed
        self._in_epoch = -(-samples // size)
        self._generator, self._drawn = np.random.default_rng(seed), 0
        self._orders: dict[int, Array] = {}

    def __len__(self) -> int:
        return self._steps

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Array, ...]: ...

    def __getitem__(self, index: int | slice) -> Array | tuple[Array, ...]:
        steps = range(self._steps)[index]
        if isinstance(steps, range):
            return tuple(self[step] for step in steps)
        epoch, place = divmod(steps, self._in_epoch)
        return self._order(epoch)[place * self._size : (place + 1) * self._size]

    def _order(self, epoch: int) -> Array:
        if epoch not in self._orders and epoch < self._drawn:
            self._generator, self._drawn = np.random.default_rng(self._seed), 0
        while epoch not in self._orders:
            order = self._generator.permutation(self._samples)
            order.flags.writeable = False  # every implementation is given these very arrays
            self._orders[self._drawn] = order
            self._drawn += 1
            for old in [kept for kept in self._orders if not self._drawn - KEPT <= kept < self._drawn]:
                del self._orders[old]
        return self._orders[epoch]
