"""Sightings: one array or number under one name at one moment; and what a value holds that is worth one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from backproof.tracing.names import NUMBERS, OUT, Meaning, inside, pair, parse
from backproof.tracing.unpatched import np

LONGEST = 64
"""A longer list or dict is data and not one entry a layer."""
DEEPEST = 3

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Sighting:
    """An array (a copy) or number, what its name means, and where it was made.

    ``scope`` is what holds the name (a call of a function, or an object), ``frame`` the call, ``identity`` the array's
    own, ``family`` the list or dict that numbers it, ``how`` one of statement, argument, held.
    """

    kind: str
    number: int | None
    label: str
    value: Array
    place: str
    order: int
    scope: Hashable
    frame: int
    identity: int
    family: str = ""
    how: str = "statement"
    new: bool = True

    def within(self, *, kind: str, number: int) -> Sighting:
        """The same array as another quantity."""
        return replace(self, kind=kind, number=number)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name at one moment: what it means, where, what holds it; ``in_place`` if its array may have been changed,
    ``picked`` if the statement only takes it from where it was.
    """

    meaning: Meaning | None
    label: str
    place: str
    scope: Hashable
    frame: int
    family: str
    how: str
    in_place: bool
    picked: bool = False

    def sighting(self, meaning: Meaning, value: Array, identity: int) -> Sighting:
        """An array under this name."""
        kind, number = meaning.kind, meaning.number
        return Sighting(
            kind, number, self.label, value, self.place, 0, self.scope, self.frame, identity, self.family, self.how
        )


def is_object(seen: Sighting | Mention) -> bool:
    """Whether an object holds the name, and not a call of a function."""
    return isinstance(seen.scope, tuple) and seen.scope[0] == "object"


@dataclass(frozen=True)
class Found:
    """A value inside a value: its source text, what that means, the list that numbered it."""

    label: str
    meaning: Meaning | None
    value: Any
    family: str = ""


def leaves(label: str, value: Any, mean: Callable[[str], Meaning | None], depth: int = DEEPEST) -> Iterator[Found]:
    """The arrays and numbers in a value: itself, or the entries of dicts, lists and tuples, each with its name.

    ``grads["dW1"]`` means what ``dW1`` does; ``weights[0]`` is number 1 of what ``weights`` means, and in
    ``params[0]["W"]`` the list counts and the entry says what.
    """
    meaning = mean(label)
    if is_array(value) or (meaning and meaning.kind in NUMBERS and is_number(value, meaning.kind)):
        yield Found(label, meaning, value)
    elif depth and (entries := _entries(value)):
        kinds = pair(label.rpartition(".")[2])
        for key, entry in entries:
            if kinds and isinstance(key, int) and _is_pair(entry):
                for place, (kind, part) in enumerate(zip(kinds, entry, strict=True)):
                    yield Found(f"{label}[{key}][{place}]", Meaning(kind, key + 1), part, f"{label}[]")
                continue
            inner = f"{label}[{key!r}]".replace("'", '"')
            for found in leaves(inner, entry, mean, depth - 1):
                counted = type(key) is int and found.label == inner and not _is_one(meaning)
                own = found.meaning or (meaning if counted else None)
                if own is not None and isinstance(key, int) and own.number in (None, OUT):
                    yield Found(found.label, Meaning(own.kind, key + 1), found.value, f"{label}[]")
                else:
                    yield Found(found.label, own, found.value, found.family)


def _is_one(meaning: Meaning | None) -> bool:
    """Whether a name has a layer's number: what it holds several arrays of is something else (``q["W1"] = m, v``)."""
    return meaning is not None and meaning.number not in (None, OUT)


def _entries(value: Any) -> list[tuple[str | int, Any]]:
    array = type(value) is np.ndarray and value.dtype == object and value.ndim == 1
    if not (array or isinstance(value, dict) or type(value) in (list, tuple)) or len(value) > LONGEST:
        return []
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    return [(key, entry) for key, entry in pairs if type(key) in (str, int)]


def _is_pair(entry: Any) -> bool:
    """A weight and a bias, as tuple or list."""
    return type(entry) in (tuple, list) and len(entry) == 2 and all(map(is_array, entry)) and entry[0].ndim == 2


def is_array(value: Any) -> bool:
    """A NumPy array of numbers; a matrix and other subclasses too."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.size > 0


def copied(value: Any) -> Array:
    """A copy that nobody changes."""
    copy: Array = np.array(value, copy=True)
    copy.flags.writeable = False
    return copy


def same(first: Array, second: Any) -> bool:
    """Whether two arrays hold the same, NaN for NaN."""
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def is_number(value: Any, kind: str = "") -> bool:
    """A float: neither a bool nor a count, unless it is a label."""
    if kind == "Y" and type(value) is int:
        return True
    return isinstance(value, float | np.floating) or (isinstance(value, np.ndarray) and value.ndim == 0)


def meaning_of(label: str) -> Meaning | None:
    """What a name means as its source text stands: ``self.W1``, ``grads["dW1"]``, ``layer.weights``, ``z``."""
    if label.endswith('"]'):
        container, _, entry = label[:-2].rpartition('["')
        meaning = parse(entry)
        return meaning and inside(container.partition("[")[0].rpartition(".")[2], meaning)
    last = label.rpartition(".")[2]
    return parse(last) if last.isidentifier() else None
