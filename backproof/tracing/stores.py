"""Dicts that hold something else of each parameter under its name: ``G = {"W1": np.zeros_like(W1), ...}``."""

from __future__ import annotations

from typing import Any

from backproof.tracing.names import OUT, PARAMETERS, Meaning
from backproof.tracing.sightings import Mention
from backproof.tracing.unpatched import np


class Stores:
    """Knows such dicts by their first array: all zero, when the parameter of that name was there and is not."""

    def __init__(self) -> None:
        self._parameters: dict[tuple[str, int], str] = {}
        """Kind and number -> what holds the first array of it that is not all zero."""
        self._stores: set[str] = set()
        self._arrays: dict[int, Any] = {}
        """What such dicts hold, kept alive: handed on it may be held under another name."""

    def holds(self, mention: Mention, value: Any) -> bool:
        """Whether an array that is called a parameter is none: what holds it keeps an optimizer's state."""
        meaning = mention.meaning
        if meaning is None or meaning.kind not in PARAMETERS or meaning.number in (None, OUT):
            return False
        holder, entry, _ = mention.label.rpartition('["')
        if self._arrays.get(id(value)) is value:
            self._stores |= {holder} if entry else set()
            return True
        if entry and (holder in self._stores or self._begins(meaning, holder, value)):
            self._stores.add(holder)
            self._arrays[id(value)] = value
            return True
        if meaning.kind == "W" and np.any(value):
            self._parameters.setdefault((meaning.kind, meaning.number or 0), holder)
        return False

    def _begins(self, meaning: Meaning, holder: str, value: Any) -> bool:
        """Whether it is a weight of zeros beside one that is not; biases are zero at the beginning anyway."""
        first = self._parameters.get((meaning.kind, meaning.number or 0))
        return meaning.kind == "W" and first not in (None, holder) and not np.any(value)
