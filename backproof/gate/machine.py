"""The judgement as JSON, for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from backproof.evidence import Json, significant
from backproof.gate.change import Change
from backproof.gate.facts import Facts, Used
from backproof.gate.judge import FEW, FLOOR, GROWTH, GROWTH_ELSEWHERE, Judgement

SCHEMA = 1


def document(found: Judgement, before: Facts, after: Facts) -> bytes:
    """Sorted keys; the same judgement gives the same bytes."""
    content = {
        "schema": SCHEMA,
        "kind": "backproof gate",
        "open": not found.failures,
        "checks": found.checks,
        "limits": {"growth": GROWTH, "growth_elsewhere": GROWTH_ELSEWHERE, "floor": FLOOR, "few": FEW},
        "baseline": str(before.path),
        "summary": str(after.path),
        "notes": list(found.notes),
        "changes": [_change(change) for change in found.changes],
    }
    # ASCII: whatever stands in a name, a terminal that prints the file does nothing.
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"


def _change(change: Change) -> Json:
    key = change.key
    return {
        "kind": change.kind.word, "fails": change.kind.fails, "network": key.network,
        "implementation": key.implementation, "layer": key.layer, "quantity": key.quantity, "check": key.check,
        "before": _used(change.before), "after": _used(change.after),
        "growth": significant(change.growth) if change.before else None,
        "finding": change.finding.text if change.finding else None,
    }  # fmt: skip


def _used(used: Used | None) -> dict[str, Any] | None:
    if used is None:
        return None
    fraction = used.fraction if math.isfinite(used.fraction) else None
    return {**used._asdict(), "verdict": used.verdict.word, "fraction": fraction}
