"""Where the float64 reference and the checks' own float64 values lie, as the enclosures of exact steps see them.

    python -m benchmarks.ball_units [--seeds 8]

Steps of the networks of ``tests/ball_support.py`` (every activation, loss, reduction, optimizer), 20 and 200 samples.
First, equation by equation from recorded operands: the largest part of its budget that a recorded value is outside of
its enclosure, and how many of the equation's units (of float64) the value is that the check itself computes. Then end
to end: how far the float64 reference is outside, and how far a run could be whose every equation keeps its budget, both
in u times the quantity's largest value.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from tabulate import tabulate

from backproof.equation_check import expected
from backproof.equations import Equation, Product
from backproof.rounding import FORMATS, format_of
from backproof.training import Training
from reference import balls
from reference.network import record
from tests.ball_support import NETWORKS, allowances, given_to, judged_by

FLOAT64 = FORMATS["float64"]
Array = Any
Maxima = dict[str, dict[str, float]]


def enclosed(given: Training, hand_on: balls.HandOn | None = None) -> dict[str, balls.Balls]:
    """The step's enclosures."""
    return balls.enclosures(given.network, given.start, given.X, given.Y, hand_on=hand_on, step=given.first)


def part(distance: Array, of: Array) -> float:
    """The largest share; 0 of what is inside."""
    return float(np.max(np.divide(distance, of, out=np.zeros(np.shape(distance)), where=distance > 0)))


def kind(equation: Equation) -> str:
    """``Z``, ``dW``, ... of a product, the formula of another."""
    return equation.target.rstrip("0123456789") if isinstance(equation.rule, Product) else equation.rule.formula


def equation_by_equation(given: Training, largest: Maxima) -> None:
    """Each from the recorded operands."""
    tensors = next(iter(record(given))).tensors
    listed, operands, context = judged_by(given, tensors)
    fmt, allowed = format_of(given.dtype), allowances(given, tensors)
    found = enclosed(given, lambda name, _: balls.balls(tensors[name]))
    for equation in listed:
        name, recorded = equation.target, operands.wide(equation.target)
        own = expected(equation, operands, fmt, context, recorded)[0]
        unit = expected(equation, operands, FLOAT64, context, recorded)[1]
        row = largest[kind(equation)]
        for column, share in (
            (f"{fmt.name}, budgets", part(balls.distance(recorded, found[name]), allowed[name])),
            (f"own, from {fmt.name}", part(balls.distance(own, found[name]), unit)),
        ):
            row[column] = max(row.get(column, 0.0), share)


def end_to_end(given: Training, measured: dict[str, list[tuple[float, float]]]) -> None:
    """From the parameters and data alone."""
    tensors = next(iter(record(given))).tensors
    allowed = allowances(given, tensors)

    def hand_on(name: str, ball: balls.Balls) -> balls.Balls:
        return balls.widened(ball, np.broadcast_to(allowed[name], ball.shape))

    exact, spread = enclosed(given), enclosed(given, hand_on)
    for name, ball in exact.items():
        top = FLOAT64.unit_roundoff * float(np.abs(tensors[name]).max())
        if top:
            wide = float((balls.radii(spread[name]) + allowed[name]).max())
            label = "state and parameters" if name.endswith("_next") else name.rstrip("0123456789")
            measured[label].append((float(balls.distance(tensors[name], ball).max()) / top, wide / top))


def rows(measured: dict[str, list[tuple[float, float]]]) -> Iterator[list[str]]:
    """Median and largest of both."""
    for name, pairs in measured.items():
        outside, wide = np.array(pairs).T
        yield [name, *(f"{number:.3g}" for x in (outside, wide) for number in (np.median(x), x.max()))]


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    largest: Maxima = defaultdict(dict)
    measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(parser.parse_args().seeds):
        for network in NETWORKS:
            for m in (20, 200):
                for dtype in ("float32", "float64"):
                    equation_by_equation(given_to(network, m, seed, dtype), largest)
                end_to_end(given_to(network, m, seed), measured)
    columns = sorted(next(iter(largest.values())))
    table = [[name, *(f"{row[column]:.3g}" for column in columns)] for name, row in sorted(largest.items())]
    print(tabulate(table, ["equation", *columns], tablefmt="github", disable_numparse=True), end="\n\n")
    header = ["quantity", "outside: median", "largest", "propagated: median", "largest"]
    print(tabulate(list(rows(measured)), header, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
