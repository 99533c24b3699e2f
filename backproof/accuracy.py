"""How many samples a network puts into the right class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.evaluation import Context
from backproof.network import Network

Array = NDArray[Any]

BLOCK = 4096
"""Samples that are looked at at once."""


def accuracy(network: Network, parameters: Mapping[str, Array], X: Array, Y: Array) -> float:
    """Share of the samples whose largest output is the label's; of one output, whether it is above 1/2.

    In float64, whatever the parameters' format, so that runs in different formats are asked the same.

    Args:
        X: features x samples.
        Y: as the network's labels are; real ones of more than one output count by the largest.
    """
    right = 0
    for start in range(0, X.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        A, labels = _output(network, parameters, X[:, block]), Y[:, block]
        if len(A) == 1 and network.labels != "integer":
            right += int(np.count_nonzero((A > 0.5) == (labels > 0.5)))
        else:
            wanted = labels[0] if network.labels == "integer" else labels.argmax(axis=0)
            right += int(np.count_nonzero(A.argmax(axis=0) == wanted))
    return right / int(X.shape[1])


def _output(network: Network, parameters: Mapping[str, Array], X: Array) -> Array:
    context = Context(1, network.slope, network.learning_rate, 0.0)
    A = X.astype(np.float64)
    for layer, activation in enumerate(network.activations, 1):
        Z = parameters[f"W{layer}"].astype(np.float64) @ A + parameters[f"b{layer}"]
        A = np.asarray(elementwise.FORMULAS[activation](Z, context, Z).exact)
    return A
