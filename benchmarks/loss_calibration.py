"""Is the budget of a loss right? Fresh random losses, evaluated in many honest ways; every alarm is a false one.

    python -m benchmarks.loss_calibration --count 2000     # a seed from the clock, printed
    python -m benchmarks.loss_calibration --seed 41 --count 1

Each seed is one case: logits and labels of 1 to 200 classes and 1 to 60,000 samples, in float32, float64 or bfloat16,
from ordinary to constant, repeated, saturated and fitted to the last digit. Its loss is evaluated by NumPy (forms of
the terms x orders of summation), by PyTorch, and in every eighth case by JAX, which compiles for each shape. The table
has a line for each way and format: checks, those above the budget that the second opinion settled, the largest part of
the budget, and the alarms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import ml_dtypes  # noqa: F401  NumPy knows bfloat16 by it
import numpy as np
from tabulate import tabulate

from backproof.check import Check
from backproof.elementwise_check import check_elementwise
from backproof.equations import Elementwise, Equation
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.rounding import format_of
from backproof.verdict import Verdict

Array = np.ndarray[Any, np.dtype[Any]]
JAX_EVERY = 8
DTYPES = {"float32": 0.6, "float64": 0.25, "bfloat16": 0.15}
MOST = {"float32": 1_000_000, "float64": 300_000, "bfloat16": 5_000}
"""Logits of the largest case of each format."""

LOGITS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "normal": lambda g, shape: g.standard_normal(shape),
    "any scale": lambda g, shape: g.standard_normal(shape) * 10.0 ** g.uniform(-8, 4),
    "offset": lambda g, shape: g.standard_normal(shape) + 10.0 ** g.uniform(0, 4),
    "constant": lambda g, shape: np.full(shape, g.normal()),
    "one sample": lambda g, shape: np.repeat(g.standard_normal((shape[0], 1)) * 3, shape[1], axis=1),
    "few samples": lambda g, shape: (g.standard_normal((shape[0], 3)) * 3)[:, g.integers(0, 3, shape[1])],
    "nearly one sample": lambda g, shape: (
        g.standard_normal((shape[0], 1)) + g.standard_normal(shape) * 10.0 ** g.uniform(-8, -3)
    ),
    "margins": lambda g, shape: g.standard_normal(shape) + 30 * g.random(shape[1]) * _rows(shape),
    "saturated": lambda g, shape: g.standard_normal(shape) * 10.0 ** g.uniform(1.5, 3),
    "zeros": lambda g, shape: np.zeros(shape),
}  # fmt: skip


def _rows(shape: tuple[int, int]) -> Array:
    return (np.arange(shape[0]) == 0)[:, None]


def case(seed: int) -> tuple[str, str, Array, Array, int]:
    """Name, loss, Z, Y (0 and 1, or probabilities), divisor."""
    generator = np.random.default_rng(seed)
    dtype = str(generator.choice(list(DTYPES), p=list(DTYPES.values())))
    binary, kind = bool(generator.random() < 0.4), str(generator.choice(list(LOGITS)))
    n = int(np.exp(generator.uniform(0, np.log(201)))) if binary or generator.random() < 0.5 else 10
    n = n if binary else max(n, 2)
    m = int(np.exp(generator.uniform(0, np.log(min(60_000, MOST[dtype] // n) + 1))))
    Z = LOGITS[kind](generator, (n, m)).astype(dtype)
    labels = str(generator.choice(("random", "fitted", "one", "soft"), p=(0.4, 0.4, 0.1, 0.1)))
    wide = Z.astype(np.float64)
    if binary:
        Y = {"random": generator.integers(0, 2, (n, m)), "fitted": wide > 0, "one": np.ones((n, m)),
             "soft": generator.random((n, m))}[labels]  # fmt: skip
    else:
        y = {"fitted": wide.argmax(axis=0), "one": np.zeros(m, int)}.get(labels, generator.integers(0, n, m))
        Y = np.eye(n)[:, y] * 0.9 + 0.1 / n if labels == "soft" else np.eye(n)[:, y]
    divisor = 1 if generator.random() < 0.3 else m * n if binary else m
    name = f"seed {seed}: {n} x {m} {dtype}, logits {kind}, labels {labels}, divisor {divisor}"
    return name, "binary_cross_entropy" if binary else "cross_entropy", Z, np.asarray(Y).astype(dtype), divisor


def forms(loss: str, Z: Array, Y: Array) -> Iterator[tuple[str, Array]]:
    """The matrix or row whose sum the loss is, in the logits' format, as people write it."""
    if loss == "binary_cross_entropy":
        log_term = np.log1p(np.exp(-np.abs(Z)))
        yield "stable", np.maximum(Z, 0) - Z * Y + log_term
        yield "as PyTorch", (1 - Y) * Z - (np.minimum(Z, 0) - log_term)
        return
    top = Z.max(axis=0, keepdims=True)
    shifted = Z - top
    e = np.exp(shifted)
    total = e.sum(axis=0, keepdims=True)
    log_sum = np.log(total)
    yield "shifted", log_sum * Y.sum(axis=0, keepdims=True) - (shifted * Y).sum(axis=0, keepdims=True)
    yield "textbook", ((top + log_sum) - Z) * Y
    p = e / total
    if (p[Y > 0] > 0).all() and (p.astype(np.float64) > 1e-20)[Y > 0].all():
        yield "log softmax", -np.log(np.where(Y > 0, p, 1)) * Y


