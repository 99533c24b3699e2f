"""The penalty ``λ/2 Σ W²`` of the loss: missing, of another size, or there unasked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import written
from backproof.rounding import BUDGET


def squares(case: Case, kinds: str = "W") -> float | None:
    """``Σ W²`` over all layers (with the biases for ``Wb``); None where a parameter is not there."""
    names = [f"{kind}{n}" for n in range(1, case.network.depth + 1) for kind in kinds]
    arrays = [case.get(name) for name in names]
    return None if any(a is None for a in arrays) else sum(float(np.vdot(a, a)) for a in arrays if a is not None)


def right(case: Case) -> float:
    """The penalty that the network has."""
    known = case.context.weight_decay
    return known / 2 * (squares(case) or 0.0) if known else 0.0


def candidates(case: Case, terms: float) -> Iterator[Candidate]:
    """Of the right data term, whose sum is given."""
    data, known, total = terms / case.context.divisor, case.context.weight_decay, squares(case)
    if total is None:
        return
    if known:
        missing = f"the penalty λ/2 Σ W² is missing from the loss (λ = {known:.6g})"
        yield Candidate("penalty-missing", missing, np.asarray(data), numbers={"λ": known})
        for word, factor in (("λ Σ W²", 2.0), ("λ/(2m) Σ W²", 1 / case.m), ("λ/m Σ W²", 2 / case.m)):
            value = data + factor * known / 2 * total
            yield Candidate("penalty-scaled", f"the penalty is {word}, not λ/2 Σ W²", np.asarray(value))
        return
    yield from _added(case, data)


def _added(case: Case, data: float) -> Iterator[Candidate]:
    """One number explains one number: λ must be one that somebody writes down."""
    gap, noise = float(case.recorded) - data, BUDGET * float(case.unit)
    for kinds, what in (("W", "Σ W²"), ("Wb", "Σ (W² + b²)")):
        total = squares(case, kinds)
        for word, part in (("λ/2", 0.5), ("λ", 1.0), ("λ/(2m)", 0.5 / case.m), ("λ/m", 1 / case.m)):
            if total and gap > noise:
                decay = written((gap - noise) / (part * total), (gap + noise) / (part * total), tries=8)
                if decay is not None:
                    text = f"{word} {what} with λ = {decay:.4g} is added to the loss"
                    value = np.asarray(data + decay * part * total)
                    yield Candidate("regularised", text, value, free=1, numbers={"λ": decay})
