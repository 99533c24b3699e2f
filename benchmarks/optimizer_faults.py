"""Plants every wrong optimizer in runs of random networks: a part of ``python -m benchmarks.faults``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from backproof.network import Network
from backproof.optimizer import Optimizer
from backproof.training import Training
from backproof.verdict import Verdict
from benchmarks.random_steps import Case, random_case
from reference.initialisation import initial_parameters
from tests.faults.optimizer import FAULTS
from tests.faults.wrong_optimizer import Wrong, best_names, placed, run

STEPS = 4
NONE = "unexplained"


@dataclass
class Row:
    """One wrong optimizer in all its runs, counted.

    Attributes:
        first: the right name came first.
        tied: it came among the names that the data cannot tell from the first.
        names: what came first where the right name did not.
    """

    wrong: Wrong
    cases: int = 0
    detected: int = 0
    placed: int = 0
    first: int = 0
    tied: int = 0
    names: set[str] = field(default_factory=set)

    def add(self, training: Training) -> None:
        """One run more."""
        judge = run(self.wrong, training)
        names = best_names(self.wrong, judge)
        first = names[:1] == [self.wrong.name]
        self.cases += 1
        self.detected += judge.verdict is not Verdict.ROUNDING
        self.placed += placed(self.wrong, judge)
        self.first += first
        self.tied += not first and self.wrong.name in names
        if not first:
            self.names.add(names[0] if names else NONE)


def network_of(case: Case, optimizer: Optimizer) -> Network:
    """The random case's network, trained by an optimizer at a rate that moves the weights without blowing them up."""
    labels = {"binary_cross_entropy": "binary", "mse": "real"}.get(case.loss, "one_hot")
    return Network(
        "random", case.sizes, case.activations, case.loss, "integer" if case.integer_labels else labels,
        layout="rows" if case.rows else "columns", reduction=case.reduction, half=case.half, slope=case.slope,
        learning_rate=0.01, optimizer=optimizer,
    )  # fmt: skip


def training_of(seed: int, dtype: str, optimizer: Optimizer) -> Training:
    """A run of mini-batches: AMSGrad, for one, is Adam as long as no gradient falls."""
    case = random_case(seed)
    network, draw = network_of(case, optimizer), np.random.default_rng([seed, 9])
    X, n = draw.normal(size=(case.sizes[0], case.m)).astype(dtype), case.sizes[-1]
    classes = draw.integers(0, n, case.m)
    Y = {
        "integer": lambda: classes[None],
        "one_hot": lambda: np.eye(n, dtype=dtype)[:, classes],
        "binary": lambda: draw.integers(0, 2, (n, case.m)).astype(dtype),
        "real": lambda: draw.normal(size=(n, case.m)).astype(dtype),
    }[network.labels]()
    size = max(2, case.m // 2)
    batches = tuple(draw.permutation(case.m)[:size] for _ in range(STEPS))
    return Training(network, initial_parameters(network, seed, dtype), X, Y, batches, seed, "random")


def rows(seed: int, seeds: int) -> Iterator[Row]:
    """Every wrong optimizer in ``seeds`` random networks, in both formats."""
    for wrong in FAULTS:
        row = Row(wrong)
        for place in range(seeds):
            for dtype in ("float32", "float64"):
                row.add(training_of(1000 * seed + place, dtype, wrong.declared))
        yield row


def table(seed: int, seeds: int) -> Iterator[str]:
    """The page's part."""
    yield "## In an optimizer\n"
    yield (
        f"Each wrong optimizer in the place of the declared one, in {STEPS} steps of the reference, with mini-batches, "
        "random networks, losses and layouts, in float32 and float64. *Right equation*: the first that the mistake "
        "breaks fails, and no equation of a kind that it leaves alone. An equation is explained where it first fails; "
        "in the first step the state is zero, and mistakes that differ only in what they do with it are *tied*: all "
        "of them are given, with as much assumed.\n"
    )
    yield "| id | declared | mistake | cases | detected | right equation | named first | tied | else first |"
    yield "|---|---|---|---|---|---|---|---|---|"
    found = []
    for row in rows(seed, seeds):
        found.append(row)
        yield (
            f"| {row.wrong.id} | {row.wrong.declared.name} | {row.wrong.what}: {row.wrong.name} | {row.cases} | "
            f"{row.detected} | {row.placed} | {row.first} | {row.tied or ''} | {', '.join(sorted(row.names))} |"
        )
    cases, detected, there, first, tied = (
        sum(getattr(row, what) for row in found) for what in ("cases", "detected", "placed", "first", "tied")
    )
    yield (
        f"\nIn all {cases} cases: {detected} detected, {there} at the right equation, {first} named right first, "
        f"{tied} more among equals.\n"
    )
