"""Parameters that were recorded too late: an update in place, or a copy without depth, left those after it.

Every equation that reads them then fails, though the network is right: Z and dA were made of the parameters before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import ratio
from backproof.equations import Elementwise, equations

Array = NDArray[Any]

NAME = "parameters-overwritten"
WHY = "changed in place, or copied without depth"


def candidates(case: Case, below: Array, *names: str) -> Iterator[Candidate]:
    """Of ``W A + b`` or ``Wᵀ dZ``: what it gives with what the update took away put back.

    Args:
        below: what W is multiplied with.
        names: W, and b where it is added.
    """
    transposed = case.target.startswith("dA")
    steps = [step_of(case, name) for name in names]
    text = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} recorded as after the update ({WHY})"
    if all(step is not None for step in steps):
        yield Candidate(NAME, text, case.exact + _made(below, transposed, *steps))
    # The learning rate may not be known.
    gradients = [case.get(f"d{name}") for name in names]
    if any(g is None or g.shape != case[name].shape for g, name in zip(gradients, names, strict=True)):
        return
    made = _made(below, transposed, *gradients)
    alpha = ratio(case.recorded - case.exact, made)
    if alpha and alpha > 0:
        said = f"{text}: {case.target} holds {alpha:.6g} times their gradients more"
        yield Candidate(NAME, said, case.exact + alpha * made, free=1, numbers={"learning rate": alpha})


def _made(below: Array, transposed: bool, W: Any, b: Any = 0.0) -> Array:
    return np.asarray((W.T if transposed else W) @ below + b)


def step_of(case: Case, name: str) -> Array | None:
    """What the update took from a parameter that was recorded as it left it; None where it was not.

    A decay is taken of the parameter after the update, for that before it is not known.
    """
    W, after = case.get(name), case.get(f"{name}_next")
    if W is None or after is None or not np.array_equal(W, after):
        return None
    rule = next(e.rule for e in equations(case.network) if e.target == f"{name}_next")
    if not isinstance(rule, Elementwise) or not all(map(case.operands.has, rule.operands)):
        return None
    formula = elementwise.FORMULAS[rule.formula]
    return np.asarray(W - formula(W, case.context, *map(case.operands.wide, rule.operands)).exact)


def unchanged(case: Case, name: str, W: Array) -> Candidate:
    """``W_next = W``: the parameter was not updated, or was overwritten by its update before it was recorded."""
    if _made_of_others(case):
        return Candidate(NAME, f"{name} is {name}_next: it is recorded as after the update ({WHY})", W)
    return Candidate("not-updated", f"{name} is not updated", W)


def _made_of_others(case: Case) -> bool:
    """Whether the layer's Z is nearer to what the parameters before the update would have given."""
    n = case.layer
    Z, A, W, b = (case.get(name) for name in (f"Z{n}", case.below, f"W{n}", f"b{n}"))
    w, bias = (step_of(case, name) for name in (f"W{n}", f"b{n}"))
    if Z is None or A is None or W is None or b is None or w is None or bias is None:
        return False
    off = Z - (W @ A + b)
    return bool(np.linalg.norm(off - (w @ A + bias)) < np.linalg.norm(off))
