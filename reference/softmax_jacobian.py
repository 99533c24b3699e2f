"""The Jacobian of softmax in full, and the output delta multiplied out of it.

    J_ij = da_i/dz_j = a_i (delta_ij - a_j),    dL/da_j = -y_j / a_j
    sum_j J_ij dL/da_j = -y_i + a_i sum_j y_j = a_i - y_i    for labels that add up to 1

(Goodfellow et al., *Deep Learning*, 6.2.2.3; note 000 writes it out.) It costs m n^2 numbers where ``A - Y`` costs m n.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from reference.activations import softmax

Array = NDArray[Any]


def softmax_jacobian(Z: Array) -> Array:
    """``J_s = diag(a_s) - a_s a_s^T`` of each sample s. ``Z`` is n x m (a sample a column) -> m x n x n."""
    A = softmax(Z, axis=0).T  # m x n
    return A[:, :, None] * np.eye(A.shape[1], dtype=A.dtype) - A[:, :, None] * A[:, None, :]


def delta_through_jacobian(Z: Array, Y: Array) -> Array:
    """``J_s (-y_s / a_s)`` of each sample, equal to ``A - Y``: n x m, n x m (one-hot) -> n x m.

    It is m times the derivative of the mean loss, and the derivative of the summed loss.

    Raises:
        BackproofError: where the true class's probability underflows to 0; ``A - Y`` has a value there,
            this route does not.
    """
    A = softmax(Z, axis=0)
    if ((A == 0) & (Y != 0)).any():
        sample = int(np.argmax(((A == 0) & (Y != 0)).any(axis=0)))
        raise BackproofError(f"the probability of sample {sample}'s true class underflows to 0: -y/a has no value")
    dA = np.divide(-Y, A, out=np.zeros_like(A), where=Y != 0)
    return np.einsum("sij,js->is", softmax_jacobian(Z), dA)
