"""Arrays whose names mean nothing here: kept for a while, because by value they may be a quantity."""

from __future__ import annotations

from typing import Any

from backproof.tracing.sightings import Mention, Sighting, copied, same

LARGEST = 1 << 22
"""Elements of an array that is kept: a whole data set under a strange name is not copied."""
MOST = 96
"""Arrays that are kept, the last."""
UNKNOWN = "?"
"""The kind of a sighting whose name means nothing."""


class Strangers:
    """The last arrays of unknown names, each as it was when it was made; ``seen`` are their sightings, in order."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Any, Sighting]] = {}
        self._versions: list[Sighting] = []

    @property
    def seen(self) -> list[Sighting]:
        """All that are kept, in the order in which they were made."""
        return list(self._versions)

    def see(self, mention: Mention, value: Any, order: int) -> None:
        """Keep an array of floats, if it is new or was changed in place."""
        if value.dtype.kind != "f" or value.ndim not in (1, 2) or value.size > LARGEST:
            return
        live, latest = self._kept.get(id(value), (None, None))
        if latest is not None and live is value and same(latest.value, value):
            return
        scope, frame, family = mention.scope, mention.frame, mention.family
        made = Sighting(
            UNKNOWN,
            None,
            mention.label,
            copied(value),
            mention.place,
            order,
            scope,
            frame,
            id(value),
            family,
            "statement",
        )
        self._kept[id(value)] = value, made
        self._versions.append(made)
        if len(self._versions) > 2 * MOST:
            self._shorten()

    def forget(self) -> None:
        """A pass has ended: only the last are kept on."""
        self._shorten()

    def _shorten(self) -> None:
        """The last arrays, and of each name the last: a parameter is made once and used for long."""
        latest = {(s.label, s.scope if "." in s.label else None): s for s in self._versions}
        keep = {id(s) for s in (*list(latest.values())[-MOST:], *self._versions[-MOST // 2 :])}
        self._versions = [s for s in self._versions if id(s) in keep]
        present = {s.identity for s in self._versions}
        self._kept = {key: kept for key, kept in self._kept.items() if key in present}
