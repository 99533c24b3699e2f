"""How many threads the implementations compute with: with one, a run repeats bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

from threadpoolctl import threadpool_limits

from backproof.errors import BackproofError
from backproof.runs import asking, source_of
from backproof.training import Implementation


def limit(number: int | None, implementations: Mapping[str, Implementation]) -> None:
    """Limit every BLAS and OpenMP pool of this process, and what the implementations limit themselves; None: nothing.

    An implementation with a pool of its own has a function ``limit_threads(number)``. Call this after the data is
    loaded (scikit-learn brings a BLAS of its own) and before anything is trained: XLA makes its pool once. The checks
    still occupy all processors; their results do not depend on how many.

    Raises:
        BackproofError: for a number below 1, and for an implementation that still computes with more threads.
    """
    if number is None:
        return
    if number < 1:
        raise BackproofError(f"--threads must be at least 1, not {number}")
    threadpool_limits(number)  # for good: used as a context it would undo itself
    for name, module in implementations.items():
        if (limiter := getattr(module, "limit_threads", None)) is not None:
            with asking(f"implementation {name!r}", f"when it was limited to {number} threads"):
                limiter(number)
        if (left := source_of(name, module).threads) > number:
            raise BackproofError(
                f"implementation {name!r} computes with {left} threads, --threads allows {number}; "
                "give it a function limit_threads(number), or leave --threads out"
            )
