"""Pictures of where the errors are: cells of an array, or the 784 inputs as the image that they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from backproof.report.html.scale import CLASSES, place

Cells = Sequence[Sequence[float]]
LONG, SHORT = 288, 96
"""Pixels of the longer side, and at least of the shorter one."""


def svg(cells: Cells, title: str) -> str:
    """One path for each class of the scale, so that a style sheet colours it; ``title`` is plain escaped text."""
    rows, columns = len(cells), len(cells[0])
    width, height = _size(columns, rows), _size(rows, columns)
    paths = "".join(f'<path class="{CLASSES[n]}" d="{d}"/>' for n, d in sorted(_paths(cells).items()))
    return (
        f'<svg class="map" role="img" aria-label="{title}" viewBox="0 0 {columns} {rows}" width="{width}" '
        f'height="{height}" preserveAspectRatio="none" shape-rendering="crispEdges">{paths}</svg>'
    )


def _size(side: int, other: int) -> int:
    return LONG if side >= other else max(SHORT, LONG * side // other)


def _paths(cells: Cells) -> dict[int, str]:
    """Class -> the rectangles of all its runs of equal cells."""
    paths: dict[int, str] = {}
    for y, row in enumerate(cells):
        x = 0
        for number, run in groupby(map(place, row)):
            width = len(list(run))
            paths[number] = paths.get(number, "") + f"M{x} {y}h{width}v1h-{width}z"
            x += width
    return paths


def image(values: Sequence[float]) -> list[Sequence[float]] | None:
    """The 784 inputs as 28 rows of 28; None of any other number."""
    return [values[start : start + 28] for start in range(0, 784, 28)] if len(values) == 784 else None


def where(cells: Cells, shape: Sequence[int]) -> str:
    """In words: the cell with the largest fraction, as the rows and columns that it stands for."""
    top = max(max(row) for row in cells)
    if not top:
        return "nothing is off anywhere"
    y, row = next((n, row) for n, row in enumerate(cells) if top in row)
    x, over = row.index(top), sum(value > 1 for row in cells for value in row)
    part = f"{over} of {len(cells) * len(row)} cells are above the budget" if over else "no cell is above the budget"
    return f"largest in {_range('row', y, len(cells), shape[0])}, {_range('column', x, len(row), shape[1])}; {part}"


def _range(what: str, cell: int, cells: int, side: int) -> str:
    first, last = -(-cell * side // cells), -(-(cell + 1) * side // cells) - 1
    return f"{what} {first}" if first == last else f"{what}s {first} to {last}"
