"""What may have happened to a result after it was computed, whatever it was: a constant, a decay, dropout.

Each of these is one mistake more beside the one that a family proposes; of the right value it is the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import decay, dropout
from backproof.diagnosis.candidate import Case
from backproof.diagnosis.constants import ratio, recognise, recognised

Array = NDArray[Any]

DISTINCT = 8
"""Elements from which a constant without a name is believed: one number is always some multiple of another."""
FEW = 3
"""Elements from which a named constant is believed beside another mistake."""
OWN = ("low-precision-operands", "low-precision-result", "held-in-float32", "epsilon", "regularised", "other-bias",
       "bias-not-given", "no-gradient", "learning-rate", "weight-decay")  # fmt: skip
"""Mistakes whose constants are fitted already."""


@dataclass(frozen=True)
class Closing:
    """What was done to a result.

    Attributes:
        name: empty where nothing was.
        array: what came of it.
        free: constants that were fitted for it.
        factor: the constant that it was multiplied with.
    """

    name: str
    text: str
    array: Array
    free: int = 0
    factor: float = 1.0
    numbers: Mapping[str, float] = field(default_factory=dict)


def closings(case: Case, array: Array, mistake: str) -> Iterator[Closing]:
    """Nothing, a factor, a weight decay, dropout; the likelier first."""
    target, alone = case.target, not mistake
    if case.context.weight_decay and target.startswith("dW"):
        bare = array - case.context.weight_decay * case.cut(case[f"W{case.layer}"]) if alone else array
    else:
        bare = array
    if not alone:
        yield Closing("", "", decay.decayed(case, bare))
    if target.endswith("_next") or mistake in OWN:
        return
    yield from _factor(case, decay.decayed(case, bare), alone)
    if case.exact.size >= FEW:
        for name, text, result, free, numbers in (*decay.found(case, bare), *dropout.found(case, bare)):
            yield Closing(name, text, result, free + (not alone), numbers=numbers)


def _factor(case: Case, array: Array, alone: bool) -> Iterator[Closing]:
    fitted = ratio(case.recorded, array)
    if fitted is None or fitted == 0 or not np.isfinite(fitted):
        return
    named = recognised(fitted, case)
    size = case.exact.size
    if (alone and (named or size >= DISTINCT)) or (named and size >= FEW):
        constant, word = named or recognise(fitted, case)
        flipped = constant == -1
        name = "sign-flipped" if flipped else "factor"
        if alone:
            text = (
                f"{case.target} has the wrong sign" if flipped else f"{case.target} is {word} times what it should be"
            )
        else:
            text = "and the result has the wrong sign" if flipped else f"and the result is {word} times that"
        yield Closing(
            name, text, constant * array, int(not flipped) + (not alone) * flipped, constant, {"factor": constant}
        )
