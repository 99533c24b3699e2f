"""The smallest relative error that each equation's check detects, beside what the usual comparisons detect.

    python -m benchmarks.sensitivity                       # writes docs/sensitivity.md
    python -m benchmarks.sensitivity --samples 64 --output table.md

One honest float32 step of ``five_layer`` is recorded from its initial parameters, for each number of samples. In one
array at a time an element, a unit (a row) or everything is multiplied by ``1 + δ`` and rounded to float32, and the
smallest δ is sought, over powers of √2 from 1 down, that is detected: by Backproof where the verdict of the array's own
equation is no longer "rounding", by the others where they raise on the faulty array beside the exact float64 result of
the equation. That is the easiest case for them: the operands of both sides are the same, nothing drifts.

Element and unit are those of median magnitude, of those that are not zero.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import chex
import numpy as np
import torch
from numpy.typing import NDArray

from backproof.data import FOLDER_VARIABLE, load
from backproof.equation_check import check_equation, context_of, expected
from backproof.equations import Equation, equations
from backproof.operands import Operands
from backproof.parallel import single_threaded_blas
from backproof.rounding import format_of
from backproof.settings import Settings, prepare
from backproof.training import Training
from backproof.verdict import Verdict
from benchmarks.equation_check import NETWORK
from benchmarks.equation_check import training as random_training
from benchmarks.sensitivity_table import Row, document
from reference import network as reference

Array = NDArray[Any]
Where = Any
"""An index: the part of an array that is at fault."""

TARGETS = ("Z2", "A2", "A5", "loss", "dZ5", "dA2", "dZ2", "dW5", "db1", "db2", "W2_next")
"""One array of each kind. ``dW5``: 1,024 honest sums of 60,000 terms, for the slope of a larger dW, take half a minute
each time; two db, because a slope is fitted from 64 elements on."""
FINEST = 52
"""δ = 2^-26 changes no float32 number: half a unit in the last place is at least 2^-25 of it."""
NEVER, ALARM = "never", "alarm"
"""Not detected at δ = 1; and fails on the correct array, so that what it detects means nothing."""

Limit = float | str


def _raises(compare: Callable[..., None], *arrays: Any, **options: Any) -> bool:
    try:
        compare(*arrays, **options)
    except AssertionError:
        return True
    return False


def by_torch(actual: Array, exact: Array) -> bool:
    """Its defaults for float32, rtol 1.3e-6 and atol 1e-5: of two formats it takes the wider tolerances."""
    pair = torch.from_numpy(np.array(actual)), torch.from_numpy(np.array(exact))
    return _raises(torch.testing.assert_close, *pair, check_dtype=False)


def by_numpy(actual: Array, exact: Array) -> bool:
    """The customary rtol 1e-5 and atol 1e-8."""
    return _raises(np.testing.assert_allclose, actual, exact, rtol=1e-5, atol=1e-8)


def by_numpy_default(actual: Array, exact: Array) -> bool:
    """Its defaults, rtol 1e-7 and atol 0."""
    return _raises(np.testing.assert_allclose, actual, exact)


def by_chex(actual: Array, exact: Array) -> bool:
    """Its defaults, rtol 1e-6 and atol 0."""
    return _raises(chex.assert_trees_all_close, np.asarray(actual), np.asarray(exact))


def by_cosine(actual: Array, exact: Array) -> bool:
    """A cosine of the two arrays, as vectors, of at most 0.99."""
    a, b = np.ravel(actual).astype(np.float64), np.ravel(exact)
    return not a @ b > 0.99 * np.sqrt((a @ a) * (b @ b))


BACKPROOF = "Backproof"
PEERS: dict[str, Callable[[Array, Array], bool]] = {
    "torch.testing": by_torch,
    "numpy, customary": by_numpy,
    "numpy, default": by_numpy_default,
    "chex": by_chex,
    "cosine 0.99": by_cosine,
}
"""Name -> whether it fails, given the array and the exact one."""


@dataclass(frozen=True)
class Subject:
    """One recorded array: as it was computed, as it should be in float64, and its own check."""

    equation: Equation
    honest: Array
    exact: Array
    judge: Callable[[Array], Verdict]

    def planted(self, where: Where, delta: float) -> Array:
        """The array with a part of it times ``1 + δ``."""
        faulty = self.honest.copy()
        faulty[where] = scaled(self.honest[where], delta)
        return faulty

    def fails(self, checker: str, array: Array) -> bool:
        """Whether a checker, by its name, objects to the whole array."""
        if checker == BACKPROOF:
            return self.judge(array) is not Verdict.ROUNDING
        return PEERS[checker](array, self.exact)

    def detector(self, checker: str, where: Where) -> Callable[[float], bool]:
        """δ -> is it detected? Only for a checker that is silent on the correct array.

        Those that compare element by element are silent on all elements that are not at fault, and are not asked again.
        """
        if checker in (BACKPROOF, "cosine 0.99"):
            return lambda delta: self.fails(checker, self.planted(where, delta))
        part, exact, compare = self.honest[where], self.exact[where], PEERS[checker]
        return lambda delta: compare(scaled(part, delta), exact)


def scaled(array: Array, delta: float) -> Array:
    """``(1 + δ) array`` in float64, rounded once."""
    return np.asarray(array.astype(np.float64) * (1 + delta)).astype(array.dtype)


def faults(array: Array) -> Iterator[tuple[str, Where]]:
    """What can be at fault: an element, a unit, everything; of a scalar the three are one."""
    if array.ndim:
        i, j = np.unravel_index(_median(np.abs(array).ravel()), array.shape)
        yield "one element", (slice(i, i + 1), slice(j, j + 1))
        if array.shape[1] > 1:
            i = _median(np.linalg.norm(array, axis=1))
            yield "one unit", (slice(i, i + 1), slice(None))
    yield "everything", ...


def _median(sizes: Array) -> int:
    """Where the median of the sizes other than 0 is."""
    nonzero = np.flatnonzero(sizes)
    return int(nonzero[np.argsort(sizes[nonzero], kind="stable")[len(nonzero) // 2]])


def limit(detects: Callable[[float], bool]) -> Limit:
    """The smallest δ = 2^(-k/2) that is detected, by bisection; half of it is not. :data:`NEVER` where 1 is not."""
    if not detects(1.0):
        return NEVER
    seen, unseen = 0, FINEST
    while unseen - seen > 1:
        middle = (seen + unseen) // 2
        seen, unseen = (middle, unseen) if detects(2 ** (-middle / 2)) else (seen, middle)
        # A second opinion is not quite monotone in δ: what is reported must not be detected at half its size.
        if unseen - seen == 1 and seen + 2 < FINEST and detects(2 ** (-(seen + 2) / 2)):
            seen, unseen = seen + 2, FINEST
    return float(2 ** (-seen / 2))


def limits(subject: Subject) -> list[Row]:
    """The rows of one equation."""
    checkers = (BACKPROOF, *PEERS)
    alarmed = {name for name in checkers if subject.fails(name, subject.honest)}
    return [
        Row(
            subject.equation.text,
            fault,
            {name: ALARM if name in alarmed else limit(subject.detector(name, where)) for name in checkers},
        )
        for fault, where in faults(subject.honest)
    ]


def training(m: int, seed: int) -> Training:
    """The first ``m`` digits of MNIST where its folder is named in the environment, random pixels otherwise."""
    if os.environ.get(FOLDER_VARIABLE):
        return prepare(NETWORK, load("mnist"), Settings("mnist", m, 1, seed=seed), reference)
    parameters = reference.initial_parameters(NETWORK, seed, "float32")
    return replace(random_training(m, 1), parameters=parameters, data="random pixels, four in five black")


def subjects(given: Training) -> Iterator[Subject]:
    """The arrays of one honest step."""
    step = next(iter(reference.record(given)))
    tensors = {**step.tensors, "X": given.X, "Y": given.Y}
    fmt, context = format_of(given.dtype), context_of(NETWORK, given.dtype, given.samples)
    for equation in equations(NETWORK):
        if equation.target not in TARGETS:
            continue

        def judge(array: Array, equation: Equation = equation) -> Verdict:
            return check_equation(equation, Operands({**tensors, equation.target: array}), fmt, context).verdict

        honest, operands = np.asarray(tensors[equation.target]), Operands(tensors)
        exact, _ = expected(equation, operands, fmt, context, operands.wide(equation.target))
        yield Subject(equation, honest, np.asarray(exact), judge)


def measured(m: int, seed: int) -> tuple[str, list[Row]]:
    """The name of the data, and the rows of one number of samples."""
    given = training(m, seed)
    # As the checks run, and so that the number of processors changes no sum.
    with single_threaded_blas(), np.errstate(all="ignore"):
        return given.data, [row for subject in subjects(given) for row in limits(subject)]


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[64, 2000, 60000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/sensitivity.md"))
    options = parser.parse_args()
    sections = {m: measured(m, options.seed) for m in options.samples}
    options.output.write_text(document(sections, options.seed), encoding="utf-8")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
