"""Mini-batches that are drawn when they are asked for: the same as drawn at once, in any order, and no memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from backproof.settings import Settings, batches
from backproof.shuffled import Shuffled


def at_once(samples: int, size: int, steps: int, seed: int) -> list[list[int]]:
    generator, drawn = np.random.default_rng(seed), []
    while len(drawn) < steps:
        order = generator.permutation(samples).tolist()
        drawn += [order[start : start + size] for start in range(0, samples, size)]
    return drawn[:steps]


@pytest.mark.parametrize(("samples", "size", "steps"), [(7, 3, 20), (6, 3, 7), (5, 5, 4), (1, 1, 3), (100, 64, 1)])
def test_they_are_what_was_drawn_at_once(samples: int, size: int, steps: int) -> None:
    found = batches(samples, Settings(steps=steps, batch_size=size, seed=3))
    assert len(found) == steps and [list(b) for b in found if b is not None] == at_once(samples, size, steps, 3)


def test_any_order_of_asking_gets_the_same() -> None:
    found, expected = Shuffled(7, 3, 30, 1), at_once(7, 3, 30, 1)
    for index in [29, 0, 14, 15, 3, 2, 28, -1, 29, 8, 8, *np.random.default_rng(0).integers(0, 30, 40).tolist()]:
        assert found[index].tolist() == expected[index]
        assert not found[index].flags.writeable and found[index].dtype == np.int64
    assert [batch.tolist() for batch in found[4:11:3]] == expected[4:11:3]
    with pytest.raises(IndexError):
        found[30]


def test_memory_does_not_grow_with_the_steps() -> None:
    tracemalloc.start()
    taken = sum(len(batch) for batch in Shuffled(1000, 100, 50_000, 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == 5_000_000 and peak < 100_000  # an order is 8,000 bytes
