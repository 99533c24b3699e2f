"""The inputs and labels of a step, where a script has several arrays that could be them: by shape, then by value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from backproof.tracing.layers import Placed
from backproof.tracing.network import Network
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

ROWS = 16
"""About as many rows of a product are enough to tell one array from another."""
Quantities = dict[str, Sighting]
_KEY = re.compile(r"(dZ|dA|dH|Z|A)(\d+)")


def samples(quantities: Quantities, network: Network) -> int:
    """How many samples Z, A or dZ have; 0 where the widths do not tell."""
    for layer, seen in _sampled(quantities, network):
        shape, width = seen.value.shape, network.widths[layer]
        if len(shape) == 2 and width in shape:
            return int(shape[1] if shape[0] == width else shape[0])
        if shape == (width,):
            return 1
    return 0


def one_sample(quantities: Quantities, network: Network) -> None:
    """Vectors of a single sample become rows: every quantity of a step has samples."""
    for key, seen in list(quantities.items()):
        for layer, _ in _sampled({key: seen}, network):
            if seen.value.shape == (network.widths[layer],):
                quantities[key] = replace(seen, value=seen.value.reshape(1, -1))


def _sampled(quantities: Quantities, network: Network) -> Iterator[tuple[int, Sighting]]:
    """Layer and sighting of what has one row or column a sample."""
    for key, seen in quantities.items():
        if network.widths and (found := _KEY.fullmatch(key)):
            yield int(found[2]), seen


def _alone(value: Array, width: int, beside: Sighting | None) -> Array:
    """The vector of a single sample, in a column where the layer beside it is one, or else in a row."""
    if value.shape != (width,):
        return value
    columns = beside is not None and beside.value.ndim == 2 and beside.value.shape[1] == 1 < beside.value.shape[0]
    return value.reshape((-1, 1) if columns else (1, -1))


def inputs(found: Placed, quantities: Quantities, network: Network, notes: list[str], since: int) -> Quantities:
    """The X that gives Z1 with W1 and b1, or the last of the right shape."""
    m = samples(quantities, network)
    made = min((s.order for key, s in quantities.items() if key[0] in "ZA"), default=10**12)
    candidates = []
    for s in [*found.get(("X", 0), []), *found.get(("A", 0), [])]:  # those that say layer 0 last: they win a tie
        width = network.widths[0] if network.widths else 0
        value = _alone(s.value, width, quantities.get("Z1", quantities.get("A1"))) if m == 1 else s.value
        if _are_inputs(value, m, width) and s.order < made:
            candidates.append(replace(s, value=value))
    if not candidates:
        return {}

    def residual(s: Sighting) -> float:
        return min([*_from_inputs(s.value, quantities), *_to_gradient(s.value, quantities), 1.0])

    # The ``x`` of a helper may be any array that it was handed.
    forward = {s.identity for (kind, layer), seen in found.items() if kind in ("Z", "A") and layer for s in seen}
    fits = any(residual(s) < 1e-3 for s in candidates)
    outside = candidates if fits else [s for s in candidates if s.identity not in forward]
    return {"X": _best(outside or candidates, residual, "X", "gives Z1 with W1 and b1", notes, since)}


def labels(
    found: Placed, quantities: Quantities, network: Network, notes: list[str], since: int, begun: int
) -> Quantities:
    """The Y for which the output's delta is closest to a multiple of A − Y, or the last of the right shape.

    Only those that stood when the backward pass began (``begun``) can be meant: the next batch's come later.
    """
    m, width = samples(quantities, network), network.widths[-1] if network.widths else 0
    output, delta, error = (quantities.get(f"{kind}{network.depth}") for kind in ("A", "dZ", "dH"))
    delta = delta or error
    candidates = []
    used = [s for s in found.get(("Y", 0), []) if s.order < (begun if delta is None else delta.order)]
    for s in used or found.get(("Y", 0), []):
        value = _alone(s.value, width, output or delta) if m == 1 else s.value
        if value.ndim == 0 and m == width == 1:
            value = value.reshape(1, 1).astype(np.float64)
        if value.ndim in (1, 2) and (not m or m in value.shape) and (_flat(value) or not width or width in value.shape):
            candidates.append(replace(s, value=value))
    if not candidates:
        return {}

    def residual(s: Sighting) -> float:
        return _delta_apart(s.value, output, delta)

    return {"Y": _best(candidates, residual, "Y", "gives the output's delta with A", notes, since)}


def _best(
    candidates: list[Sighting], residual: Callable[[Sighting], float], key: str, why: str, notes: list[str], since: int
) -> Sighting:
    """The least residual; of several the last. Others that were made in this pass (``since``) are said."""
    with np.errstate(all="ignore"):
        # A candidate from which no number comes out is none: a NaN is neither larger nor smaller than another.
        apart = [r if np.isfinite(r) else np.inf for r in map(residual, candidates)]
    least = min(apart)
    chosen = [s for s, r in zip(candidates, apart, strict=True) if r == least or r <= least * 1.001 + 1e-12][-1]
    tied = least * 1.001 + 1e-12 if least < 1e-3 else -1.0
    others = {s.label for s in candidates if s.order >= since}
    others -= {s.label for s, r in zip(candidates, apart, strict=True) if r <= tied or s.identity == chosen.identity}
    if others:
        reason = f"it {why}" if least < 1e-3 else "none fits the step by value; it is the last of its shape"
        notes.append(f"{key} is {chosen.label} and not {', '.join(sorted(others))}: {reason}")
    return chosen


def _are_inputs(value: Array, m: int, width: int) -> bool:
    """Whether an array is m × width or width × m."""
    if value.ndim != 2 or value.dtype.kind not in "fiu":
        return False
    return not (m and width) or value.shape in ((m, width), (width, m))


def _flat(value: Array) -> bool:
    return value.ndim == 1 or 1 in value.shape


def _from_inputs(x: Array, quantities: Quantities) -> Iterator[float]:
    """Relative distances of Z1 from W1 and X, with b1; of A1 where Z1 has no name."""
    z, w, b = quantities.get("Z1", quantities.get("A1")), quantities.get("W1"), quantities.get("b1")
    if z is not None and w is not None and w.value.ndim == 2:
        yield from products(x, w.value, None if b is None else b.value, z.value)


def _to_gradient(x: Array, quantities: Quantities) -> Iterator[float]:
    """Relative distances of dW1 from a multiple of dZ1 and X."""
    delta, gradient = quantities.get("dZ1"), quantities.get("dW1")
    if delta is None or gradient is None or delta.value.ndim != 2:
        return
    for left in (x, x.T):
        for right in (delta.value, delta.value.T):
            if left.shape[1] == right.shape[0]:
                some = slice(None, None, 1 + left.shape[0] // ROWS)
                product = np.ascontiguousarray(left[some]) @ right
                for seen in (gradient.value, gradient.value.T):
                    if seen.shape == (left.shape[0], right.shape[1]) and (norm := float(np.vdot(product, product))) > 0:
                        yield _distance(float(np.vdot(product, seen[some])) / norm * product, seen[some])


def products(x: Array, w: Array, b: Array | None, z: Array) -> Iterator[float]:
    """Relative distances of z from x·w + b in every orientation of the three."""
    bias = np.zeros(1) if b is None else b.reshape(-1)
    for left in (x, x.T):
        for right in (w, w.T):
            if left.shape[1] == right.shape[0]:
                some = slice(None, None, 1 + left.shape[0] // ROWS)
                product = np.ascontiguousarray(left[some]) @ right
                product = product + bias if bias.size in (1, product.shape[1]) else product
                shape = (left.shape[0], right.shape[1])
                yield from (_distance(product, seen[some]) for seen in (z, z.T) if seen.shape == shape)


def _delta_apart(y: Array, output: Sighting | None, delta: Sighting | None) -> float:
    """How far the output's delta is from a multiple of A − Y, by angle or by signs; 1 where they do not go together.

    By signs because a derivative may stand between them: 1 − |cosine| or the part of opposite signs, whichever is less.
    """
    if output is None or delta is None or output.value.shape != delta.value.shape:
        return 1.0
    best = 1.0
    alike = [y.reshape(output.value.shape)] if y.size == output.value.size and _flat(y) else [y, y.T]
    for turned in (*alike, *_one_hot(y, output.value.shape)):
        if turned.shape == output.value.shape:
            difference, seen = (output.value - turned).ravel(), delta.value.ravel()
            norm = float(np.linalg.norm(difference) * np.linalg.norm(seen))
            if norm > 0:
                opposite = float(np.mean(difference * seen < 0))
                best = min(best, 1 - abs(float(difference @ seen)) / norm, opposite, 1 - opposite)
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
