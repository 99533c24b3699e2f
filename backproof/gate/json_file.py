"""JSON that somebody else may have written: limited before it is parsed, and typed value by value after."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from backproof.config import NAME
from backproof.errors import BackproofError
from backproof.shown import shown
from backproof.verdict import Verdict

MOST_BYTES = 64 * 2**20
MOST_VALUES = 4_000_000
"""Commas in a file, which its values cannot outnumber by more than the brackets; a default run has 16,000."""
MOST_COUNT = 2**53
LARGEST = sys.float_info.max


def load(path: Path, remedy: str, absent: str) -> At:
    """The object that a JSON file holds; ``remedy`` and ``absent`` say what to do about a wrong one and about none.

    Raises:
        BackproofError: for a file that is missing, too large, not JSON, or JSON with a key twice, NaN, or no object.
    """
    where = At(path, "", None, remedy)
    if not path.exists():
        At(path, "", None, absent).refuse("missing")
    raw = _bytes(path, where)
    if len(raw) > MOST_BYTES:
        where.refuse(f"larger than {MOST_BYTES >> 20} MiB")
    if raw.count(b",") > MOST_VALUES:
        where.refuse(f"holds more than {MOST_VALUES:,} values")
    if not raw.strip():
        where.refuse("empty")
    if b"\\u0000" in raw:
        where.refuse("holds the character NUL")
    try:
        content = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
        if b"\\u" in raw:
            json.dumps(content, ensure_ascii=False).encode()  # halves of surrogate pairs are no text
    except (ValueError, RecursionError) as error:
        where.refuse(f"not valid JSON ({shown(error)})")
    whole = At(path, "", content, remedy)
    whole.mapping()
    return whole


def _bytes(path: Path, where: At) -> bytes:
    if not path.is_file():
        where.refuse("no regular file")
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        where.refuse(f"unreadable ({error.strerror})")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON takes the last of two; which one was meant, nobody knows."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


@dataclass(frozen=True)
class At:
    """A value in a file and its place there, so that what is wrong with it is said with the place.

    Attributes:
        place: the keys that lead to the value.
        remedy: what to do about a file that is wrong.
    """

    path: Path
    place: str
    value: Any
    remedy: str

    def refuse(self, what: str) -> NoReturn:
        """Raise the one line."""
        place = f"{self.place}: " if self.place else ""
        raise BackproofError(f"{shown(self.path, 400)}: {place}{what}; {self.remedy}")

    def _is_no(self, kind: str) -> NoReturn:
        # Not the text of a list or object: it may be endless, and as deep as the stack.
        what = f"{type(self.value).__name__}" if isinstance(self.value, list | dict) else shown(repr(self.value), 40)
        self.refuse(f"{what} is no {kind}")

    def key(self, name: str) -> At:
        """What an object holds under ``name``."""
        if name not in self.mapping():
            self.refuse(f"{name!r} is missing")
        return At(self.path, self._below(name), self.value[name], self.remedy)

    def mapping(self) -> dict[str, Any]:
        """An object."""
        if not isinstance(self.value, dict):
            self._is_no("object")
        return self.value

    def items(self) -> list[tuple[str, At]]:
        """The members of an object, sorted by their keys, which must be names as a configuration takes them."""
        for name in self.mapping():
            if not NAME.fullmatch(name):
                self.refuse(f"{shown(repr(name), 40)} is no name: letters, digits, _ and - only")
        return [(name, self.key(name)) for name in sorted(self.mapping())]

    def array(self, length: int | None = None) -> list[At]:
        """An array, of so many values."""
        if not isinstance(self.value, list) or length not in (None, len(self.value)):
            self._is_no("array" if length is None else f"array of {length} values")
        return [At(self.path, self._below(str(i)), value, self.remedy) for i, value in enumerate(self.value)]

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            self._is_no("string")
        return self.value

    def count(self) -> int:
        """A whole number from 0."""
        if type(self.value) is not int or not 0 <= self.value <= MOST_COUNT:
            self._is_no("count")
        return self.value

    def fraction(self) -> float:
        """A part of a budget, from 0; null, which stands for what is not finite, is infinite."""
        if self.value is not None and (type(self.value) not in (int, float) or not 0 <= self.value <= LARGEST):
            self._is_no("fraction of a budget")
        return self.number()

    def number(self) -> float:
        """A number; null, which stands for what is not finite, is infinite."""
        if self.value is None:
            return math.inf
        if type(self.value) not in (int, float) or not abs(self.value) <= LARGEST:
            self._is_no("number")
        return float(self.value)

    def verdict(self) -> Verdict:
        """One of the three words."""
        if self.value not in [verdict.word for verdict in Verdict]:
            self._is_no("verdict")
        return Verdict[str(self.value).upper()]

    def _below(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name
