"""Strings of somebody's file as a terminal, an XML file or a log may show them."""

from __future__ import annotations

LONGEST = 160
"""Characters of one string that are shown."""


def shown(value: object, longest: int = LONGEST) -> str:
    """One line without anything that acts: control characters, line ends, bidirectional marks and halves of surrogate
    pairs are written as escapes, ``##[`` (a command to GitHub's runner) too, and what is too long is cut.
    """
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))
    text = text.replace("##[", "\\x23#[")
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
