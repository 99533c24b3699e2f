"""Where a page lies and how another one links to it: in a folder of pages, or in a single file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import dirname, relpath

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
"""Names that are a folder's as they stand. Any other, whatever it holds, is replaced by a number."""


@dataclass(frozen=True)
class Address:
    """One page.

    Attributes:
        path: below the report's folder, with slashes.
        anchor: what its identifiers begin with in a single file.
    """

    path: str
    anchor: str


INDEX = Address("index.html", "index")
TRAJECTORY = Address("trajectory.html", "trajectory")


def folder_names(networks: list[str]) -> dict[str, str]:
    """Network -> its folder's name: its own, or ``network.3`` (a dot is in no plain name) where that is none."""
    return {name: name if PLAIN.fullmatch(name) else f"network.{n}" for n, name in enumerate(networks, 1)}


def layer_address(folder: str, number: int) -> Address:
    """The page of one layer."""
    return Address(f"networks/{folder}/layer-{number}.html", f"{folder}.layer-{number}")


@dataclass(frozen=True)
class Links:
    """Links and identifiers as one page writes them; the same call works in a folder and in a single file."""

    here: Address
    single: bool

    def to(self, page: Address, fragment: str = "") -> str:
        """The target of a link to a page, or to what is called ``fragment`` in it."""
        if self.single:
            return f"#{self._full(page, fragment)}"
        path = "" if page == self.here and fragment else relpath(page.path, dirname(self.here.path) or ".")
        return f"{path}#{fragment}" if fragment else path

    def identifier(self, fragment: str = "") -> str:
        """The ``id`` of a part of this page; of the page itself without one."""
        return self._full(self.here, fragment) if self.single or not fragment else fragment

    @staticmethod
    def _full(page: Address, fragment: str) -> str:
        return f"{page.anchor}.{fragment}" if fragment else page.anchor
