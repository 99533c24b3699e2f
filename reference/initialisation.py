"""Initial weights from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backproof.network import Network


def initial_parameters(network: Network, seed: int, dtype: DTypeLike) -> dict[str, NDArray[Any]]:
    """``W_l`` normal with variance 2/fan_in (He et al. 2015, eq. 10) or 2/(fan_in + fan_out) (Glorot and
    Bengio 2010, eq. 16), ``b_l`` normal with standard deviation 0.05.

    Biases are not zero: a bias that starts at 0 hides that it is missing or negated. The draw is made in
    float64 and rounded once, so that float32 and float64 runs start from the same network.

    Returns:
        ``{"W1": (out, in), "b1": (out, 1), ...}`` in ``dtype``.
    """
    generator = np.random.default_rng(seed)
    parameters = {}
    for name, (fan_out, fan_in) in network.parameter_shapes().items():
        if name.startswith("W"):
            scale = 2 / fan_in if network.initialisation == "he" else 2 / (fan_in + fan_out)
            draw = generator.normal(0, np.sqrt(scale), (fan_out, fan_in))
        else:
            draw = generator.normal(0, 0.05, (fan_out, 1))
        parameters[name] = draw.astype(dtype)
    return parameters
