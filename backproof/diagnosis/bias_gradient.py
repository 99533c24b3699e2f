"""Mistakes of ``db``; a wrong constant (a mean for a sum) is found as one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import combination, recognise


def candidates(case: Case) -> Iterator[Candidate]:
    """Of ``db_l = Σ dZ_l over the samples``."""
    n, db = case.layer, case.equation.target
    dZ, b = case[f"dZ{n}"], case[f"b{n}"]
    yield Candidate(
        "summed-over-everything",
        f"{db} is summed over units and samples: one number for all units",
        np.full_like(case.exact, dZ.sum()),
    )
    yield Candidate(
        "averaged-over-units",
        f"{db} is averaged over the units: one number for all of them",
        np.full_like(case.exact, case.exact.mean()),
    )
    if dZ.shape[0] == dZ.shape[1]:
        yield Candidate("wrong-axis", f"{db} is summed over the units, not the samples", dZ.sum(axis=0)[:, None])
    for word, keep in (("first", 0), ("last", -1)):
        yield Candidate("one-sample", f"{db} is the {word} sample's delta alone", dZ[:, [keep]])
        yield Candidate("sample-dropped", f"the {word} sample is left out of {db}", case.exact - dZ[:, [keep]])
    for name in (f"{kind}{k}" for k in range(1, case.network.depth + 1) for kind in ("dA", "dZ", "A", "Z")):
        array = case.get(name)
        if name != f"dZ{n}" and array is not None and array.shape == dZ.shape:
            kind = "delta-before-mask" if name == f"dA{n}" else "delta-of-another-layer"
            yield Candidate(kind, f"{name} stands for dZ{n}: {db} = Σ {name}", array.sum(axis=1, keepdims=True))
    dW = case.get(f"dW{n}")
    if dW is not None:
        yield Candidate("from-weight-gradient", f"{db} is the row sum of dW{n}", dW.sum(axis=1, keepdims=True))
    fitted = combination(case.recorded, case.exact, b) if len(b) > 2 else None
    if fitted is not None and abs(fitted[0] - 1) < 1e-4:
        decay, name = recognise(float(fitted[1]), case)
        yield Candidate(
            "weight-decay", f"{name} times b{n} is added: weight decay on the bias", case.exact + decay * b, free=1
        )
    yield Candidate("zero", f"{db} is zero", np.zeros_like(case.exact))
