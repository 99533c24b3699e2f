"""Plants every known mistake in correct random networks and tells whether it is found, where it is, and named.

python -m benchmarks.faults --seed 0 --seeds 6 --pairs 200 --output docs/faults.md

In a single step here, in an optimizer and in one of two runs in the modules beside this one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from backproof import check_backprop
from backproof.backprop import BackpropResult
from backproof.diagnosis.candidate import JOIN
from benchmarks import optimizer_faults, two_run_faults
from benchmarks.random_steps import Case
from tests.faults import FAULTS
from tests.faults.listed import NOT_PLANTED
from tests.faults.planted import Planted, arrays, before, said

NONE = "unexplained"


@dataclass
class Outcome:
    """One fault in one case.

    Attributes:
        detected: the verdict is no rounding (of a kink: rounding with a note).
        placed: the right equation fails, and no other.
        named: the right name comes first, or is among those that the data cannot tell from the first.
        silent: no name at all.
        name: what came first.
        honest: with nothing said, another convention explains the arrays as well: as few equations fail, and they are
            explained with as few constants, as under the convention that the case has. No data could tell.
    """

    detected: bool
    placed: bool
    named: bool
    silent: bool
    name: str
    honest: bool = False


@dataclass
class Row:
    """One fault in all its cases."""

    fault: Planted
    outcomes: list[Outcome] = field(default_factory=list)

    def count(self, what: str) -> int:
        """Of the cases that no other convention explains."""
        return sum(getattr(outcome, what) for outcome in self.judged)

    @property
    def judged(self) -> list[Outcome]:
        """Without those that another convention explains."""
        return [outcome for outcome in self.outcomes if not outcome.honest]


def plant(fault: Planted, seed: int, told: bool) -> Outcome:
    """One fault in one random case, with everything said or nothing."""
    case = fault.case(seed)
    with_fault, previous = arrays(case, [fault]), before(case, [fault])
    result = check_backprop(with_fault, **(said(case) if told else _little(case)), previous=previous)
    outcome = outcome_of(fault, case, result)
    if told or (outcome.placed and outcome.named):
        return outcome
    right = check_backprop(with_fault, **said(case), previous=previous)
    return replace(outcome, honest=result.burden <= right.burden)


def _little(case: Case) -> dict[str, Any]:
    """Inferred is all but what no array shows."""
    return {"weight_decay": case.weight_decay} if case.weight_decay else {}


def outcome_of(fault: Planted, case: Case, result: BackpropResult) -> Outcome:
    """What the result says of the one fault."""
    target = fault.target_of(case)
    if fault.kink:
        found = any(note.startswith(f"{target}:") for note in result.notes)
        right = found and result.verdict == "rounding"
        return Outcome(right, right, right, False, "a note" if found else NONE)
    reported = (*result.failures, *result.harmless)  # what is harmless is named in a note, and counts as found
    failures = [failure for failure in reported if failure.equation == target]
    best = first_names(failures[0].explanations) if failures else []
    named = any(name in fault.names for name in best) or (not fault.names and not best)
    placed = [failure.equation for failure in reported] == [target]
    return Outcome(bool(reported), placed, named, not best, best[0] if best else NONE)


def first_names(explanations: Any) -> list[str]:
    """The first explanation's name, and those that assume as much."""
    return [e.name for e in explanations if e.assumed == explanations[0].assumed]


def rows(seed: int, seeds: int) -> Iterator[Row]:
    """Every fault, in ``seeds`` cases, each with everything said and with nothing."""
    for fault in FAULTS:
        row = Row(fault)
        for place in range(seeds):
            for told in (True, False):
                row.outcomes.append(plant(fault, 1000 * seed + place, told))
        yield row


def several(seed: int, count: int, size: int) -> tuple[int, int, int]:
    """Groups of faults in different equations of one case: how many, all of them failing, all of them named."""
    draw, tried, found, named = np.random.default_rng([seed, size]), 0, 0, 0
    usable = [fault for fault in FAULTS if fault.names and fault.prepare is None and not fault.kink]
    while tried < count:
        group = [usable[i] for i in draw.choice(len(usable), size, replace=False)]
        case = _common(group, int(draw.integers(1 << 30)))
        if case is None or len({fault.target_of(case) for fault in group}) < size:
            continue
        result = check_backprop(arrays(case, group), **said(case), previous=before(case, group))
        failures = {failure.equation: failure for failure in (*result.failures, *result.harmless)}
        tried += 1
        found += all(fault.target_of(case) in failures for fault in group)
        named += all(
            any(name in fault.names for name in first_names(failures[target].explanations))
            for fault in group
            if (target := fault.target_of(case)) in failures
        )
    return tried, found, named


