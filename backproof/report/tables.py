"""Tables and numbers as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

ENTITIES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;", "*": "&#42;", "[": "&#91;", "]": "&#93;", "|": "&#124;"}
)
"""What Markdown, HTML or a table's cell would take as its own, and how the character itself is written."""


def text(value: str) -> str:
    """A name or message of the user's as Markdown that shows it literally, on one line."""
    return " ".join(value.split()).translate(ENTITIES)


def code(value: str) -> str:
    """The same in a fixed-width font; between backticks no entity is read, so only plain names stand there."""
    return f"`{value}`" if re.fullmatch(r"\w+", value) else f"<code>{text(value)}</code>"


def markdown(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """A GitHub table; a cell cannot break out of it, and is Markdown otherwise: :func:`text` is for what is not."""
    safe = [[cell.replace("|", "&#124;").replace("<", "&lt;").replace("\n", " ") for cell in row] for row in rows]
    return str(tabulate(safe, headers=list(headers), tablefmt="github", disable_numparse=True))


def plain(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """A table for a terminal."""
    return str(tabulate(rows, headers=list(headers), tablefmt="simple", disable_numparse=True))


def percent(fraction: float | None) -> str:
    """A fraction of a budget: ``12 %``, ``0.3 %``, ``240 %``; a large excess as ``31 ×``."""
    if fraction is None:
        return "not finite"
    if fraction == 0:
        return "0 %"
    if fraction > 10:
        return f"{fraction:.3g} ×"
    value = 100 * fraction
    return f"{value:.1f} %" if value < 1 else f"{value:.0f} %"


def number(value: float | None) -> str:
    """Three significant digits."""
    return "not finite" if value is None else f"{value:.3g}"


def precise(value: float) -> str:
    """A recorded value, to the digits that float32 can hold."""
    return f"{value:.9g}"


def shape(sizes: Sequence[int]) -> str:
    """``50 × 128``, or ``scalar``."""
    return " × ".join(map(str, sizes)) or "scalar"


def element(quantity: str, index: Sequence[int], sizes: Sequence[int]) -> str:
    """``dW3[4, 7]``; a scalar has no index."""
    return f"{quantity}[{', '.join(map(str, index))}]" if sizes else quantity
