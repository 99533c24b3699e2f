"""What differs between two runs that should have been given the same: data, initial parameters, batches.

Neither run is at fault by its own equations; only the two together show it. Each function returns the best explanation,
a stable name and a sentence about B as seen from A, or None where nothing that is known relates the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.rounding import format_of

Array = NDArray[Any]
Batches = Sequence[Array | None]
Named = tuple[str, str]

SLACK = 4.0
"""Units of roundoff by which two arrays that are one times a constant may differ: a product, a conversion."""


def data(first: Mapping[str, Array], second: Mapping[str, Array]) -> Named | None:
    """Of X, and of Y where X is the same."""
    A, B = first["X"], second["X"]
    if A.shape == B.shape and np.array_equal(A, B):
        return _labels(first["Y"], second["Y"])
    return next(_inputs(A, B), None)


def _inputs(A: Array, B: Array) -> Iterator[Named]:
    if A.shape != B.shape:
        m = min(A.shape[1], B.shape[1])
        if len(A) == len(B) and np.array_equal(A[:, :m], B[:, :m]):
            fewer, more = ("B", "A") if B.shape[1] == m else ("A", "B")
            missing = abs(A.shape[1] - B.shape[1])
            yield "samples-missing", f"{fewer} lacks the last {missing} of {more}'s samples"
        elif A.shape == B.shape[::-1] and np.array_equal(A, B.T):
            yield "data-transposed", "X of B is the transpose of X of A"
        return
    if (constant := _constant(A, B)) is not None:
        yield "data-scaled", f"X of B is {_scale(constant, A.shape[1])} times X of A"
    if (offset := _offset(A, B)) is not None:
        yield "data-shifted", f"X of B is X of A plus {offset:.6g}"
    yield from _standardised(A, B)
    if _same(np.sort(A, axis=None), np.sort(B, axis=None)):
        yield _permuted(A, B)


def _permuted(A: Array, B: Array) -> Named:
    """The same numbers in another order: of samples, of features, or of all."""
    if _same(_sorted_columns(A), _sorted_columns(B)):
        return "samples-permuted", "X of B holds the samples of A in another order"
    if _same(_sorted_columns(A.T), _sorted_columns(B.T)):
        return "features-permuted", "X of B holds the features of A in another order (rows flattened the other way?)"
    if _same(np.ravel(A, "F").reshape(A.shape), B) or _same(np.ravel(A).reshape(A.shape, order="F"), B):
        return "reshaped-for-transposed", "X of B was reshaped where it should have been transposed"
    return "data-scrambled", "X of B holds the numbers of A, each in another place (a reshape for a transpose?)"


def _sorted_columns(X: Array) -> Array:
    return X[:, np.lexsort(X[::-1])]


def _standardised(A: Array, B: Array) -> Iterator[Named]:
    """One of the two is the other, standardised feature by feature, with n or n − 1 in the deviation."""
    m = A.shape[1]
    varying = (A.std(axis=1) > 0) & (B.std(axis=1) > 0)
    if m < 3 or not varying.any():
        return
    ratios = (B[varying].astype(np.float64).std(axis=1)) / A[varying].astype(np.float64).std(axis=1)
    for constant, word in ((np.sqrt(m / (m - 1)), "n"), (np.sqrt((m - 1) / m), "n − 1")):
        if np.abs(ratios / constant - 1).max() <= SLACK * np.sqrt(m) * format_of(B.dtype).unit_roundoff:
            yield "deviation-divisor", f"B divides by a standard deviation with {word} where A does with the other"
    centred = B[varying].astype(np.float64)
    if np.abs(centred.mean(axis=1)).max() < 1e-3 and np.abs(centred.std(axis=1) - 1).max() < 1e-3:
        yield "data-standardised", "X of B is standardised (mean 0, deviation 1), X of A is not"


def _labels(A: Array, B: Array) -> Named | None:
    if _same(A, B):
        return None
    if A.shape != B.shape:
        return "labels-of-another-shape", f"Y of B has the shape {B.shape}, Y of A {A.shape}"
    for places in (1, -1):
        if np.array_equal(np.roll(A, places, axis=1), B):
            word = "before" if places == 1 else "after"
            return "labels-shifted", f"each label of B is that of the sample {word} it in A"
    if A.dtype.kind in "iu" and B.dtype.kind in "iu" and np.array_equal(A + (B - A)[0, 0], B):
        return "labels-offset", f"the class numbers of B are those of A plus {int((B - A)[0, 0])}"
    if A.dtype.kind not in "iu" and np.array_equal(1 - A, B):
        return "labels-inverted", "Y of B is 1 − Y of A"
    if np.array_equal(_sorted_columns(A), _sorted_columns(B)):
        return "labels-permuted", "Y of B holds the labels of A in another order, X does not"
    return None


def parameters(first: Mapping[str, Array], second: Mapping[str, Array]) -> Named | None:
    """Of the initial weights and biases: the first tensor that differs speaks for all."""
    for name, A in first.items():
        B = second[name]
        if A.shape == B.shape and not np.array_equal(A, B):
            return next(_weights(name, A, B), _unrelated(first, second))
    return None


def _weights(name: str, A: Array, B: Array) -> Iterator[Named]:
    fan_out, fan_in = A.shape if A.ndim == 2 else (1, 1)
    if fan_out == fan_in and np.array_equal(A.T, B):
        yield "weights-transposed", f"{name} of B is the transpose of {name} of A (in x out copied as out x in?)"
    if B.size > 1 and (B.flat[0] == B).all():
        yield "initialisation-constant", f"every element of {name} of B is {B.flat[0]:.6g}: its units never differ"
    if (constant := _constant(A, B)) is not None:
        sizes = {
            np.sqrt(fan_in / fan_out): "√(fan_in/fan_out): it is scaled by the units that it leads to",
            np.sqrt(2.0): "√2: He's scale for Xavier's or LeCun's",
            np.sqrt(0.5): "1/√2: LeCun's scale for He's",
        }
        said = next((w for value, w in sizes.items() if abs(constant / value - 1) < 1e-5), f"{constant:.6g}")
        yield "initialisation-scaled", f"{name} of B is that of A times {said}"
    if name.startswith("W") and not np.array_equal(A, B):
        for word, a, b in (("inputs", A, B), ("units", A.T, B.T)):
            if np.array_equal(_sorted_columns(a), _sorted_columns(b)):
                yield "weights-permuted", f"{name} of B is {name} of A with its {word} in another order"


def _unrelated(first: Mapping[str, Array], second: Mapping[str, Array]) -> Named:
    weights = [name for name in first if name.startswith("W") and first[name].size > 1]
    alike = all(0.5 < float(np.std(second[name]) / max(float(np.std(first[name])), 1e-300)) < 2 for name in weights)
    if alike:
        return "initialisation-unrelated", (
            "the weights of B are other random numbers of the same size: no two libraries draw the same from one seed; "
            "draw them once and copy them"
        )
    return "initialisation-of-another-size", "the weights of B are other random numbers, and of another size"


def batches(first: Batches, second: Batches, samples: int) -> Named | None:
    """Of the samples that the steps of two runs were made of; None in a list stands for all samples."""
    A, B = ([np.arange(samples) if batch is None else batch for batch in run] for run in (first, second))
    if not A or not B:
        return None
    if len(A) != len(B) and all(_same(a, b) for a, b in zip(A, B, strict=False)):
        return "steps-missing", f"{'B' if len(B) < len(A) else 'A'} ends {abs(len(A) - len(B))} steps before the other"
    sizes = [[len(batch) for batch in run] for run in (A, B)]
    for (ours, theirs), run in ((("A", "B"), B), (("B", "A"), A)):
        other = A if run is B else B
        if len(run) > 1 and all(len(batch) == 1 for batch in run) and len(other[0]) > 1:
            return "updated-for-each-sample", f"{theirs} updates after every sample, {ours} after every batch"
    if sizes[0][0] != sizes[1][0]:
        return "batches-of-another-size", f"the batches of B have {sizes[1][0]} samples, those of A {sizes[0][0]}"
    per_epoch, full = -(-samples // sizes[0][0]), samples // sizes[0][0]
    for (ours, theirs), (run, other) in ((("A", "B"), (B, A)), (("B", "A"), (A, B))):
        if _one_again(run[:full]) and not _one_again(other[:full]):
            said = f"{theirs} takes the same batch several times in one epoch (workers that share a seed?)"
            return "batches-repeated", said
        if samples % sizes[0][0] and _drops_last(run, other, per_epoch):
            return "last-batch-dropped", f"{theirs} drops the last, partial batch of an epoch, {ours} does not"
        if _repeats(run, per_epoch) and not _repeats(other, per_epoch):
            return "shuffled-once", f"{theirs} uses the same batches in every epoch, {ours} shuffles anew"
    for (ours, theirs), (run, other) in ((("A", "B"), (B, A)), (("B", "A"), (A, B))):
        if named := _taken(run, other[:per_epoch], ours, theirs, samples):
            return named
    if all(_same(np.sort(a), np.sort(b)) for a, b in zip(A, B, strict=False)):
        return "order-within-batches", "the batches hold the same samples, in another order"
    return "batches-unrelated", "the batches hold other samples: give both runs the same, drawn once"


def _taken(run: Sequence[Array], other: Sequence[Array], ours: str, theirs: str, samples: int) -> Named | None:
    """Samples that a run takes several times in an epoch, or never, where an epoch of the other takes each once."""
    if not _same(np.sort(np.concatenate(other)), np.arange(samples)):
        return None
    epoch = np.concatenate(run[: len(other)])
    missing = samples - len(np.unique(np.concatenate(run)))
    if len(np.unique(epoch)) < len(epoch):
        return "samples-repeated", f"{theirs} takes some samples several times in one epoch (drawn with replacement?)"
    return ("samples-missing", f"{theirs} never takes {missing} of the samples that {ours} takes") if missing else None


def _drops_last(run: Sequence[Array], other: Sequence[Array], per_epoch: int) -> bool:
    full = len(run[0])
    return all(len(batch) == full for batch in run) and any(len(batch) < full for batch in other[:per_epoch])


def _one_again(run: Sequence[Array]) -> bool:
    return any(_same(a, b) for place, a in enumerate(run) for b in run[:place])


def _repeats(run: Sequence[Array], per_epoch: int) -> bool:
    later = run[per_epoch:]
    return bool(later) and all(np.array_equal(a, b) for a, b in zip(run, later, strict=False))


def _same(A: Array, B: Array) -> bool:
    return A.shape == B.shape and bool(np.array_equal(A, B))


def _constant(A: Array, B: Array) -> float | None:
    """k where ``B = k A`` within rounding, and k is not 1.

    The fit itself errs by 3 units of float64 and two sums: NumPy adds pairs of blocks of 128, each in eight parts, so
    each sum by ``19 + log2(n/128)`` at most (Higham, *Accuracy and Stability of Numerical Algorithms*, 4.2).
    """
    a, b = A.astype(np.float64).ravel(), B.astype(np.float64).ravel()
    square = float((a * a).sum())
    if not square or not b.any():
        return None
    k = float((a * b).sum()) / square
    fit = 2.0**-53 * (3 + 2 * (19 + np.log2(max(1.0, a.size / 128))))
    allowed = (SLACK * format_of(B.dtype).unit_roundoff + fit) * np.maximum(np.abs(b), np.abs(k * a))
    return k if k != 1 and (np.abs(b - k * a) <= allowed).all() else None


def _offset(A: Array, B: Array) -> float | None:
    """c where ``B = A + c`` within rounding."""
    difference = B.astype(np.float64) - A
    c = float(np.median(difference))
    allowed = SLACK * format_of(B.dtype).unit_roundoff * (np.abs(A) + abs(c))
    return c if c and (np.abs(difference - c) <= allowed).all() else None


SCALES: dict[float, str] = {
    255.0: "255 (pixels that were not divided by 255)", 1 / 255: "1/255 (pixels that were divided by 255 once more)",
    255 / 256: "255/256 (divided by 256 for 255)", 256 / 255: "256/255 (divided by 255 for 256)", 2.0: "2", 0.5: "1/2",
    -1.0: "−1",
}  # fmt: skip


def _scale(constant: float, m: int) -> str:
    known = dict(SCALES)
    if m > 1:
        known[float(np.sqrt(m / (m - 1)))] = "√(m/(m − 1)) (a standard deviation with n for one with n − 1)"
        known[float(np.sqrt((m - 1) / m))] = "√((m − 1)/m) (a standard deviation with n − 1 for one with n)"
    return next((word for value, word in known.items() if abs(constant / value - 1) < 1e-6), f"{constant:.6g}")