def sums(terms: Array, divisor: int, generator: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Means (or sums) of the terms, in the terms' format."""
    flat = terms.ravel()
    over = flat.dtype.type(divisor)

    def in_order(values: Array) -> Array:
        return np.asarray(np.add.accumulate(values)[-1])

    yield "numpy sum", terms.sum() / over
    yield "of columns", terms.sum(axis=0).sum() / over
    yield "of rows", terms.sum(axis=1).sum() / over
    yield "in order", in_order(flat) / over
    yield "by columns", in_order(terms.T.ravel()) / over
    yield "backwards", in_order(flat[::-1]) / over
    yield "shuffled", in_order(generator.permutation(flat)) / over
    yield "divided first", in_order(flat / over)
    yield "batches of 100", in_order(np.array([flat[i : i + 100].sum() for i in range(0, flat.size, 100)])) / over
    yield "in float64", (flat.astype(np.float64).sum() / divisor).astype(flat.dtype)


def by_torch(loss: str, Z: Array, Y: Array, divisor: int) -> Iterator[tuple[str, Array]]:
    """PyTorch's own losses and a common composition."""
    import torch
    from torch.nn import functional as F

    kind = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}[Z.dtype.name]
    z, y = (torch.from_numpy(a.T.astype(np.float64)).to(kind).contiguous() for a in (Z, Y))
    reduction = "sum" if divisor == 1 else "mean"

    def back(value: Any) -> Array:
        return np.asarray(value.to(torch.float64).numpy()).astype(Z.dtype)

    if loss == "binary_cross_entropy":
        yield "own", back(F.binary_cross_entropy_with_logits(z, y, reduction=reduction))
        return
    yield "own", back(F.cross_entropy(z, y, reduction=reduction))
    if ((Y == 0) | (Y == 1)).all():
        yield "own, classes", back(F.cross_entropy(z, y.argmax(1), reduction=reduction))
    composed = -(y * F.log_softmax(z, 1)).sum(1)
    yield "log_softmax", back(composed.sum() / divisor)


