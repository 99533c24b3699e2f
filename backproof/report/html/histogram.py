"""How the residuals of an equation are spread, against what rounding predicts.

A sum: its rounding errors behave like independent ones of mean zero, and front to back with every rounding at its
largest their root mean square is 0.7 of the 4 units of the budget's first term and √(1/3) of 4 of its second
(docs/rounding.md, "The budget"). So the residual is at most half-normal with σ = 0.7/4 = 0.175 of the budget; summing
in blocks or pairs errs less, and stands further to the left. One rounding: at most even over the budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from backproof.evidence import BINS

SIGMA = 0.7 / 4
WIDTH, HEIGHT, FOOT = 22, 96, 16
"""Pixels: of a bin, of a share of 100 %, of the labels."""


def predicted(is_sum: bool) -> list[float]:
    """The share of the elements that rounding puts into each bin, at worst."""
    below = [math.erf(end / SIGMA / math.sqrt(2)) if is_sum else min(end, 1.0) for end in BINS]
    return [high - low for low, high in zip([0.0, *below], [*below, 1.0], strict=True)]


def shares(counts: Sequence[int]) -> list[float]:
    """The share of the elements in each bin.

    Raises:
        ValueError: when they are not as many counts as there are bins, or none counts anything.
    """
    if len(counts) != len(BINS) + 1 or min(counts) < 0 or not sum(counts):
        raise ValueError("a histogram has a count from 0 for each bin, and not all are 0")
    return [count / sum(counts) for count in counts]


def svg(counts: Sequence[int], is_sum: bool, title: str) -> str:
    """Bars for what was found, a stepped line for what rounding predicts; ``title`` is plain escaped text."""
    found, expected = shares(counts), predicted(is_sum)
    top = max(*found, *expected)
    bars = "".join(
        f'<rect class="{"bar" if n < len(BINS) else "bar over"}" x="{n * WIDTH + 2}" '
        f'y="{HEIGHT - HEIGHT * share / top:.1f}" width="{WIDTH - 4}" height="{HEIGHT * share / top:.1f}"/>'
        for n, share in enumerate(found)
    )
    line = "".join(
        f"{'V' if n else f'M{n * WIDTH} '}{HEIGHT - HEIGHT * share / top:.1f}H{(n + 1) * WIDTH}"
        for n, share in enumerate(expected)
    )
    width, limit = WIDTH * len(found), WIDTH * len(BINS)
    labels = "".join(
        f'<text x="{(n + 1) * WIDTH}" y="{HEIGHT + 13}" text-anchor="middle">{label}</text>'
        for n, label in ((0, "0.2 %"), (3, "1.6 %"), (6, "12 %"), (9, "100 %"))
    )
    return (
        f'<svg class="histogram" role="img" aria-label="{title}" viewBox="0 -2 {width} {HEIGHT + FOOT + 2}" '
        f'width="{width}" height="{HEIGHT + FOOT + 2}">{bars}<path class="predicted" d="{line}"/>'
        f'<path class="limit" d="M{limit} 0V{HEIGHT}"/><path class="axis" d="M0 {HEIGHT}H{width}"/>{labels}</svg>'
    )


def words(counts: Sequence[int], is_sum: bool) -> str:
    """The same in words."""
    found, expected = shares(counts), predicted(is_sum)
    small, most = sum(found[:8]), sum(expected[:8])
    said = f"{100 * small:.0f} % of the residuals use at most a quarter of the budget (rounding: {100 * most:.0f} %"
    return f"{said} or more), {100 * found[-1]:.3g} % are above it (rounding: none)"
