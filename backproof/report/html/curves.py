"""Lines over the steps of a run, drawn by matplotlib: the same bytes for the same numbers, in the page's colours."""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from backproof.shown import shown

POINTS = 400
"""Steps that a line shows at most: of longer runs the largest value of each of so many even parts."""
COLOURS = ("#010101", "#010102", "#010103", "#010104", "#010105", "#010106")
"""Stand for the style sheet's ``--series-1`` and so on: no colour that is seen."""
DASHES = ("solid", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1)), (0, (8, 3, 2, 3)))
MARKERS = "osD^vP"
INK = "#020202"


@dataclass(frozen=True)
class Line:
    """A line with its name; ``reference`` is the float64 run or an envelope, drawn thick and pale."""

    name: str
    values: Sequence[float | None]
    reference: bool = False


def svg(lines: Sequence[Line], title: str, label: str, log: bool, salt: str, marks: Sequence[int] = ()) -> str:
    """The picture as an ``<svg>`` element; ``title`` is what it says in words.

    Args:
        marks: steps at which something happened, as dotted upright lines.
        salt: tells the identifiers of one picture from those of another in the same file.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.parse_math": False,
    }
    with warnings.catch_warnings(), rc_context(settings):
        warnings.simplefilter("ignore")  # of names in a script that the font has no letters for: the browser has
        figure = Figure(figsize=(6.2, 2.7), layout="constrained")
        axes: Any = figure.subplots()
        for n, line in enumerate(sorted(lines, key=lambda line: not line.reference)):
            _draw(axes, line, n - sum(line.reference for line in lines))
        for step in marks:
            axes.axvline(step, color=INK, linewidth=1, linestyle=(0, (1, 2)))
        _frame(axes, label, log and any(value and value > 0 for line in lines for value in line.values))
        raw = StringIO()
        figure.savefig(raw, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _cleaned(raw.getvalue(), title, salt)


def _draw(axes: Any, line: Line, n: int) -> None:
    steps, values = thinned(line.values)
    colour = INK if line.reference else COLOURS[n % len(COLOURS)]
    width, dash = (5.0, "solid") if line.reference else (1.6, DASHES[n % len(DASHES)])
    marker = MARKERS[n % len(MARKERS)] if len(steps) <= 20 and not line.reference else None
    axes.plot(
        steps, values, color=colour, linewidth=width, linestyle=dash, marker=marker, markersize=4 + 2 * (n % 3),
        markerfacecolor="none", alpha=0.3 if line.reference else 1.0, label=shown(line.name, 40).lstrip("_") or "-",
    )  # fmt: skip


def _frame(axes: Any, label: str, log: bool) -> None:
    if log:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes.set_yscale("log")
        low, high = axes.get_ylim()
        plain = FuncFormatter(lambda value, _: f"{value:.3g}")
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(plain if high < 10 * low else NullFormatter())
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel(label, color=INK)
    axes.tick_params(colors=INK, which="both")
    axes.xaxis.get_major_locator().set_params(integer=True)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    axes.grid(color=INK, alpha=0.12)
    # Above the lines: inside, there is no place that a thousand steps leave free.
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)


def thinned(values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    """Steps and values to draw; what is not finite is a gap."""
    numbers = [float("nan") if value is None else float(value) for value in values]
    width = -(-len(numbers) // POINTS) or 1
    steps = [max(range(i, min(i + width, len(numbers))), key=lambda k: (numbers[k] == numbers[k], numbers[k]))
             for i in range(0, len(numbers), width)]  # fmt: skip
    return steps, [numbers[step] for step in steps]


def _cleaned(raw: str, title: str, salt: str) -> str:
    """Without the prologue and anything that names another place, identifiers made this picture's own."""
    body = raw[raw.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\s(?:xmlns:xlink|xmlns|version)="[^"]*"', "", body).replace("xlink:href", "href")
    head, _, rest = body.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    own = f"{salt}."
    rest = re.sub(r'\bid="', f'id="{own}', rest)
    rest = re.sub(r'href="#', f'href="#{own}', rest).replace("url(#", f"url(#{own}")
    for n, colour in enumerate(COLOURS, 1):
        rest = rest.replace(colour, f"var(--series-{n})")
    rest = rest.replace(INK, "var(--ink)")
    label = html.escape(shown(title, 2000))
    return f'<svg class="curves" role="img" aria-label="{label}" {view[0] if view else ""}>{rest.strip()}'
