"""Every constant that decides a verdict, from just below and just above: 0.98 and 1.02 of the limit differ.

The limits are written out here as numbers, so that a constant that is changed fails the test of its name. What is
judged is recorded in float64 and judged as float32: the residual can then be placed to 2 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backproof import replicas as replicas_module
from backproof.agreement import AgreementChecker, _agreement
from backproof.check import Check
from backproof.elementwise import FORMULAS
from backproof.elementwise_check import check_elementwise
from backproof.equations import Elementwise, Equation, Product
from backproof.evaluation import Context
from backproof.inner_products import PLAIN, gather
from backproof.loss_check import LossYardstick, check_loss, honest_error
from backproof.operands import Operands
from backproof.optimizer_formulas import FORMULAS as OPTIMIZERS
from backproof.product_check import check_product
from backproof.replicas import Replica, Replicas
from backproof.residuals import Residuals
from backproof.rounding import FORMATS
from backproof.second_opinion import Opinion
from backproof.training import Step
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import BY_NAME, training
from tests.test_elementwise import CONTEXT, SCALARS, truths_operands
from tests.test_loss_check import EQUATION, in_order, of, samples
from tests.test_second_opinion import SUM

Array = np.ndarray[Any, np.dtype[Any]]
FLOAT32 = FORMATS["float32"]
U = 2.0**-24
BOTH_SIDES = pytest.mark.parametrize("share", [0.98, 1.02])


def product(A: Array, B: Array, C: Array, fmt: Any = FLOAT32) -> Check:
    """The check of a recorded ``C = A B``."""
    rule = Product("A", "B")
    return check_product(
        Equation("C", 1, rule, "C = A·B"), rule, Operands({"A": A, "B": B, "C": C, "X": B}), fmt, PLAIN, 0
    )


@BOTH_SIDES
@pytest.mark.parametrize(("factor", "fmt"), [(1, "float32"), (2, "float64")])
def test_budget_of_a_product_without_drift(share: float, factor: int, fmt: str) -> None:
    """4 units where the exact value is 0, twice that in float64; K = 64 keeps the ceiling out of the way."""
    A, B = np.ones((1, 64), fmt), np.resize([1.0, -1.0], (64, 1)).astype(fmt)
    recorded = np.array([[share * factor * 4 * 64 * FORMATS[fmt].unit_roundoff]])
    assert product(A, B, recorded, FORMATS[fmt]).residuals.over == (share > 1)


@BOTH_SIDES
def test_budget_of_a_product_with_drift(share: float) -> None:
    """4 (1 + sqrt(64)) units where all terms are alike."""
    A, B = np.ones((1, 64), np.float32), np.ones((64, 1), np.float32)
    recorded = 64 + np.array([[share * 4 * (1 + 8) * 64 * U]])
    assert product(A, B, recorded).residuals.over == (share > 1)


@BOTH_SIDES
def test_ceiling_of_a_product(share: float) -> None:
    """K units (64/63 of a bias apart, and 1 + K u)."""
    A, B = np.ones((1, 64), np.float32), np.resize([1.0, -1.0], (64, 1)).astype(np.float32)
    assert product(A, B, np.array([[share * 64 * 64 * U]])).residuals.beyond == (share > 1)


@pytest.mark.parametrize(
    ("times", "verdict"), [(2.94, "ROUNDING"), (3.06, "SUSPECT"), (15.7, "SUSPECT"), (16.3, "BUG")]
)
def test_multiples_of_the_worst_honest_error(times: float, verdict: str) -> None:
    dZ = np.full((1, 4000), 0.17, np.float32)  # worst honest order: 209 units of 4,000; the budget is 257
    inner = gather(SUM, Operands({"dZ": dZ, "X": dZ}), np.array([0]), np.array([0]))
    exact = inner.exact()
    operands = Operands({"dZ": dZ, "db": (exact + times * inner.envelope(exact))[:, None], "X": dZ})
    check = check_product(Equation("db", 1, SUM, ""), SUM, operands, FLOAT32, PLAIN, 0)
    assert check.residuals.over == 1 and not check.residuals.beyond
    assert check.verdict is Verdict[verdict], check.message


@BOTH_SIDES
def test_room_to_spare_of_those_that_speak_for_the_rest(share: float) -> None:
    """The worst and those evenly spaced are at most at twice their worst honest error."""
    assert Opinion(asked=512, settled=512, worst=2 * share, sampled=64).speaks_for_the_rest == (share < 1)
    joined = Opinion(asked=512, settled=512, worst=1.0).joined(Opinion(worst=2 * share, sampled=64))
    assert joined.speaks_for_the_rest == (share < 1)


@BOTH_SIDES
@pytest.mark.parametrize(("allowed", "fmt"), [(8, "float32"), (16, "float64")])
@pytest.mark.parametrize("scatter", [0.0, 3.0])
def test_slope(share: float, allowed: int, fmt: str, scatter: float) -> None:
    """``8 u + 5 standard errors``, 16 u in float64; without scatter the standard errors are nothing."""
    generator, u = np.random.default_rng(1), FORMATS[fmt].unit_roundoff
    A, B = generator.standard_normal((16, 40)).astype(fmt), generator.standard_normal((40, 16)).astype(fmt)
    exact = A.astype(float) @ B.astype(float)
    unit = u * np.outer(np.linalg.norm(A, axis=1), np.linalg.norm(B, axis=0))
    signs = generator.choice((-1.0, 1.0), exact.shape)
    delta = allowed * u
    for _ in range(3):  # what the scatter and float64's own rounding add to the slope is known after the first fit
        check = product(A, B, exact + (delta * exact + scatter * signs * unit), FORMATS[fmt])
        slope = check.residuals.slope()
        assert slope is not None and not check.residuals.over
        delta += share * (allowed * u + 5 * slope[1]) - slope[0]
    assert slope[1] > 0.9 * u if scatter else slope[1] < 0.1 * u
    assert check.verdict is (Verdict.SUSPECT if share > 1 else Verdict.ROUNDING), check.message


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in SCALARS])
def test_budget_and_ceiling_of_every_elementwise_formula(name: str) -> None:
    """One element at 0.98 and 1.02 of its budget, and of 8 budgets; an exact equation's budget is its ceiling."""
    budgets = {
        "tanh": 8, "sigmoid": 6, "softmax": 6 + 2 * 3**0.5, "cross_entropy_delta": 6 + 2 * 3**0.5,
        "binary_cross_entropy_delta": 8, "through_tanh": 4, "through_sigmoid": 4, "gradient_descent": 1.5,
        "decayed_descent": 1.5, **dict.fromkeys(OPTIMIZERS, 1.5),
        "leaky_relu": 2, "through_leaky_relu": 2, "through_softmax": 6 + 2 * 3**0.5, "output_minus_labels": 4,
        "rounded_output_minus_labels": 8 + 2 * 3**0.5,
        "mse_gradient": 4, "cross_entropy_gradient": 4, "binary_cross_entropy_gradient": 6,
    }  # fmt: skip
    operands = truths_operands(name)
    context = replace(CONTEXT, tau=FLOAT32.smallest_normal)
    value = FORMULAS[name](np.zeros((3, 6)), context, *operands)
    where = (2, 2) if "leaky" in name else np.unravel_index(np.asarray(value.unit).argmax(), (3, 6))  # Z[2, 2] = -2
    exact, limit = np.array(value.exact), budgets.get(name, 0.5) * U * np.asarray(value.unit)[where]

    def judged(share: float) -> Check:
        recorded = exact.copy()
        # A unit that is the larger of both values grows with the residual.
        recorded[where] += np.copysign(share * limit, -exact[where])
        return check_one(name, recorded, operands, context)

    assert (judged(0.98).verdict, judged(1.02).residuals.over) == (Verdict.ROUNDING, 1)
    beyond = 8 if name in budgets else 1
    assert judged(1.02 * beyond).verdict is Verdict.BUG
    if name in budgets:
        assert judged(1.02).verdict is judged(0.98 * beyond).verdict is Verdict.SUSPECT


