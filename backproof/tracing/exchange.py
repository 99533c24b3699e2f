"""The folder through which the process that runs the script hands over what it found, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backproof.tracing.sightings import Array
from backproof.tracing.step import Step
from backproof.tracing.unpatched import np

END = "end.json"


@dataclass(frozen=True)
class Seen:
    """What a quantity is called in the script, and where it was made."""

    label: str
    place: str


@dataclass(frozen=True)
class Traced:
    """A step as it is judged: canonical key -> array, and where each came from."""

    arrays: dict[str, Array]
    seen: dict[str, Seen]
    learning_rate: float | None
    expected: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def places(self) -> dict[str, str]:
        """Key -> ``file.py:42``, where that is known."""
        return {key: seen.place for key, seen in self.seen.items() if seen.place}

    @property
    def missing(self) -> list[str]:
        """Keys that a step of this network has and that were not found."""
        return [key for key in self.expected if key not in self.arrays]


class Outbox:
    """Writes steps as they arrive: what was written is there even if the script then ends its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps = 0
        self._arrays: dict[int, tuple[Array, str]] = {}

    def put(self, step: Step) -> None:
        """Write a step; an array that an earlier one holds already is not written again."""
        files = {key: self._file(value) for key, value in step.arrays.items()}
        said = {
            "files": files,
            "seen": {key: [s.label, s.place] for key, s in step.quantities.items()},
            "learning_rate": None if step.learning_rate is None else float(step.learning_rate.value),
            "rate_seen": None if step.learning_rate is None else [step.learning_rate.label, step.learning_rate.place],
            "expected": step.expected,
            "notes": step.notes,
        }
        _write(self.folder / f"step-{self.steps}.json", said)
        self.steps += 1

    def end(self, facts: dict[str, Any]) -> None:
        """Write how the script ended."""
        _write(self.folder / END, facts)

    def _file(self, value: Array) -> str:
        if id(value) not in self._arrays:
            name = f"array-{len(self._arrays)}.npy"
            np.save(self.folder / name, np.asarray(value))
            self._arrays[id(value)] = (value, name)
        return self._arrays[id(value)][1]


def _write(path: Path, content: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    unfinished.replace(path)


def steps_in(folder: Path) -> Iterator[Traced]:
    """The steps that were handed over, in order."""
    number = 0
    while (path := folder / f"step-{number}.json").exists():
        said = json.loads(path.read_text(encoding="utf-8"))
        arrays = {key: np.load(folder / name) for key, name in said["files"].items()}
        seen = {key: Seen(*pair) for key, pair in said["seen"].items()}
        if said["rate_seen"]:
            seen["learning_rate"] = Seen(*said["rate_seen"])
        yield Traced(arrays, seen, said["learning_rate"], tuple(said["expected"]), tuple(said["notes"]))
        number += 1


def end_in(folder: Path) -> dict[str, Any] | None:
    """How the script ended, or None if its process ended before it could be said."""
    path = folder / END
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