def _common(group: list[Planted], seed: int) -> Case | None:
    """A case that shows all of them, if there is one that every condition leaves as it is."""
    case = group[0].case(seed)
    for fault in group[1:]:
        case = fault.fit(case)
    return case if all(fault.fit(case) == case for fault in group) else None


def in_one_equation(seed: int, count: int) -> tuple[int, int]:
    """A fault and then a constant in the same array: how many, and how many with both named."""
    draw, tried, named = np.random.default_rng([seed, 1]), 0, 0
    usable = [f for f in FAULTS if f.target[:2] in ("dZ", "dA", "dW", "A1") and f.names and f.prepare is None]
    usable = [f for f in usable if not {"factor", "sign-flipped", "dropout"} & set(f.names) and f.id[0] not in "PL"]
    while tried < count:
        fault = usable[draw.integers(len(usable))]
        case = fault.case(int(draw.integers(1 << 30)))
        constant, word = [(2.0, "factor"), (-1.0, "sign-flipped"), (1 / case.m, "factor")][draw.integers(3)]
        second = Planted("", "", fault.target, lambda c, q, r, k=constant: k * r, (word,))
        result = check_backprop(arrays(case, [fault, second]), **said(case), previous=before(case, [fault]))
        found = [f for f in result.failures if f.equation == fault.target_of(case)]
        names = first_names(found[0].explanations) if found else []
        tried += 1
        named += any(set(name.split(JOIN)) == {wrong, word} for name in names for wrong in fault.names)
    return tried, named


def table(found: list[Row], seed: int, pairs: int) -> Iterator[str]:
    """The mistakes in a step."""
    yield "# Planted faults\n"
    yield (
        f"Made by `python -m benchmarks.faults --seed {seed}`, with the ids of a list of mistakes that people make: F "
        "forward, L loss, O output delta, H hidden delta, W and B gradients, U update, P precision, S frameworks, "
        "D data, I initialisation, R randomness. [In a step](#in-a-step), [in an optimizer](#in-an-optimizer), "
        "[in one of two runs](#in-one-of-two-runs), [not planted](#not-planted).\n"
    )
    yield "## In a step\n"
    yield (
        "Each mistake is planted in correct random NumPy steps (rows, columns, weights as PyTorch holds them, float32 "
        "and float64, every convention), once with everything said and once with nothing. *Right equation*: it fails, "
        "and no other does. *Named*: the right name comes first, or is among those that the data cannot tell from it. "
        "*Convention*: with nothing said, the arrays are explained as well by another convention or activation (as few "
        "equations fail, with as few fitted constants, as when everything is said); not counted. What is named as "
        "harmless in a note, and gives no alarm, counts as detected (a derivative at a kink, an ε that changes the "
        "loss by at most a thousandth).\n"
    )
    yield "| id | mistake | cases | convention | detected | right equation | named | name |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in found:
        names = ", ".join(sorted({outcome.name for outcome in row.judged})) or "-"
        cases = len(row.judged)
        other = len(row.outcomes) - cases
        yield (
            f"| {row.fault.id} | {row.fault.what} | {cases} | {other or ''} | {row.count('detected')} | "
            f"{row.count('placed')} | {row.count('named')} | {names} |"
        )
    every = [outcome for row in found for outcome in row.judged]
    total = len(every)
    yield (
        f"\nIn all {total} cases: {sum(o.detected for o in every)} detected, {sum(o.placed for o in every)} at the "
        f"right equation and nowhere else, {sum(o.named for o in every)} named right first, "
        f"{sum(not o.named and not o.silent for o in every)} named wrong.\n"
    )
    for word, size in (("Pairs", 2), ("Triples", 3)):
        tried, there, named = several(seed, pairs, size)
        yield f"- {word} in different equations, seed {seed}: {named} of {tried} with all named ({there} all found)."
    tried, named = in_one_equation(seed, pairs)
    yield f"- A mistake and a wrong constant in one equation: {named} of {tried} with both named."


def not_planted() -> Iterator[str]:
    """A line for each reason."""
    ids: dict[str, list[str]] = {}
    for name, why in NOT_PLANTED.items():
        ids.setdefault(why, []).append(name)
    yield from (f"- **{', '.join(names)}**: {why}." for why, names in ids.items())


def page(seed: int, seeds: int, pairs: int) -> Iterator[str]:
    """All of it."""
    yield from table(list(rows(seed, seeds)), seed, pairs)
    yield ""
    yield from optimizer_faults.table(seed, seeds)
    yield from two_run_faults.table(seed, seeds)
    yield "## Not planted\n"
    yield from not_planted()


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=6, help="cases of each fault")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--output", type=Path, default=Path("docs/faults.md"))
    options = parser.parse_args()
    lines = list(page(options.seed, options.seeds, options.pairs))
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