def by_jax(loss: str, Z: Array, Y: Array, divisor: int) -> Iterator[tuple[str, Array]]:
    """As :mod:`implementations.jax_network` writes them, and with logsumexp."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

    def composed(z: Any, y: Any) -> Any:
        if loss == "binary_cross_entropy":
            return jnp.sum(jax.nn.softplus(z) - z * y) / divisor
        return -jnp.sum(y * jax.nn.log_softmax(z, axis=1)) / divisor

    def textbook(z: Any, y: Any) -> Any:
        return jnp.sum(jax.nn.logsumexp(z, axis=1) * y.sum(axis=1) - (z * y).sum(axis=1)) / divisor

    z, y = jnp.array(Z.T), jnp.array(Y.T)
    yield "composed", np.asarray(jax.jit(composed)(z, y))
    if loss == "cross_entropy":
        yield "logsumexp", np.asarray(jax.jit(textbook)(z, y))


def check(loss: str, recorded: Array, Z: Array, Y: Array, divisor: int) -> Check:
    """Judge a loss as a recording's is."""
    recorded = np.asarray(recorded).astype(Z.dtype)
    fmt = format_of(Z.dtype)
    rule = Elementwise(loss, ("Z", "Y"))
    operands = Operands({"X": Z, "Z": Z, "Y": Y, "loss": recorded})
    context = Context(divisor, 0.0, 0.1, fmt.smallest_normal)
    return check_elementwise(Equation("loss", 1, rule, "loss"), rule, operands, fmt, context, 0)


def evaluations(seed: int, loss: str, Z: Array, Y: Array, divisor: int) -> Iterator[tuple[str, Array]]:
    """Every honest value of the loss and who computed it."""
    generator = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        for form, terms in forms(loss, Z, Y):
            for order, value in sums(terms.astype(Z.dtype), divisor, generator):
                yield f"numpy {form}, {order}", value
    if find_spec("torch"):
        yield from ((f"torch {name}", value) for name, value in by_torch(loss, Z, Y, divisor))
    if seed % JAX_EVERY == 0 and find_spec("jax"):
        yield from ((f"jax {name}", value) for name, value in by_jax(loss, Z, Y, divisor))


@dataclass
class Line:
    """What is counted of one way and format."""

    checks: int = 0
    settled: int = 0
    fraction: float = 0.0
    alarms: int = 0


@dataclass
class Tally:
    """Everything counted so far."""

    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    cases: int = 0

    @property
    def checks(self) -> int:
        """Losses judged."""
        return sum(line.checks for line in self.lines.values())

    @property
    def alarms(self) -> int:
        """Those that were not called rounding."""
        return sum(line.alarms for line in self.lines.values())

    def add(self, seed: int) -> None:
        """Judge every honest value of the case; one that overflows is left out."""
        name, loss, Z, Y, divisor = case(seed)
        self.cases += 1
        for way, value in evaluations(seed, loss, Z, Y, divisor):
            if not np.isfinite(np.asarray(value).astype(np.float64)):
                continue
            found = check(loss, value, Z, Y, divisor)
            alarm = found.verdict is not Verdict.ROUNDING
            line = self.lines.setdefault((way, Z.dtype.name), Line())
            line.checks += 1
            line.settled += bool(found.residuals.over) and not alarm
            line.fraction = max(line.fraction, found.residuals.fraction)
            line.alarms += alarm
            if alarm:
                print(f"ALARM  {way}  {name}\n       {found.message}", flush=True)

    def __str__(self) -> str:
        rows = [
            (*key, line.checks, line.settled, f"{line.fraction:.3g}", line.alarms)
            for key, line in sorted(self.lines.items())
        ]
        return tabulate(rows, ("way", "format", "checks", "settled", "fraction", "alarms"), disable_numparse=True)


def main() -> int:
    """0 when no honest loss alarmed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=None, help="of the first case; by default from the clock")
    parser.add_argument("--count", type=int, default=100, help="cases, one a seed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no case after this time")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else time.time_ns() // 10**6 % 10**9
    tally, until = Tally(), time.monotonic() + 60 * arguments.minutes
    for seed in range(first, first + arguments.count):
        if time.monotonic() >= until:
            break
        tally.add(seed)
    print(tally)
    print(f"{tally.cases} cases from seed {first}: {tally.checks} checks, {tally.alarms} alarms")
    return 1 if tally.alarms or not tally.checks else 0


if __name__ == "__main__":
    sys.exit(main())
