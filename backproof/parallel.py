"""Blocks of columns, judged on all processors: NumPy lets go of the interpreter inside its loops."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

BLOCK = 1 << 17
"""Elements judged at once: few enough for the cache, enough that the interpreter is no bottleneck for two threads."""

THREADED = 1 << 24
"""Multiplications from which on a product gains by a second thread."""

T = TypeVar("T")
R = TypeVar("R")


def blocks(rows: int, columns: int) -> list[slice]:
    """Slices of columns that hold about :data:`BLOCK` elements each."""
    width = max(1, BLOCK // max(rows, 1))
    return [slice(start, min(start + width, columns)) for start in range(0, columns, width)]


def in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """``[function(item) for item in items]``, several at a time; the results stand in the order of the items."""
    if len(items) < 2 or processors() < 2:
        return [_quietly(function, item) for item in items]
    return list(_pool().map(lambda item: _quietly(function, item), items))


@contextmanager
def single_threaded_blas(elements: int | None = None) -> Iterator[None]:
    """Hold NumPy's BLAS to one thread: the blocks occupy the processors already.

    Args:
        elements: of the largest product; where they are one block, BLAS keeps its threads.
    """
    if elements is not None and elements <= BLOCK:
        yield
        return
    _threads()
    with _controller().limit(limits=1, user_api="blas"):
        yield


@contextmanager
def threaded_blas(multiplications: int) -> Iterator[None]:
    """Give NumPy's BLAS its own number of threads back, where :func:`single_threaded_blas` holds it to one; for a
    product of so many multiplications, if it is worth that.
    """
    if multiplications < THREADED:
        yield
        return
    with _controller().limit(limits=_threads(), user_api="blas"):
        yield


def _quietly(function: Callable[[T], R], item: T) -> R:
    # NumPy's error state does not follow into other threads. What is not finite is judged, not warned of.
    with np.errstate(all="ignore"):
        return function(item)


@cache
def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(processors(), thread_name_prefix="backproof")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _threads() -> int:
    """How many BLAS took before it was first held to one."""
    return max((library["num_threads"] for library in _controller().select(user_api="blas").info()), default=1)
