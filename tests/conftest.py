"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def loud_jax() -> Iterator[None]:
    """JAX refuses to add a dimension by itself: ``(h,) + (h, m)`` is an error and not a broadcast."""
    jax = pytest.importorskip("jax", reason="jax is not installed")
    with jax.numpy_rank_promotion("raise"):
        yield
