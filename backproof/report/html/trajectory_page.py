"""What the page of the trajectories says: losses, distances, coin flips, what each step used of its budgets."""

from __future__ import annotations

from typing import Any

from backproof.evidence import Json
from backproof.report.html.curves import Line, svg
from backproof.report.html.failure import failures
from backproof.report.tables import number, precise

FLIPS = 20
"""Coin flips that are listed of a run; the first ones explain the distance."""


def view(summary: Json, folders: dict[str, str]) -> dict[str, Any]:
    """The variables of the page.

    Raises:
        KeyError, TypeError, ValueError: where the summary is not what ``verify`` writes.
    """
    networks = [_network(name, facts, folders[name]) for name, facts in summary["networks"].items()]
    return {"networks": networks, "steps": int(summary["settings"]["steps"]), "alone": False}


def _network(name: str, facts: Json, folder: str) -> dict[str, Any]:
    runs, free = facts["implementations"], facts["float64"]
    losses = [Line("float64", free["losses"], True), *(Line(by, run["losses"]) for by, run in runs.items())]
    distances = [Line("replicas", free["envelope"], True), *(Line(by, run["distances"]) for by, run in runs.items())]
    used = [Line(by, run["used_by_step"]) for by, run in runs.items()]
    firsts = sorted({int(run["flips"][0]["step"]) for run in runs.values() if run.get("flips")})
    apart = "Distance from the float64 run, as a part of the distance travelled"
    if firsts:
        apart += f" (dotted: first coin flips, at step {_listed(firsts)})"
    pictures: list[tuple[str, str, list[Line], bool, list[int]]] = [
        ("Loss", "loss", losses, False, []),
        (apart, "distance", distances, True, firsts),
        ("The largest part of a budget that was used in each step", "of budget", used, True, []),
    ]
    return {
        "name": name,
        "failures": [failure for failure in failures(name, facts) if not failure.layer],
        "pictures": [_picture(name, folder, n, *picture) for n, picture in enumerate(pictures)],
        "flips": [(by, _flips(run)) for by, run in runs.items()],
        "rows": [_row(by, run, free) for by, run in runs.items()],
    }


def _listed(steps: list[int]) -> str:
    *most, last = map(str, steps)
    return f"{', '.join(most)} and {last}" if most else last


def _picture(
    name: str, folder: str, n: int, caption: str, label: str, lines: list[Line], log: bool, marks: list[int]
) -> dict[str, str]:
    said = "; ".join(f"{line.name} {_ends(line)}" for line in lines)
    drawn = svg(lines, f"{caption}, {name}: {said}", label, log, f"{folder}.{n}", marks)
    return {"caption": caption, "words": said, "svg": drawn}


def _ends(line: Line) -> str:
    values = list(line.values)
    return f"from {number(values[0])} to {number(values[-1])}" if values else "has no step"


def _row(by: str, run: Json, free: Json) -> dict[str, Any]:
    """The end of a run in numbers, and where it was furthest outside of the replicas' envelope."""
    pairs = list(zip(run["distances"], free["envelope"], strict=False))
    times, step = max(
        ((float(mine) / float(theirs), n) for n, (mine, theirs) in enumerate(pairs) if mine is not None and theirs),
        default=(None, 0),
    )
    last = pairs[-1] if pairs else (None, None)
    accuracy = run.get("accuracy")
    return {
        "by": by,
        "verdict": str(run["verdict"]),
        "certified": f"{int(run['certified']):,} of {int(run['steps']):,}" if "certified" in run else "-",
        "accuracy": "-" if accuracy is None else f"{100 * float(accuracy):.2f} %",
        "loss": precise(run["losses"][-1]) if run["losses"] and run["losses"][-1] is not None else "-",
        "distance": number(last[0]) if pairs else "-",
        "envelope": number(last[1]) if pairs else "-",
        "furthest": "-" if times is None else f"{number(times)} × at step {step}",
        "used": number(max((float("inf") if v is None else float(v) for v in run["used_by_step"]), default=None)),
    }


def _flips(run: Json) -> list[dict[str, str]] | None:
    """The first coin flips as text; None where nobody looked for them."""
    if run.get("flips") is None:
        return None
    return [
        {
            **{key: str(int(flip[key])) for key in ("step", "layer", "unit", "sample")},
            **{key: precise(float(flip[key])) for key in ("float64", "value")},
        }
        for flip in run["flips"][:FLIPS]
    ]
