"""A ReLU's mask that is another layer's, or nobody's: named as such, and neither as no mask nor as dropout."""

from __future__ import annotations

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of

SAID = {"activations": ["relu", "relu", "softmax"], "loss": "cross_entropy", "learning_rate": 0.1}
OTHERS = {
    "another layer's": (lambda q: q["Z2"] > 0, "derivative-at-another-layer"),
    "one unit's of another layer": (lambda q: q["Z2"][:1] > 0, "mask-of-another-layer"),
    "the batch's before": (lambda q: np.roll(q["Z1"], 1, axis=1) > 0, "other-mask"),
    "the delta's above": (lambda q: q["dZ2"] > 0, "other-mask"),
}


def best(mask, seed=3, sizes=(7, 5, 5, 3)):
    case = Case(sizes, ("relu", "relu", "softmax"), "cross_entropy", 40, seed=seed)
    result = backproof.check_backprop(
        arrays_of(case, {"dZ1": lambda case, q, right: np.asarray(q["dA1"] * mask(q))}), **SAID
    )
    (failure,) = result.failures
    assert failure.equation == "dZ1"
    return failure.explanations[0]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("seed", [0, 2, 4, 6])  # in others a unit is nearly dead
def test_a_mask_of_another(other, seed):
    mask, name = OTHERS[other]
    assert best(mask, seed).name == name


def test_the_unit_is_said():
    said = best(lambda q: q["Z2"][2:3] > 0, 4, (7, 5, 4, 3)).sentence
    assert "Z2[2]" in said and "dA1 ⊙ (Z2[2] > 0)" in said


def test_dropout_and_a_missing_mask_keep_their_names():
    draw = np.random.default_rng(0)
    dropped = draw.random((5, 40)) < 0.7
    assert best(lambda q: (q["Z1"] > 0) * dropped).name == "dropout"
    assert best(lambda q: dropped / 0.7).name == "mask-missing + dropout"
    assert best(lambda q: np.ones((5, 40))).name == "mask-missing"
