"""Near the smallest normal number the floor is larger than the values: what agrees there, agrees for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import backproof
from backproof.check import Check
from backproof.equation_check import check_equation
from backproof.equations import Elementwise, Equation, Product
from backproof.evaluation import Context, Terms
from backproof.loss_check import check_loss
from backproof.operands import Operands
from backproof.rounding import format_of
from backproof.verdict import Verdict
from benchmarks.random_steps import Case, arrays_of, random_case

Array = np.ndarray[Any, np.dtype[Any]]

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "softmax")
SCALES = [("float16", 1.0), ("float16", 1e-2), ("float32", 3e-38), ("float32", 1.0), ("float64", 3e-308)]
FALSE = {"zero": 0.0, "negated": -1.0, "doubled": 2.0}
DERIVATIVES = {
    "relu": lambda A: A > 0,
    "leaky_relu": lambda A: np.where(A > 0, 1.0, 0.01),
    "tanh": lambda A: 1 - A * A,
    "sigmoid": lambda A: A * (1 - A),
}


def deltas(dtype: str, scale: float) -> dict[str, Array]:
    """A backward pass of 64 samples that starts from a dZ times ``scale``, each quantity rounded once to the format."""
    given = arrays_of(Case((20, 9, 8, 7, 6, 5), ACTIVATIONS, "cross_entropy", 64, seed=3))
    q = {name: given[name].astype(dtype) for name in given if name[0] in "XWAZb" and not name.endswith("_next")}
    q["dZ5"] = (given["dZ5"] * scale).astype(dtype)
    for n in range(5, 0, -1):
        if n < 5:
            q[f"dA{n}"] = (wide(q, f"W{n + 1}").T @ wide(q, f"dZ{n + 1}")).astype(dtype)
            q[f"dZ{n}"] = (wide(q, f"dA{n}") * DERIVATIVES[ACTIVATIONS[n - 1]](wide(q, f"A{n}"))).astype(dtype)
        q[f"dW{n}"] = (wide(q, f"dZ{n}") @ wide(q, "X" if n == 1 else f"A{n - 1}").T).astype(dtype)
        q[f"db{n}"] = wide(q, f"dZ{n}").sum(axis=1, keepdims=True).astype(dtype)
    return q


def wide(q: dict[str, Array], name: str) -> Array:
    return q[name].astype(np.float64)


def checked(q: dict[str, Array]) -> tuple[str, tuple[str, ...]]:
    result = backproof.check_backprop(q, ACTIVATIONS, "cross_entropy", averaged_in="delta", slope=0.01)
    return result.verdict, result.coverage.checked


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
def test_no_false_gradient_passes_as_checked(dtype: str, scale: float) -> None:
    q = deltas(dtype, scale)
    verdict, covered = checked(q)
    assert verdict == "rounding"
    # On the ordinary scale (in float16 too) nothing is lost.
    gradients = [name for name in q if name[0] == "d" and name != "dZ5"]
    assert set(gradients) <= set(covered) if scale == 1 else set(gradients).isdisjoint(covered)
    for name in gradients:
        for word, factor in FALSE.items():
            verdict, covered = checked({**q, name: q[name] * q[name].dtype.type(factor)})
            assert verdict != "rounding" or name not in covered, (name, word)


CONTEXT = Context(1, 0.01, 0.1, 2.0**-126)
RULES = {
    "product": (Product("W", "A"), {"W": 1.0, "A": 1e-38}),
    "product with a bias": (Product("W", "A", bias="b"), {"W": 1.0, "A": 1e-38, "b": 1e-38}),
    "relu": (Elementwise("relu", ("Z",)), {"Z": 1e-38}),
    "identity": (Elementwise("identity", ("Z",)), {"Z": 1e-38}),
    "tanh": (Elementwise("tanh", ("Z",)), {"Z": 1e-38}),
    "through relu": (Elementwise("through_relu", ("dA", "Z")), {"dA": 1e-38, "Z": 1.0}),
    "through tanh": (Elementwise("through_tanh", ("dA", "A")), {"dA": 1e-38, "A": 0.5}),
    "mse gradient": (Elementwise("mse_gradient", ("A", "Y")), {"A": 1e-38, "Y": 2e-38}),
    "update": (Elementwise("gradient_descent", ("W", "dW")), {"W": 1e-38, "dW": 2e-38}),
}


@pytest.mark.parametrize("scale", [1.0, 1e38])
@pytest.mark.parametrize("name", RULES)
def test_every_rule_counts_what_the_floor_hides(name: str, scale: float) -> None:
    rule, sizes = RULES[name]
    generator = np.random.default_rng(0)
    shapes = {"W": (4, 6), "b": (4, 1)} if isinstance(rule, Product) else {}
    tensors: dict[str, Array] = {}
    for operand, size in sizes.items():
        large = size * (scale if size < 1e-30 else 1.0)
        shape = shapes.get(operand, (6, 5))
        tensors[operand] = (large * generator.uniform(0.5, 1, shape)).astype(np.float32)
    zero = np.zeros((4 if isinstance(rule, Product) else 6, 5), np.float32)
    equation = Equation("T", 1, rule, "")
    check = check_equation(equation, Operands({**tensors, "T": zero, "X": zero}), format_of("float32"), CONTEXT)
    assert (check.verdict, check.vacuous) == ((Verdict.ROUNDING, zero.size) if scale == 1 else (Verdict.BUG, 0))


@pytest.mark.parametrize("scale", [1e-39, 1e-3])
def test_a_loss_counts_what_the_floor_hides(scale: float) -> None:
    values = np.full(10, scale)
    terms = Terms(values, values, np.zeros(10, int), np.arange(10), 10)

    def check(recorded: float) -> Check:
        return check_loss(
            Equation("loss", 1, Elementwise("mse", ()), ""), np.float32(recorded), terms, format_of("float32"), 0
        )

    small = scale < 1e-30
    assert check(scale).vacuous == small
    assert check(0.0).verdict is (Verdict.ROUNDING if small else Verdict.BUG)


def test_a_zero_that_could_have_been_wrong_is_checked() -> None:
    """ReLU of negative numbers, and a product that cancels, of ordinary size."""
    Z, A = np.full((2, 70), -1.0, np.float32), np.zeros((2, 70), np.float32)
    given = Operands({"Z": Z, "A": A, "X": Z, "W": np.array([[1, -1]], np.float32), "C": A[:1]})
    for equation in (Equation("A", 1, Elementwise("relu", ("Z",)), ""), Equation("C", 1, Product("W", "Z"), "")):
        check = check_equation(equation, given, format_of("float32"), CONTEXT)
        assert (check.verdict, check.vacuous) == (Verdict.ROUNDING, 0)


@pytest.mark.parametrize("seed", [3, 11, 13, 21, 27, 55])
def test_what_recomputed_operands_leave_open_is_not_covered(seed: int) -> None:
    """Half of the arrays of a float16 step: what was recomputed may be off by more than the values are."""
    case = replace(random_case(seed), dtype="float16")
    absent = np.random.default_rng(seed)
    q = {name: x for name, x in arrays_of(case).items() if name[0] not in "ZAd" or absent.random() < 0.5}
    q = {name: x for name, x in q.items() if not name.endswith("_next")}
    half = case.half if case.loss == "mse" else None

    def judged(arrays: dict[str, Array]) -> backproof.BackpropResult:
        return backproof.check_backprop(
            arrays, case.activations, case.loss, averaged_in=case.averaged_in, half=half, slope=case.slope,
            weight_decay=case.weight_decay,
        )  # fmt: skip

    honest = judged(q)
    assert honest.verdict == "rounding"
    for name in (name for name in honest.coverage.checked if name[0] == "d"):
        for word, factor in FALSE.items():
            result = judged({**q, name: q[name] * np.float16(factor)})
            assert result.verdict != "rounding" or name not in result.coverage.checked, (name, word)
