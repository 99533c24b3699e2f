"""Equations as MathML, from the text that the evidence has: ``dZ2 = dA2 ⊙ relu′(Z2)``.

The symbols are those of the handwritten notes, layers as lower indices: dZ₂ stands for ∂loss/∂Z of layer 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from backproof.shown import shown

TOKEN = re.compile(r"\s*(?:(?P<mark>[ᵀ²′])|(?P<name>[^\W\d_][A-Za-z0-9_]*)|(?P<number>\d+(?:\.\d+)?)|(?P<operator>\S))")
QUANTITY = re.compile(r"(d?)([WAZbXY])(\d*)(_next)?", re.ASCII)
MARKS = {"ᵀ": "<mi mathvariant='normal'>T</mi>", "²": "<mn>2</mn>", "′": "<mo>′</mo>"}
WORDS = ("over", "samples")
LONGEST = 400
"""Characters of an equation; those of a network have fewer than 100."""


def equation(text: str, block: bool = False) -> str:
    """``<math>`` whose alternative text is ``text``; whatever ``text`` holds, it stays text."""
    text, parts = shown(text, LONGEST), list[str]()
    for part, raises in _parts(text):
        if raises and parts:
            parts[-1] = f"<msup>{parts[-1]}{part}</msup>"
        else:
            parts.append(part)
    display = ' display="block"' if block else ""
    return f'<math{display} alttext="{escape(text)}"><mrow>{"".join(parts)}</mrow></math>'


def quantity(name: str) -> str:
    """One quantity alone: ``dW3``."""
    return equation(name)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Each symbol, and whether it stands raised behind the one before it."""
    for found in TOKEN.finditer(text):
        kind, token = found.lastgroup, str(found[found.lastgroup or 0])
        if kind == "mark":
            yield MARKS[token], True
        elif kind == "number":
            yield f"<mn>{token}</mn>", False
        elif kind == "operator":
            yield f"<mo>{escape(token)}</mo>", False
        else:
            yield _name(token), False


def _name(token: str) -> str:
    found = QUANTITY.fullmatch(token)
    if not found:
        # Letters apart from what stands beside them, in the upright type of function names.
        space = "<mspace width='.25em'/>" if token in WORDS else ""
        return f"{space}<mi mathvariant='normal'>{escape(token.replace('_', ' '))}</mi>"
    differential, letter, layer, after = found.groups()
    symbol = f"<mi>{letter}</mi>"
    if differential:
        symbol = f"<mrow><mi mathvariant='normal'>d</mi>{symbol}</mrow>"
    if after:
        return f"<msubsup>{symbol}<mn>{layer}</mn><mi mathvariant='normal'>next</mi></msubsup>"
    return f"<msub>{symbol}<mn>{layer}</mn></msub>" if layer else symbol
