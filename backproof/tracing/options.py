"""The options of ``backproof trace`` that the check would refuse: refused before the script is run."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from backproof.errors import BackproofError

LONGEST = 1e8
"""Seconds, three years: timers take no more."""


def checked(options: argparse.Namespace) -> None:
    """Look at everything that can be said before there is a step.

    Raises:
        BackproofError: an option is unusable, or its file cannot be written.
    """
    if options.steps < 1:
        raise BackproofError(f"--steps {options.steps}: at least one step is needed")
    if not 0 < options.timeout <= LONGEST:
        raise BackproofError(f"--timeout {options.timeout:g}: needs a positive number of seconds, up to {LONGEST:g}")
    rate = options.learning_rate
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise BackproofError(f"--learning-rate {rate:g}: needs a positive number")
    _known(options.activations, options.loss)
    if options.json is not None:
        _writable(options.json)


def activations(said: str | None) -> list[str] | None:
    """``relu,softmax`` as a list; None where nothing was said."""
    return None if said is None else [name.strip() for name in said.split(",")]


def _known(said: str | None, loss: str | None) -> None:
    from backproof.network import CHOICES, HIDDEN_ACTIVATIONS, OUTPUT_ACTIVATIONS

    names = activations(said) or []
    for place, name in enumerate(names, 1):
        known = OUTPUT_ACTIVATIONS if place == len(names) else HIDDEN_ACTIVATIONS
        if name not in known:
            raise BackproofError(f"--activations: unknown {name!r} of layer {place}; choose from {', '.join(known)}")
    if loss is not None and loss not in CHOICES["loss"]:
        raise BackproofError(f"--loss: unknown {loss!r}; choose from {', '.join(CHOICES['loss'])}")


def _writable(path: Path) -> None:
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise BackproofError(f"--json {path}: {what}; it needs the path of a file")
