"""Losses and their derivatives in balls, as their definitions have them; every function is given Y as balls too.

``TERMS`` has what a loss sums up (undivided), of the logits where loss and output activation are one function of them,
else of the output A; ``GRADIENTS`` the derivatives of each term with respect to A. (Goodfellow et al., *Deep Learning*,
6.2.2.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Balls = NDArray[Any]
"""An object array of ``flint.arb``."""
Formula = Callable[[Balls, Balls], Balls]


def each(function: Callable[..., Any], *arrays: Array) -> Array:
    """A function of balls or numbers, element by element; the result is an array of objects, whatever its shape."""
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def cross_entropy(Z: Balls, Y: Balls) -> Balls:
    """``-y_i log softmax(z)_i = y_i log(1 + sum_(j != i) e^(z_j - z_i))``, which keeps its digits near 0 too."""
    terms = np.zeros_like(Z)
    for i, s in np.argwhere(Y != 0):
        others = sum((Z[j, s] - Z[i, s]).exp() for j in range(len(Z)) if j != i)
        terms[i, s] = Y[i, s] * (Y[i, s] * 0 + others).log1p()
    return terms


def binary_cross_entropy(Z: Balls, Y: Balls) -> Balls:
    """``-y log sigma(z) - (1 - y) log sigma(-z)``."""
    return each(lambda z, y: y * (-z).exp().log1p() + (1 - y) * z.exp().log1p(), Z, Y)


def mse(A: Balls, Y: Balls) -> Balls:
    """``(a - y)^2``."""
    return (A - Y) * (A - Y)


def cross_entropy_of_output(A: Balls, Y: Balls) -> Balls:
    """``-y log a``, 0 where y is 0."""
    return each(lambda a, y: y if y.is_zero() else -y * a.log(), A, Y)


def binary_cross_entropy_of_output(A: Balls, Y: Balls) -> Balls:
    """``-y log a - (1 - y) log(1 - a)``, each 0 where its factor is."""
    return cross_entropy_of_output(A, Y) + cross_entropy_of_output(1 - A, 1 - Y)


def mse_gradient(A: Balls, Y: Balls) -> Balls:
    """``2 (a - y)``."""
    return 2 * (A - Y)


def cross_entropy_gradient(A: Balls, Y: Balls) -> Balls:
    """``-y / a``, 0 where y is 0."""
    return each(lambda a, y: y if y.is_zero() else -y / a, A, Y)


def binary_cross_entropy_gradient(A: Balls, Y: Balls) -> Balls:
    """``-y / a + (1 - y) / (1 - a)``, each 0 where its numerator is."""
    return cross_entropy_gradient(A, Y) - cross_entropy_gradient(1 - A, 1 - Y)


TERMS: dict[tuple[str, bool], Formula] = {
    ("cross_entropy", True): cross_entropy,
    ("binary_cross_entropy", True): binary_cross_entropy,
    ("cross_entropy", False): cross_entropy_of_output,
    ("binary_cross_entropy", False): binary_cross_entropy_of_output,
    ("mse", False): mse,
}
"""Loss, and whether it is a function of the logits -> its terms."""
GRADIENTS: dict[str, Formula] = {
    "mse": mse_gradient,
    "cross_entropy": cross_entropy_gradient,
    "binary_cross_entropy": binary_cross_entropy_gradient,
}
