"""What the index says: the verdict, what to look at first, the grid, every run, what it was made with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backproof.evidence import Json
from backproof.network import Network
from backproof.report import index
from backproof.report.html import grid
from backproof.report.html.failure import Failure, failures, is_echo
from backproof.report.tables import percent

VERDICTS = {"rounding": "All within rounding", "suspect": "Suspect", "bug": "Bug"}


def view(summary: Json, networks: dict[str, Network]) -> dict[str, Any]:
    """The variables of the index.

    Raises:
        KeyError, TypeError, ValueError: where the summary is not what ``verify`` writes.
    """
    wrong = [failure for name, facts in summary["networks"].items() for failure in failures(name, facts)]
    causes = [failure for failure in wrong if not is_echo(failure, wrong)]
    return {
        "verdict": str(summary["verdict"]),
        "sentence": _sentence(summary, causes),
        "first": causes[0] if causes else None,
        "causes": causes[1:],
        "echoes": len(wrong) - len(causes),
        "tightest": _tightest(summary),
        "implementations": list(summary["environment"]["implementations"]),
        "strips": _strips(summary, networks),
        "headers": index.HEADERS,
        "runs": [list(zip(row, _keys(row), strict=True)) for row in index.rows(summary)],
        "settings": summary["settings"],
        "coverage": summary["coverage"],
        "environment": summary["environment"],
        "unchecked": list(_unchecked(summary)),
        "specifications": networks,
        "version": str(summary["backproof"]),
    }


def _sentence(summary: Json, causes: list[Failure]) -> str:
    covered, of = int(summary["coverage"]["checked"]), int(summary["coverage"]["of"])
    runs = [run for facts in summary["networks"].values() for run in facts["implementations"].values()]
    checked = f"{covered:,} of {of:,} equations were checked"
    if not causes:
        return f"Every difference between these {len(runs)} runs is rounding: {checked}, and none is beyond it."
    wrong = sum(run["verdict"] != "rounding" for run in runs)
    return f"{wrong} of {len(runs)} runs are not within rounding; {checked}."


def _tightest(summary: Json) -> dict[str, Any] | None:
    """The sum that came closest to its limit: what to look at when nothing is wrong."""
    runs = [
        (name, by, run["tightest"])
        for name, facts in summary["networks"].items()
        for by, run in facts["implementations"].items()
        if run["tightest"] and run["tightest"]["fraction"] is not None
    ]
    if not runs:
        return None
    name, by, tightest = max(runs, key=lambda run: float(run[2]["fraction"]))
    layers = summary["networks"][name]["layers"]
    layer = next((int(n) for n, layer in layers.items() if tightest["equation"] in layer["equations"]), 0)
    used = percent(tightest["fraction"])
    return {"network": name, "by": by, "quantity": str(tightest["equation"]), "layer": layer, "used": used}


def _strips(summary: Json, networks: dict[str, Network]) -> Iterator[tuple[str, list[tuple[str, list[grid.Cell]]]]]:
    for name, facts in summary["networks"].items():
        by_run = [(by, list(grid.strip(networks[name], facts, by))) for by in facts["implementations"]]
        yield name, by_run


def _keys(row: list[str]) -> list[str]:
    """What each cell is sorted by: the number that it begins with, a fraction of budgets as such."""
    return [_key(cell) for cell in row]


def _key(cell: str) -> str:
    first, *more = cell.split()
    try:
        value = float(first)
    except ValueError:
        return cell if "/" not in cell else cell.partition("/")[0]
    return f"{value / 100:.9g}" if more[:1] == ["%"] else f"{value:.9g}"


def _unchecked(summary: Json) -> Iterator[str]:
    for name, facts in summary["networks"].items():
        for by, run in facts["implementations"].items():
            checked, of = int(run["coverage"]["checked"]), int(run["coverage"]["of"])
            if checked < of:
                yield f"{name} by {by}: {of - checked:,} of {of:,} equations"
