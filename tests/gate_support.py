"""What the tests of the gate share: a summary by hand, and what one changes in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from backproof.evidence import SCHEMA
from backproof.gate import baseline
from backproof.gate.facts import of_summary
from backproof.gate.judge import FEW
from backproof.report.store import SUMMARY

Json = dict[str, Any]
Change = Callable[[Json], Any]
STEPS = 10
QUANTITIES = {"1": {"Z1": 0.2, "dW1": 0.1}, "2": {"Z2": 0.3, "loss": 0.05}}


def by(check: str, fraction: float | None) -> Json:
    """What a summary holds of one check, as far as the gate reads it."""
    common = {"verdict": "rounding", "steps": STEPS, "fraction": fraction}
    if check == "agreement":
        return {**common, "ulps": 3.0}
    return {**common, "covered": STEPS, "elements": FEW + 6, "vacuous": 6}


def network(*implementations: str) -> Json:
    """Two layers, four quantities, two checks of each."""
    layers = {
        number: {
            check: {name: {"by": {i: by(check, used) for i in implementations}} for name, used in quantities.items()}
            for check in ("equations", "agreement")
        }
        for number, quantities in QUANTITIES.items()
    }
    run = {"verdict": "rounding", "coverage": {"checked": 40, "of": 40}, "findings": [], "losses": [2.0, 1.0]}
    return {
        "specification": {"name": "net", "sizes": [4, 3, 2]}, "samples": 5, "data_hash": "d", "initial_hash": "i",
        "batches": {"smallest": 5, "largest": 5}, "layers": layers,
        "implementations": {name: deepcopy(run) for name in implementations},
    }  # fmt: skip


def summary() -> Json:
    """Two networks by two implementations, all within rounding."""
    return {
        "schema": SCHEMA, "backproof": "0", "project": "ours", "verdict": "rounding",
        "settings": {"data": "digits", "samples": None, "steps": STEPS, "dtype": "float32", "seed": 0},
        "environment": {"python": "3", "implementations": {"torch": {"versions": {"torch": "2.13"}, "threads": 2}}},
        "networks": {"one": network("torch", "jax"), "two": network("torch", "jax")},
    }  # fmt: skip


def check(content: Json, quantity: str = "Z1", kind: str = "equations", name: str = "torch", net: str = "one") -> Json:
    """The facts of one check, to be changed."""
    layer = content["networks"][net]["layers"][quantity[-1] if quantity != "loss" else "2"]
    facts: Json = layer[kind][quantity]["by"][name]
    return facts


def changed(change: Change | None = None) -> Json:
    """A summary with one change in it."""
    content = summary()
    if change is not None:
        change(content)
    return content


def written(folder: Path, change: Change | None = None) -> Path:
    """A summary on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SUMMARY
    path.write_text(json.dumps(changed(change)), encoding="utf-8")
    return path


def kept(folder: Path, change: Change | None = None) -> Path:
    """The baseline of a summary, on disk."""
    path = folder / "baseline.json"
    baseline.write(path, of_summary(written(folder / "accepted", change)), "because", "2026-01-31")
    return path