def check_one(name: str, recorded: Array, operands: tuple[Array, ...], context: Context) -> Check:
    """An elementwise equation of arrays as they are, judged as float32."""
    names = tuple(f"operand{i}" for i in range(len(operands)))
    tensors = {"target": recorded, "X": recorded, **dict(zip(names, operands, strict=True))}
    rule = Elementwise(name, names)
    return check_elementwise(Equation("target", 1, rule, ""), rule, Operands(tensors), FLOAT32, context, 0)


def loss_at(terms: Any, residual: float, dtype: str = "float64") -> Check:
    """The check of a loss that is so far off; a second opinion is asked for in the dtype."""
    return check_loss(EQUATION, np.asarray(terms.loss + residual, dtype), terms, FLOAT32, 0)


@BOTH_SIDES
def test_budget_of_a_loss(share: float) -> None:
    terms = of(np.random.default_rng(0).random(1000))
    assert loss_at(terms, share * 4 * LossYardstick.of(terms, FLOAT32).unit).residuals.over == (share > 1)


@BOTH_SIDES
def test_ceiling_of_a_loss(share: float) -> None:
    """Of one term: gamma_2 of it, and 8 budgets of 4 of its own units."""
    limit = 2 * U * 3 + 8 * 4 * U * 5
    assert loss_at(of(np.array([3.0]), np.array([5.0])), share * limit).residuals.beyond == (share > 1)


