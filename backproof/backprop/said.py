"""What the caller of ``check_backprop`` says besides the arrays: refused where it is of a wrong kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backproof.backprop.given import Given
from backproof.errors import BackproofError


def numbers(**said: Any) -> None:
    """Refuse what is no number; the network's specification refuses numbers out of range."""
    for name, value in said.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | np.number)):
            raise BackproofError(f"{name} must be a number, not {_short(value)}")
    if said["learning_rate"] is not None and not said["learning_rate"] > 0:
        raise BackproofError(f"learning_rate must be positive, not {said['learning_rate']}")


def names(**said: Any) -> None:
    """Refuse what is no name; which names are known is asked where they are used."""
    for name, value in said.items():
        if value is not None and not isinstance(value, str):
            raise BackproofError(f"{name} must be a name, not {_short(value)}")


def truth(**said: Any) -> None:
    """Refuse what is neither True nor False."""
    for name, value in said.items():
        if value is not None and not isinstance(value, bool | np.bool_):
            raise BackproofError(f"{name} must be True or False, not {_short(value)}")


def places(value: Any) -> dict[str, str]:
    """Key -> place; empty where nothing was said."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise BackproofError(f"places must be a dict like {{'dZ1': 'layers.py:42'}}, not {_short(value)}")
    return dict(value)


def previous(value: Any) -> Mapping[str, Any]:
    """The arrays of the step before; empty where nothing was said."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BackproofError(f"previous must be a dict like {{'dW1': dW1, ...}}, not a {type(value).__name__}")
    return value


def labels(step: Given, output: str, loss: str | None) -> None:
    """Refuse zeros and ones that softmax with cross-entropy cannot have: none or several ones for a sample."""
    joint = loss == "cross_entropy" or (loss is None and output == "softmax")
    if not joint or step.labels != "binary" or step.orientation.sizes[-1] == 1:
        return
    ones = step.recorded["Y"].sum(axis=0)
    sample = int(np.argmax(ones != 1))
    several = f"{int(ones[sample])} ones" if ones[sample] else "no one"
    raise BackproofError(
        f"Y is not one-hot: sample {sample} has {several}, softmax with cross-entropy needs one for each sample; "
        "say the loss if another is meant"
    )


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
