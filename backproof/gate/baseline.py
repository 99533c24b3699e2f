"""``baseline.json``: what was accepted, when, why, and where it was measured.

A check is one line of the file, ``"equation": [fraction, verdict, covered, of, elements]``, so that a review sees
what moved. The file holds the CRC-32 of itself. That is no lock: it tells an edit or a merge by hand from what a run
left.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backproof import __version__
from backproof.evidence import Json
from backproof.files import replace_file, writing
from backproof.gate.facts import CHECKS, Facts, Key, Used, layer_number, made, sound
from backproof.gate.json_file import At, load
from backproof.report.store import compact

SCHEMA = 1
KIND = "backproof baseline"
ACCEPT = "'backproof gate --update-baseline --reason TEXT'"
REMEDY = f"restore it, or remove it and accept a run with {ACCEPT}"
COLUMNS = ("fraction", "verdict", "covered", "of", "elements")
DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Baseline:
    """What an earlier run used, and why that was accepted.

    Attributes:
        date: ``YYYY-MM-DD``, UTC.
    """

    facts: Facts
    reason: str
    date: str


def read(path: Path) -> Baseline:
    """A baseline.

    Raises:
        BackproofError: when it is missing, too large, not JSON, no baseline, of another schema, changed after it was
            written, or holds anything of a wrong type.
    """
    whole = load(path, REMEDY, f"accept a run with {ACCEPT}")
    if whole.value.get("kind") != KIND:
        whole.refuse("no baseline of 'backproof gate'")
    if whole.value.get("schema") != SCHEMA:
        whole.refuse(f"not schema {SCHEMA}")
    if whole.key("columns").value != list(COLUMNS):
        whole.refuse(f"its columns are not {', '.join(COLUMNS)}")
    date, reason = whole.key("date"), whole.key("reason")
    if not DATE.fullmatch(date.text()):
        date.refuse("no date like 2026-01-31")
    entries: dict[Key, Used] = {}
    for network, facts in whole.key("networks").items():
        for name, run in facts.key("implementations").items():
            entries[Key(network, name)] = _used(run.key("run"))
            entries |= _layers(Key(network, name), run.key("layers"))
    found = Baseline(made(whole, entries, {}), reason.text(), date.text())
    # Last, so that a wrong type is said as one.
    if whole.value.get("crc32") != _crc(whole.value):
        whole.refuse("changed by hand after it was written, or by a merge")
    return found


def _layers(run: Key, layers: At) -> dict[Key, Used]:
    return {
        run._replace(layer=layer_number(number, layer), quantity=quantity, check=check): _used(checks.key(check))
        for number, layer in layers.items()
        for quantity, checks in layer.items()
        for check in CHECKS
        if check in checks.mapping()
    }


def _used(row: At) -> Used:
    fraction, verdict, covered, of, elements = row.array(len(COLUMNS))
    return sound(row, fraction, verdict, covered, of, elements.count())


def write(path: Path, facts: Facts, reason: str, date: str) -> None:
    """Keep the facts of a run, in place of what was kept before.

    Raises:
        BackproofError: when the file cannot be written.
    """
    content = _content(facts, reason, date)
    with writing(path.parent):
        replace_file(path, compact({**content, "crc32": _crc(content)}))


def _content(facts: Facts, reason: str, date: str) -> Json:
    networks: dict[str, Any] = {name: {**is_, "implementations": {}} for name, is_ in facts.networks.items()}
    for key, used in sorted(facts.entries.items()):
        runs = networks[key.network]["implementations"]
        run = runs.setdefault(key.implementation, {"layers": {}})
        if key.layer:
            layer = run["layers"].setdefault(str(key.layer), {})
            layer.setdefault(key.quantity, {})[key.check] = _row(used)
        else:
            run["run"] = _row(used)
    return {
        "kind": KIND, "schema": SCHEMA, "backproof": __version__, "columns": list(COLUMNS), "reason": reason,
        "date": date, "project": facts.project, "settings": facts.settings, "environment": facts.environment,
        "networks": networks,
    }  # fmt: skip


def _row(used: Used) -> list[Any]:
    fraction = used.fraction if math.isfinite(used.fraction) else None
    return [fraction, used.verdict.word, used.covered, used.of, used.elements]


def _crc(content: Mapping[str, Any]) -> int:
    own = {key: value for key, value in content.items() if key != "crc32"}
    return zlib.crc32(json.dumps(own, sort_keys=True).encode())
