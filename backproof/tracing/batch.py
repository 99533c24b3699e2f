"""The inputs and labels of a step, where a script has several arrays that could be them: by shape, then by value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from backproof.tracing.layers import Placed
from backproof.tracing.network import Network
from backproof.tracing.sightings import Array, Sighting

Quantities = dict[str, Sighting]
SAMPLED = ("Z", "A", "dZ", "dA")


def samples(quantities: Quantities, network: Network) -> int:
    """How many samples Z, A or dZ have; 0 where the widths do not tell."""
    for key, seen in quantities.items():
        kind, layer = key.rstrip("0123456789"), key.lstrip("dZA")
        if kind in ("Z", "A", "dZ") and layer.isdigit() and network.widths:
            shape, width = seen.value.shape, network.widths[int(layer)]
            if len(shape) == 2 and width in shape:
                return int(shape[1] if shape[0] == width else shape[0])
            if shape == (width,):
                return 1
    return 0


def one_sample(quantities: Quantities, network: Network) -> None:
    """Vectors of a single sample become rows: every quantity of a step has samples."""
    for key, seen in list(quantities.items()):
        kind, layer = key.rstrip("0123456789"), key.lstrip("dZA")
        if kind in SAMPLED and seen.value.ndim == 1 and network.widths and layer.isdigit():
            if seen.value.shape == (network.widths[int(layer)],):
                quantities[key] = _as(seen, seen.value.reshape(1, -1))


def inputs(found: Placed, quantities: Quantities, network: Network, notes: list[str]) -> Quantities:
    """The X that gives Z1 with W1 and b1, or the last of the right shape."""
    m = samples(quantities, network)
    made = min((s.order for key, s in quantities.items() if key[0] in "ZA"), default=10**12)
    candidates = []
    for s in [*found.get(("X", 0), []), *found.get(("A", 0), [])]:
        value = _two_dimensional(s.value, m, network.widths[0] if network.widths else 0)
        if value is not None and value.dtype.kind in "fiu" and s.order < made:
            candidates.append(_as(s, value))
    if not candidates:
        return {}

    def residual(s: Sighting) -> float:
        return min(_products(s.value, quantities), default=1.0)

    return {"X": _best(candidates, residual, "X", "gives Z1 with W1 and b1", notes)}


def labels(found: Placed, quantities: Quantities, network: Network, notes: list[str]) -> Quantities:
    """The Y for which the output's delta is closest to a multiple of A − Y, or the last of the right shape."""
    m, width = samples(quantities, network), network.widths[-1] if network.widths else 0
    output, delta = (quantities.get(f"{kind}{network.depth}") for kind in ("A", "dZ"))
    candidates = []
    for s in found.get(("Y", 0), []):
        if s.value.ndim == 0 or (m and m not in s.value.shape and not (m == 1 and s.value.shape == (width,))):
            continue
        flat = s.value.ndim == 1 or 1 in s.value.shape
        if s.value.ndim == 2 and not flat and width and width not in s.value.shape:
            continue
        candidates.append(_as(s, s.value.reshape(1, -1)) if m == 1 and s.value.shape == (width,) else s)
    if not candidates:
        return {}

    def residual(s: Sighting) -> float:
        return _delta_apart(s.value, output, delta)

    return {"Y": _best(candidates, residual, "Y", "gives the output's delta with A", notes)}


def _best(
    candidates: list[Sighting], residual: Callable[[Sighting], float], key: str, why: str, notes: list[str]
) -> Sighting:
    """The least residual; of several the last. Another array under a like name is said."""
    with np.errstate(all="ignore"):
        apart = [residual(s) for s in candidates]
    least = min(apart)
    chosen = [s for s, r in zip(candidates, apart, strict=True) if r <= least * 1.001 + 1e-12][-1]
    others = {s.label for s in candidates if s.identity != chosen.identity} - {chosen.label}
    if others:
        reason = f"it {why}" if least < 1e-3 else "none fits the step by value; it is the last of its shape"
        notes.append(f"{key} is {chosen.label} and not {', '.join(sorted(others))}: {reason}")
    return chosen


def _two_dimensional(value: Array, m: int, width: int) -> Array | None:
    """The inputs as m × width or width × m, or None if they are not that."""
    if m == 1 and value.shape == (width,):
        return value.reshape(1, -1)
    if value.ndim != 2 or (width and width not in value.shape) or (m and m not in value.shape):
        return None
    return None if m and width and value.size != m * width else value


def _products(x: Array, quantities: Quantities) -> Iterator[float]:
    """Relative distances of Z1 from W1 and X in every orientation, with b1."""
    z, w, b = (quantities.get(key) for key in ("Z1", "W1", "b1"))
    z = z or quantities.get("A1")
    if z is None or w is None or w.value.ndim != 2:
        return
    bias = np.zeros(1) if b is None else b.value.reshape(-1)
    for turned in (x, x.T):
        for weight in (w.value, w.value.T):
            if turned.shape[1] != weight.shape[0]:
                continue
            product = turned @ weight
            product = product + bias if bias.size in (1, product.shape[1]) else product
            for seen in (z.value, z.value.T):
                if seen.shape == product.shape:
                    yield _distance(product, seen)


def _delta_apart(y: Array, output: Sighting | None, delta: Sighting | None) -> float:
    """1 − |cosine| of the output's delta and A − Y, with Y as it is or turned; 1 where they do not go together."""
    if output is None or delta is None or output.value.shape != delta.value.shape:
        return 1.0
    best = 1.0
    for turned in (y, y.T, *_one_hot(y, output.value.shape)):
        if turned.shape == output.value.shape:
            difference, seen = (output.value - turned).ravel(), delta.value.ravel()
            norm = float(np.linalg.norm(difference) * np.linalg.norm(seen))
            best = min(best, 1 - abs(float(difference @ seen)) / norm) if norm > 0 else best
    return best


def _one_hot(y: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    flat = y.reshape(-1)
    if len(shape) == 2 and flat.size in shape and flat.dtype.kind in "iuf":
        for classes, turned in ((shape[1], False), (shape[0], True)):
            if flat.size == shape[0 if not turned else 1] and np.all((flat >= 0) & (flat < classes)):
                hot = np.eye(classes)[flat.astype(np.int64)]
                yield hot.T if turned else hot


def _distance(first: Array, second: Array) -> float:
    norm = float(np.linalg.norm(second))
    apart = float(np.linalg.norm(first - second))
    return apart / norm if norm > 0 and np.isfinite(apart) else 1.0


def _as(seen: Sighting, value: Array) -> Sighting:
    return replace(seen, value=value)
