"""Weight decay: added where it was not asked for, missing or of another size where it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case
from backproof.diagnosis.constants import combination, recognise, recognised

Array = NDArray[Any]
Found = tuple[str, str, Array, int, dict[str, float]]


def decayed(case: Case, bare: Array) -> Array:
    """A gradient with the decay that the network has, from one without."""
    known = case.context.weight_decay
    if not known or not case.target.startswith("dW"):
        return bare
    return np.asarray(bare + known * case.cut(case[f"W{case.layer}"]))


def found(case: Case, bare: Array) -> Iterator[Found]:
    """``recorded = k bare + c W`` (or b), k being 1 or a constant that the problem has."""
    kind = case.target[:2]
    if kind not in ("dW", "db") or case.target.endswith("_next"):
        return
    name = f"{kind[1]}{case.layer}"
    parameter, known = case.get(name), case.context.weight_decay if kind == "dW" else 0.0
    if parameter is None:
        return  # a bias that was not given
    parameter = case.cut(parameter)
    fitted = combination(case.recorded, bare, parameter)
    if fitted is None or bare.size <= 2:
        return
    factor, decay = map(float, fitted)
    constant = (1.0, "1") if abs(factor - 1) < 1e-4 else recognised(factor, case, 1e-4)
    if constant is None:
        return
    result = constant[0] * bare
    # The constant is now exact: fit what is left once more.
    decay = float(np.vdot(case.recorded - result, parameter) / np.vdot(parameter, parameter))
    also = f"; the gradient is {constant[1]} times what it should be" if constant[0] != 1 else ""
    more = constant[0] != 1
    names = ("factor" + " + ") * more
    if known and abs(decay) <= 1e-4 * known:
        yield f"{names}weight-decay-missing", f"λ·{name} is missing (λ = {known:.6g}){also}", result, more, {"λ": known}
    elif known:
        word = f"{recognise(decay / known, case)[1]} times λ"
        text = f"{word}·{name} is added where λ·{name} belongs: {decay:.4g} and not {known:.4g}{also}"
        numbers = {"λ": known, "found": decay}
        yield f"{names}weight-decay-scaled", text, result + decay * parameter, 1 + more, numbers
    elif decay:
        what = "weight decay on the bias" if kind == "db" else "L2 weight decay"
        text = f"{decay:.4g}·{name} is added to {case.target} ({what}){also}"
        yield f"{names}weight-decay", text, result + decay * parameter, 1 + more, {"λ": decay}
