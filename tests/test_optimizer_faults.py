"""Wrong optimizers in the place of right ones: found at the equation that is wrong, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof.optimizer import Optimizer
from backproof.verdict import Verdict
from reference import optimizers
from tests.faults.optimizer import FAULTS
from tests.faults.wrong_optimizer import Wrong, best_names, failing, placed, run
from tests.support import BY_NAME, training

ORDER = np.random.default_rng(2).permutation(40)
BATCHES = (ORDER[:20], ORDER[20:], ORDER[10:30], None)
"""AMSGrad is Adam as long as no gradient falls, so it takes other samples to show it."""
TIED_IN_FLOAT64 = {"state-before-update", "bias-correction-written-back", "squares-summed"}
"""In the first step, where the state is zero, another mistake explains as much; a small λ is only so in float32."""


def given(wrong: Wrong, dtype: str):
    network = replace(BY_NAME["two_layer"], optimizer=wrong.declared, learning_rate=0.01)
    return training(network, 40, dtype=dtype, batches=BATCHES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrong", FAULTS, ids=lambda wrong: f"{wrong.id or wrong.declared.name}-{wrong.name}")
def test_a_wrong_optimizer_is_found_and_named(wrong, dtype):
    judge = run(wrong, given(wrong, dtype))
    assert judge.verdict is Verdict.BUG
    assert placed(wrong, judge), [str(finding) for finding in failing(judge)[:4]]
    names = best_names(wrong, judge)
    tied = wrong.tied and (dtype == "float32" or wrong.name in TIED_IN_FLOAT64)
    assert names and (wrong.name == names[0] or (tied and wrong.name in names)), names
    first = next(finding for finding in failing(judge) if finding.quantity == wrong.target)
    assert ("the data cannot tell it from: " in first.message) == (len(names) > 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["vW1_next", "W1_next"])
def test_what_is_no_known_mistake_gets_no_name(target, dtype):
    """A wrong name is worse than none."""

    def noisy(o, g, W, state, alpha, t):
        after, kept = optimizers.momentum(o, g, W, state, alpha, t)
        noise = 1e-3 * np.random.default_rng(t).standard_normal(W.shape).astype(W.dtype)
        return (after, {"v": kept["v"] + noise}) if target[0] == "v" else (after + noise, kept)

    wrong = Wrong("", "", Optimizer("momentum"), target, "", noisy, also="Wb")
    judge = run(wrong, given(wrong, dtype))
    assert placed(wrong, judge) and best_names(wrong, judge) == []


def test_a_right_optimizer_is_not():
    for wrong in FAULTS:
        judge = run(Wrong("", "", wrong.declared, "", ""), given(wrong, "float32"))
        assert judge.verdict is Verdict.ROUNDING, judge.findings[:2]
