"""Plants what only two runs can show in one of two: a part of ``python -m benchmarks.faults``."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.two_runs import FAULTS, Differs, told, training_of

NAMED = re.compile(r"\[([a-z0-9-]+)\]")


def names(fault: Differs, seed: int, dtype: str) -> tuple[str, set[str]]:
    """All that is said of a mistake in the second of two runs, and the names in it."""
    with tempfile.TemporaryDirectory() as folder:
        said = told(Path(folder), fault, training_of(seed, dtype))
    return said, set(NAMED.findall(said))


def table(seed: int, seeds: int) -> Iterator[str]:
    """The page's part."""
    yield "## In one of two runs\n"
    yield (
        "What the equations of one run cannot show: other data, other initial parameters, other batches. Two runs of "
        "the reference on small networks (one-hot and integer labels, float32 and float64) are recorded, the second "
        "with the mistake, and given to `compare`. *Detected*: it refuses the two, or a run is no longer within "
        "rounding. *Named*: by the right name and no other.\n"
    )
    yield "| id | mistake | cases | detected | named | name |"
    yield "|---|---|---|---|---|---|"
    totals = [0, 0, 0]
    for fault in FAULTS:
        found = [names(fault, 1000 * seed + k, dtype) for k in range(seeds) for dtype in ("float32", "float64")]
        counts = [len(found), sum(bool(said) for said, _ in found), sum(named == {fault.name} for _, named in found)]
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
        given = ", ".join(sorted(set().union(*(named for _, named in found)))) or "-"
        yield f"| {fault.id} | {fault.what} | {counts[0]} | {counts[1]} | {counts[2]} | {given} |"
    yield f"\nIn all {totals[0]} cases: {totals[1]} detected, {totals[2]} named right.\n"
