"""Elementwise equations in the run's own format: whether an array is, to the last bit, what its operands make there.

What involves no rounding has to agree so. The update may: it is one rounded product and one rounded difference, or one
FMA. What agrees cannot be wrong; disagreement says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.evaluation import Context

Array = NDArray[Any]

FORMATS = ("float32", "float64")
"""Those that NumPy computes in itself."""


def _relu(A: Array, context: Context, Z: Array) -> bool:
    return bool((np.maximum(Z, 0) == A).all())


def _leaky_relu(A: Array, context: Context, Z: Array) -> bool:
    return bool((np.where(Z > 0, Z, Z * Z.dtype.type(context.slope)) == A).all())


def _identity(A: Array, context: Context, Z: Array) -> bool:
    return bool((A == Z).all())


def _through_relu(dZ: Array, context: Context, dA: Array, Z: Array) -> bool:
    return bool((dA * (Z > 0) == dZ).all())


def _through_leaky_relu(dZ: Array, context: Context, dA: Array, Z: Array) -> bool:
    # At Z = 0 a derivative may be either: what is taken here need not be theirs, and the dense check decides.
    return bool((np.where(Z >= 0, dA, dA * dA.dtype.type(context.slope)) == dZ).all())


def _gradient_descent(after: Array, context: Context, W: Array, dW: Array) -> bool:
    if after.flags.f_contiguous:
        after, W, dW = after.T, W.T, dW.T  # so that raveling copies nothing
    rounded = W.dtype.type(context.step_size) * dW
    np.subtract(W, rounded, out=rounded)
    others = np.flatnonzero(rounded != after)
    if not others.size:
        return True
    W, dW, after = W.ravel()[others], dW.ravel()[others], after.ravel()[others]
    # The product of two float32 numbers is exact in float64, so that this rounds as an FMA does (but for one case in
    # 2^29 that is rounded twice).
    return W.dtype == np.float32 and bool(
        (np.subtract(W, context.step_size * dW.astype(np.float64), dtype=np.float64).astype(np.float32) == after).all()
    )


SAME: dict[str, Callable[..., bool]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "identity": _identity,
    "through_relu": _through_relu,
    "through_leaky_relu": _through_leaky_relu,
    "through_identity": _identity,
    "gradient_descent": _gradient_descent,
}
"""Formula -> whether an array is, to the last bit, what the run's own format makes of the operands."""
