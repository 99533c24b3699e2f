"""The mistake is named: every planted fault by its name, first; what is no known mistake by none."""

from __future__ import annotations

import numpy as np
import pytest

from backproof.verdict import Verdict
from tests.support import check_of, judge, mixed, one_step, training
from tests.test_planted_faults import NETWORKS, mistakes

NAMES = {
    "factor m": "factor",
    "factor m in dW": "factor",
    "1/m twice": "factor",
    "1/m in db only": "factor",
    "sample dropped from dW": "sample-dropped",
    "sample dropped from db": "sample-dropped",
    "W transposed forward": "weights-transposed",
    "W not transposed backward": "weights-not-transposed",
    "dW transposed": "transposed",
    "bias missing": "bias-missing",
    "bias negated": "bias-subtracted",
    "db over everything": "summed-over-everything",
    "db is a mean": "factor",
    "updated weights": "weights-updated",
    "delta of another layer": "delta-of-another-layer",
    "Z for A": "input-not-activated",
    "sign": "sign-flipped",
    "factor 2": "factor",
    "learning rate": "learning-rate",
    "learning rate of a bias": "learning-rate",
    "weight decay in the update": "weight-decay",
    "weight decay in dW": "weight-decay",
    "no update": "not-updated",
    "ascent": "sign",
    "wrong slope forward": "other-slope",
    "wrong slope backward": "other-slope",
    "no slope backward": "other-derivative",
    "mask missing": "mask-missing",
    "mask of the wrong sign": "mask-inverted",
    "tanh' of Z": "derivative-of-wrong-form",
    "sigma' without 1 - a": "derivative-incomplete",
    "sigma' for tanh'": "derivative-of-wrong-form",
    "another activation": "other-activation",
    "epsilon in the loss": "",
    "softmax over the samples": "softmax-over-samples",
    "softmax unnormalised": "softmax-divided-by-max",
    "softmax twice": "softmax-twice",
}
"""Planted mistake -> the name it must get first; an empty name where none is right."""

CASES = [
    pytest.param(network, name, id=f"{network.name}-{name}")
    for network in NETWORKS[2:]
    for name in mistakes(network, 50)
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("network", "name"), CASES)
def test_a_planted_mistake_is_named_first(network, name, dtype):
    given = training(network, 50, seed=5, dtype=dtype)
    target, fault = mistakes(network, 50)[name]
    found = check_of(judge(given, one_step(given, {target: fault})), target).explanations
    assert found is not None
    assert (found[0].name if found else "") == NAMES[name]


def test_two_mistakes_in_one_equation_are_both_named():
    network = NETWORKS[2]
    given = training(network, 50)
    step = one_step(given, {"dZ1": lambda v, t: t["dA1"] / 50})
    best = check_of(judge(given, step), "dZ1").explanations[0]
    assert best.name == "mask-missing + factor"
    assert "1/m" in str(best)


@pytest.mark.parametrize("seed", range(10))
def test_noise_gets_no_name(seed):
    """A wrong name is worse than none."""
    network = mixed("cross_entropy", "one_hot")
    given = training(network, 50, seed)
    for target in ("Z2", "A3", "dA2", "dZ2", "dW3", "db4", "W2_next", "dZ6", "loss"):

        def fault(value, tensors):
            noise = np.random.default_rng(seed).standard_normal(np.shape(value))
            return value + 7e-3 * np.abs(value).max() * noise

        check = check_of(judge(given, one_step(given, {target: fault})), target)
        assert check.verdict is not Verdict.ROUNDING
        assert check.explanations == ()


def test_a_healthy_step_is_not_diagnosed(monkeypatch):
    monkeypatch.setattr("backproof.equation_check.explain", lambda *_: pytest.fail("a healthy step was diagnosed"))
    given = training(mixed("cross_entropy", "integer"), 50)
    assert all(check.explanations is None for check in judge(given, one_step(given, {})).checks)


def truncated(array, bits):
    """Low bits of float32 cut to zero after adding half of the last one that stays (round half up in magnitude)."""
    cut = 24 - bits
    raw = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((raw + np.uint32(1 << (cut - 1))) >> np.uint32(cut) << np.uint32(cut)).view(np.float32)


@pytest.mark.parametrize(("bits", "word"), [(11, "TF32"), (8, "bfloat16")])
@pytest.mark.parametrize("target", ["Z2", "dA2", "dW3"])
def test_arithmetic_in_a_lower_precision_is_named(target, bits, word):
    given = training(mixed("cross_entropy", "one_hot"), 200)
    operands = {"Z2": ("W2", "A1"), "dA2": ("W3", "dZ3"), "dW3": ("dZ3", "A2")}[target]

    def fault(value, tensors):
        left, right = (truncated(tensors[name], bits).astype(np.float64) for name in operands)
        product = {"Z2": lambda: left @ right + tensors["b2"], "dA2": lambda: left.T @ right}
        return product.get(target, lambda: left @ right.T)()

    best = check_of(judge(given, one_step(given, {target: fault})), target).explanations[0]
    assert best.name == "low-precision-operands"
    assert word in str(best)
    stored = one_step(given, {target: lambda value, tensors: truncated(value, bits)})
    best = check_of(judge(given, stored), target).explanations[0]
    assert best.name == "low-precision-result"
    assert word in str(best)
