"""A diagnosis tries on all elements only what comes near on a few: as many explanations are found, in little time."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of

explaining = import_module("backproof.diagnosis.explain")

DEEP = Case(
    (30, *[24] * 5, 10), ("relu", "tanh", "relu", "sigmoid", "relu", "softmax"), "cross_entropy", 500, "float32"
)


def judged(q):
    return backproof.check_backprop(q, DEEP.activations, DEEP.loss)


@pytest.fixture
def tried(monkeypatch):
    """How many candidates are compared at all elements, each time with one."""
    counted = []
    right = explaining.remaining
    monkeypatch.setattr(
        explaining, "remaining", lambda case, *given: counted.append(case.exact.size) or right(case, *given)
    )
    return counted


def test_noise_everywhere_is_not_compared_with_every_pair(tried):
    draw, q = np.random.default_rng(0), arrays_of(DEEP)
    # In a fixed order: one wrong number in fifty is some short λ away from the right loss, by chance (CHANCE).
    for name in sorted(q.keys() - {"X", "Y", "W1"}):
        q[name] = (q[name] + 0.01 * np.abs(q[name]).max() * draw.standard_normal(q[name].shape)).astype(np.float32)
    result = judged(q)
    assert len(result.failures) == len(result.coverage.checked) and not any(f.explanations for f in result.failures)
    # The right value with a factor, and what few elements cannot refuse: one or two an equation and convention.
    assert len([size for size in tried if size > 16]) < 6 * len(result.failures)


PAIRS = {
    "dA3": (lambda q: q["W3"].T @ q["dZ5"], {"delta-of-another-layer", "weights-of-another-layer"}),
    "dZ3": (lambda q: q["dA2"] * (q["Z4"] > 0), {"delta-of-another-layer", "derivative-at-another-layer"}),
    "dW3": (lambda q: q["dZ4"][:, :-1] @ q["A2"][:, :-1].T, {"delta-of-another-layer", "sample-dropped"}),
    "db3": (lambda q: q["dZ4"][:, 1:].sum(axis=1, keepdims=True), {"delta-of-another-layer", "sample-dropped"}),
    "Z3": (lambda q: q["W4"] @ q["A2"] - q["b3"], {"weights-of-another-layer", "bias-subtracted"}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_of_mistakes_is_found_among_thousands(name):
    make, names = PAIRS[name]
    q = arrays_of(DEEP)
    q[name] = make({key: array.astype(np.float64) for key, array in q.items()}).astype(np.float32)
    failure = next(failure for failure in judged(q).failures if failure.equation == name)
    assert any(set(found.name.split(" + ")) == names for found in failure.explanations), failure


def test_what_is_too_large_to_be_judged_has_no_name():
    """Its unit overflows: every candidate would be within it."""
    q = {name: array if name == "Y" else array.astype(np.float64) * 1e300 for name, array in arrays_of(DEEP).items()}
    failures = judged(q).failures
    assert "overflow" in failures[0].message and not failures[0].explanations
