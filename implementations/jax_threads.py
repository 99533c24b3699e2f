"""The threads that XLA computes with on a CPU: how many, and how they are limited."""

from __future__ import annotations

import os

import jax

from backproof.errors import BackproofError

__all__ = ["limit_threads", "threads"]


def threads() -> int:
    """Size of the thread pool that XLA computes with on a CPU, which JAX itself does not tell.

    XLA takes PJRT_NPROC, else NPROC, else the processors that the process may run on (``DefaultThreadPoolSize``
    in xla/pjrt/utils.cc), once, when its client is made.
    """
    for variable in ("PJRT_NPROC", "NPROC"):
        value = os.environ.get(variable, "")
        if value.isdecimal():
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(number: int) -> None:
    """Have XLA make a pool of ``number`` threads, which it does once.

    Raises:
        BackproofError: when it has made another one already.
    """
    if _client_is_made() and threads() != number:
        raise BackproofError(
            f"XLA computes with {threads()} threads in this process already; limit them before JAX is used"
        )
    os.environ["PJRT_NPROC"] = str(number)


def _client_is_made() -> bool:
    """Whether JAX still takes a number of devices, which it does until its client is made; the number stays."""
    kept = jax.config.jax_num_cpu_devices
    try:
        jax.config.update("jax_num_cpu_devices", kept + 1)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", kept)  # type: ignore[no-untyped-call]
    return False
