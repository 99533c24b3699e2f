"""Every mistake of the list by its id: where it is planted, or why it is not."""

from __future__ import annotations

from tests.faults import FAULTS, optimizer, two_runs

IDS: tuple[str, ...] = (
    *(f"F{n}" for n in range(1, 22, 2)), *(f"L{n}" for n in range(1, 24, 2)), *(f"O{n}" for n in range(1, 18, 2)),
    *(f"H{n}" for n in range(1, 24, 2)), *(f"W{n}" for n in range(1, 14, 2)), *(f"B{n}" for n in range(1, 14, 2)),
    *(f"U{n}" for n in range(1, 24, 2)), *(f"D{n}" for n in range(1, 14, 2)), *(f"I{n}" for n in range(1, 12, 2)),
    *(f"P{n}" for n in range(1, 14, 2)), *(f"R{n}" for n in range(1, 12, 2)), *(f"S{n}" for n in range(1, 20, 2)),
    *(f"V{n}" for n in range(1, 11)),
)  # fmt: skip
"""Of the list of mistakes that people make: forward, loss, output delta, hidden delta, weight and bias gradient,
update, data, initialisation, precision, randomness, frameworks, verification."""

NOT_PLANTED: dict[str, str] = {
    "D11": "argmax over the wrong axis: a metric; no equation of the step reads it",
    "I11": "LayerNorm's positional argument: no normalisation in a dense network",
    "P13": "where() around a root: no equation of a dense network has a root of its inputs",
    "R9": "mean of batch means: an epoch's loss is no quantity of a step",
    "S5": "the derivative of abs and hardtanh at the kink: no such activation here",
    "S7": "GELU's default: no such activation here",
    "S9": "ELU's α: no such activation here",
    "S13": "running variance: no batch normalisation here",
    **dict.fromkeys(
        (f"V{n}" for n in range(1, 11)),
        "not a mistake of a network but of a test; every fault is planted at unequal widths, several outputs, a batch "
        "that is no width, non-zero biases, inactive units and, where a state shows it, several steps",
    ),
}
"""Id -> why it cannot occur, or shows in nothing that is recorded."""


def places() -> dict[str, list[str]]:
    """Id -> the tables that it stands in; a letter behind the number makes another form of the same mistake."""
    found: dict[str, list[str]] = {}
    for where, faults in (("one step", FAULTS), ("optimizer", optimizer.FAULTS), ("two runs", two_runs.FAULTS)):
        for fault in faults:
            if name := fault.id.rstrip("abc"):
                tables = found.setdefault(name, [])
                tables += [where] * (where not in tables)
    return found