@BOTH_SIDES
@pytest.mark.parametrize(("m", "value"), [(60_000, 2.3), (500, 0.7)])
def test_drift_of_a_loss_is_allowed_three_times(share: float, m: int, value: float) -> None:
    """Equal terms: what honest orders are off by beyond 3 standard deviations (of 10, with 500 terms) is drift."""
    terms = of(np.full(m, float(np.float32(value))))
    yardstick = LossYardstick.of(terms, FLOAT32)
    drift = honest_error(terms, np.dtype("float32")) - 3 * yardstick.chance
    assert drift > 5 * yardstick.chance
    check = loss_at(terms, share * (4 * yardstick.unit + 3 * drift), "float32")
    assert check.residuals.over == 1
    assert check.verdict is (Verdict.SUSPECT if share > 1 else Verdict.ROUNDING), check.message


@BOTH_SIDES
def test_a_loss_is_a_bug_from_16_times_budget_and_drift_on(share: float) -> None:
    terms = of(samples(60_000)[2].astype(float))
    yardstick = LossYardstick.of(terms, FLOAT32)
    drift = max(honest_error(terms, np.dtype("float32")) - 3 * yardstick.chance, 0)
    check = loss_at(terms, share * 16 * (4 * yardstick.unit + drift), "float32")
    assert not check.residuals.beyond
    assert check.verdict is (Verdict.BUG if share > 1 else Verdict.SUSPECT), check.message


def test_chance_is_no_drift() -> None:
    """An ordinary running sum is off by up to 3 deviations; that excuses nothing."""
    terms = of(samples(60_000)[2].astype(float))
    yardstick = LossYardstick.of(terms, FLOAT32)
    assert 0.5 * yardstick.chance < honest_error(terms, np.dtype("float32")) < 3 * yardstick.chance
    assert abs(in_order(terms.values.astype(np.float32)) / 60_000 - terms.loss) > 0.1 * yardstick.chance
    assert loss_at(terms, 1.02 * 4 * yardstick.unit, "float32").verdict is Verdict.SUSPECT


@BOTH_SIDES
@pytest.mark.parametrize(("envelope", "top"), [(1e-3, 1e-3), (0.0, 1.0), (0.0, 0.0)])
def test_bound_of_the_agreement(share: float, envelope: float, top: float) -> None:
    """``16 (envelope + 4 u max + 4 tau)``, each part in turn; a bug from 16 bounds on."""
    bound = 16 * (envelope + 4 * U * top + 4 * 2.0**-126)
    step = Step(0, None, {"Z1": np.array([[top, 0.0]], np.float32)})

    def verdict(absolute: float) -> Verdict:
        return _agreement(step, "Z1", np.array([[0.0, absolute]]), np.array([[top, 0.0]]), envelope, 0).verdict

    assert verdict(share * bound) is (Verdict.SUSPECT if share > 1 else Verdict.ROUNDING)
    assert verdict(16 * share * bound) is (Verdict.BUG if share > 1 else Verdict.SUSPECT)


def test_4096_suspects_are_kept() -> None:
    residuals, zeros = Residuals((50, 100), keep_columns=False), np.zeros((50, 100))
    residuals.add(zeros, zeros, zeros + 9, np.arange(5000).reshape(50, 100) + 2.0, ceiling=50.0)
    assert residuals.over == 5000
    np.testing.assert_array_equal(residuals.suspects[:, 0], np.arange(5001, 5001 - 4096, -1))


FOUR = (Replica(1), Replica(2), Replica(3, other_layout=True), Replica(4, summation="sequential"))


@pytest.mark.parametrize("replica", FOUR, ids=str)
def test_every_replica_widens_the_envelope(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of the four, the envelope of some quantity is a fifth narrower."""
    given = training(BY_NAME["five_layer"], 300, seed=1)
    step = next(reference.record(given))

    def envelopes() -> dict[str, float]:
        return {found.quantity: found.envelope for found in AgreementChecker(Replicas(given, reference)).check(step)}

    every = envelopes()
    others = tuple(other for other in replicas_module.REPLICAS if other != replica)
    monkeypatch.setattr(replicas_module, "REPLICAS", others)
    without = envelopes()
    assert min(without[name] / every[name] for name in every if every[name]) < 0.8
