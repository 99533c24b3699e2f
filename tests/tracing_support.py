"""What the tests of tracing share: the scripts, what they wrote down themselves, a stand-in for the check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backproof.cli import parser
from backproof.tracing import command
from backproof.tracing.exchange import Traced
from backproof.tracing.session import Ending, trace
from tests.support import ROOT

SCRIPTS = ROOT / "tests" / "scripts"
HELPER = "keeping"
STYLES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != HELPER)
Array = np.ndarray[Any, np.dtype[Any]]


def run(
    script: Path, *arguments: str, steps: int = 3, timeout: float = 30, **options: Any
) -> tuple[list[Traced], Ending]:
    """Trace a script."""
    options.setdefault("names", {})
    return trace(script, list(arguments), steps=steps, timeout=timeout, show_output=False, **options)


def kept(folder: Path, step: int) -> dict[str, Array]:
    """What a script wrote down in a step; what points uphill is turned as tracing turns it."""
    found = {}
    for path in folder.glob(f"{step}-*.npy"):
        key = path.stem.partition("-")[2]
        value = np.load(path)
        found[key.removeprefix("minus-")] = -value if key.startswith("minus-") else value
    return found


def variant(folder: Path, style: str, *changes: tuple[str, str]) -> Path:
    """A copy of a script with some of its text replaced, which has to be there."""
    text = (SCRIPTS / f"{style}.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / f"{HELPER}.py").write_text((SCRIPTS / f"{HELPER}.py").read_text(encoding="utf-8"), encoding="utf-8")
    path = folder / f"{style}.py"
    path.write_text(text, encoding="utf-8")
    return path


def written(folder: Path, text: str, name: str = "theirs.py") -> Path:
    """A script of one's own."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def judged(folder: Path, text: str, *options: object) -> dict[str, Any]:
    """What tracing a script of one's own, and checking its steps, comes to: the facts that ``--json`` writes."""
    out = folder / "out.json"
    script = written(folder, text)
    command.run(parser().parse_args(["trace", *map(str, options), "--json", str(out), str(script)]))
    return dict(json.loads(out.read_text(encoding="utf-8")))


def failed(facts: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """Of each step: the equations that failed, each with the name of its best explanation, empty without one."""
    return [
        [(f["equation"], next((e["name"] for e in f["explanations"]), "")) for f in step["result"]["failures"]]
        for step in facts["steps"]
    ]


@dataclass
class Result:
    """What a check returns, as far as the command looks at it."""

    verdict: str = "rounding"
    failures: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        return f"the result: {self.verdict}"

    def to_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict}


class Check:
    """Stands in for ``check_backprop``: remembers what it was called with, and says what it is told to say."""

    def __init__(self, *verdicts: str) -> None:
        self.verdicts = list(verdicts)
        self.calls: list[tuple[dict[str, Array], Sequence[str] | None, str | None, dict[str, Any]]] = []

    def __call__(
        self, arrays: dict[str, Array], activations: Sequence[str] | None = None, loss: str | None = None, **more: Any
    ) -> Result:
        self.calls.append((arrays, activations, loss, more))
        return Result(self.verdicts[len(self.calls) - 1] if self.verdicts else "rounding")
