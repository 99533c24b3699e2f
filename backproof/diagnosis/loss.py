"""Mistakes of the loss; a wrong divisor is found as a constant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import epsilon, penalty
from backproof.diagnosis.candidate import Candidate, Case, Part
from backproof.diagnosis.labels import LOSSES, labels, outputs

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Wrong labels or output, other terms, other samples, an ε, a penalty."""
    taken, right = list(outputs(case, "the loss")), penalty.right(case)
    bases = [part.array for part in taken if not part.name]
    for part in taken:
        if part.name:
            yield _total(case, part, _terms(case, case.network.loss, part.array, case.one_hot), right)
    for A in bases:
        for wrong in labels(case, "the loss"):
            if wrong.name and wrong.name != "broadcast":
                yield _total(case, wrong, _terms(case, case.network.loss, A, wrong.array), right)
        for other in (*_other_terms(case, A), *_broadcast(case, A), *_samples(case, A), *_of_the_sum(case, A)):
            yield _total(case, other, other.array, right)
        # An output that was overwritten with the right labels explains nothing; an ε or a penalty may.
        yield from epsilon.candidates(case, A, right)
        yield from penalty.candidates(case, float(_terms(case, case.network.loss, A, case.one_hot).sum()))


def _total(case: Case, part: Part, terms: Array, right: float) -> Candidate:
    return Candidate(part.name, part.text, np.asarray(terms.sum() / case.context.divisor + right))


def _terms(case: Case, loss: str, A: Array, Y: Array) -> Array:
    """One for each element."""
    if loss == "mse":
        return np.asarray((A - Y) ** 2 * (0.5 if case.context.half else 1.0))
    true = np.where(Y == 0, 0.0, -Y * np.log(A))
    return true if loss == "cross_entropy" else true + np.where(Y == 1, 0.0, -(1 - Y) * np.log1p(-A))


def _other_terms(case: Case, A: Array) -> Iterator[Part]:
    own, Y = case.network.loss, case.one_hot
    for other, word in LOSSES.items():
        if other != own and (other == "mse" or ((A >= 0) & (A <= 1)).all()):
            terms = _terms(case, other, A, Y)
            name = {"mse": "squared-error", "cross_entropy": "cross-entropy"}.get(other, "binary-cross-entropy")
            yield Part(name, f"the loss is {word}, not {LOSSES[own]}", terms)
            if other == "mse":
                yield Part(name, f"the loss is half {word}, not {LOSSES[own]}", terms / 2)
    yield Part("absolute-error", "the loss is the absolute error: Σ |a − y|", np.abs(A - Y))
    if own == "mse":
        yield Part("square-missing", "the square is missing: the loss is Σ (a − y)", A - Y)
        return
    terms = _terms(case, own, A, Y)
    yield Part("log-missing", "the logarithm is missing: the loss is −Σ y a", -Y * A)
    yield Part("log-base-2", "the logarithm is to base 2", terms / np.log(2))
    yield Part("log-base-10", "the logarithm is to base 10", terms / np.log(10))
    if own == "binary_cross_entropy":
        text = "only −y log a is summed; (1 − y) log(1 − a) is missing"
        yield Part("positive-term-only", text, np.where(Y == 0, 0.0, -Y * np.log(A)))


def _broadcast(case: Case, A: Array) -> Iterator[Part]:
    """An output of one unit as (m, 1) against labels as (m,): every output meets every label."""
    if len(A) != 1 or case.m == 1 or case.m > 4096:
        return
    terms = _terms(case, case.network.loss, A.T + 0 * case.one_hot, case.one_hot + 0 * A.T)
    text = "(m, 1) against (m,) broadcasts to m x m: the loss is "
    yield Part("broadcast", text + "the mean over all pairs of an output and a label", terms / case.m)
    yield Part("broadcast", text + "a sum over all pairs of an output and a label", terms)


def _samples(case: Case, A: Array) -> Iterator[Part]:
    terms = _terms(case, case.network.loss, A, case.one_hot)
    whole, m = float(terms.sum()), case.m
    if m == 1:
        return
    for word, keep in (("last", -1), ("first", 0)):
        one = float(terms[:, keep].sum())
        yield Part("sample-dropped", f"the {word} sample is left out of the loss", np.asarray(whole - one))
        yield Part("one-sample", f"the loss is the {word} sample's alone, over m", np.asarray(one))
        yield Part("one-sample", f"the loss is the {word} sample's alone", np.asarray(one * m))
    for label in range(len(A) if len(A) > 1 else 0):
        out = case.one_hot[label] == 1
        kept, total = m - int(np.count_nonzero(out)), whole - float(terms[:, out].sum())
        if 0 < kept < m:
            text = f"the samples of class {label} are left out of the loss"
            yield Part("samples-ignored", text, np.asarray(total))
            yield Part(
                "samples-ignored", f"{text}, and the mean is over the other {kept}", np.asarray(total * m / kept)
            )


def _of_the_sum(case: Case, A: Array) -> Iterator[Part]:
    """What was done to the whole; a part is multiplied with 1/divisor afterwards."""
    d = case.context.divisor
    total = float(_terms(case, case.network.loss, A, case.one_hot).sum())
    if case.network.loss == "mse":
        yield Part("square-root", "the loss is the root of the mean squared error", np.asarray(d * np.sqrt(total / d)))
        length = d * np.sqrt(total)
        yield Part("square-root", "the loss is the length of A − Y, not its square", np.asarray(length))
