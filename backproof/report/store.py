"""The evidence of a ``verify`` on disk: ``summary.json`` and one ``<network>/layer-<n>.json`` for each layer.

The summary is taken away first and written last, so what an interrupted run leaves never reads as complete.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backproof.errors import BackproofError
from backproof.evidence import SCHEMA, Json
from backproof.files import has_keys, replace_file, writing
from backproof.network import Network

SUMMARY = "summary.json"
INDEX = "README.md"
MOST_BYTES = 64 * 2**20
MOST_VALUES = 4_000_000
"""Commas in a file of evidence; a default run's summary has 17,000, that of 1,000 layers in three implementations fewer
than a million."""
TITLE = "# Reports\n"
"""The first line of every index: what tells it from a README.md of the user's own."""


def clear(folder: Path) -> list[str]:
    """Remove the reports of an earlier run, and only those; returns the networks that they were of.

    Raises:
        BackproofError: when the folder cannot be written, or holds a README.md that is not an index of reports
            or a summary.json that is not one of theirs. Nothing is removed then.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass  # a folder that takes no files is found out before anything is removed
        if (folder / INDEX).exists() and not (folder / INDEX).read_bytes().startswith(TITLE.encode()):
            raise BackproofError(
                f"{folder / INDEX} is no report of 'backproof verify'; choose another folder, or move it"
            )
        if (folder / SUMMARY).exists() and not has_keys(folder / SUMMARY, "schema", "backproof"):
            raise BackproofError(
                f"{folder / SUMMARY} is no summary of 'backproof verify'; choose another folder, or move it"
            )
        evidence = [path for path in folder.glob("*/layer-*.json") if _is_evidence(path)]
        for path in [folder / SUMMARY, folder / INDEX]:
            path.unlink(missing_ok=True)
        for path in evidence:
            path.unlink()
            path.with_suffix(".md").unlink(missing_ok=True)
        networks = sorted({path.parent for path in evidence})
        for network in networks:
            if not any(network.iterdir()):
                network.rmdir()
        return [network.name for network in networks]


def _is_evidence(path: Path) -> bool:
    """Whether the file itself says that it is a layer's evidence: an interrupted run left no summary that could."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, IsADirectoryError):
        return False
    if not isinstance(content, dict) or not isinstance(content.get("layer"), int):
        return False
    return (content.get("network"), f"layer-{content['layer']}.json") == (path.parent.name, path.name)


def write_layers(folder: Path, network: str, facts: Mapping[str, Any]) -> None:
    """Write the evidence of every layer of one network."""
    with writing(folder):
        (folder / network).mkdir(parents=True, exist_ok=True)
        for number, layer in facts["layers"].items():
            content = {"schema": SCHEMA, "network": network, "layer": int(number), **layer}
            replace_file(folder / network / f"layer-{number}.json", compact(content))


def write_summary(folder: Path, summary: Json) -> None:
    """Write ``summary.json``; the last file of a run."""
    text = json.dumps(summary, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    with writing(folder):
        replace_file(folder / SUMMARY, text.encode() + b"\n")


def read(folder: Path) -> tuple[Json, dict[str, dict[int, Json]]]:
    """The summary, and the layers of each network.

    Raises:
        BackproofError: when something is missing, cannot be read, or has another schema.
    """
    if not (folder / SUMMARY).is_file():
        raise BackproofError(
            f"{folder / SUMMARY} is missing: no finished verify has written there; run 'backproof verify'"
        )
    summary = _load(folder / SUMMARY)
    layers = {}
    for name, facts in summary["networks"].items():
        network = Network.from_dict(facts["specification"])
        if network.name != name:
            raise BackproofError(
                f"{folder / SUMMARY}: network {name!r} has the specification of {network.name!r}; "
                "run 'backproof verify' again"
            )
        layers[name] = {
            number: _layer(folder / name / f"layer-{number}.json") for number in range(1, network.depth + 1)
        }
    return summary, layers


def _layer(path: Path) -> Json:
    content = _load(path)
    if not _is_evidence(path):
        raise BackproofError(f"{path} is the evidence of another layer; run 'backproof verify' again")
    return content


def _load(path: Path) -> Json:
    content = _parsed(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BackproofError(f"{path}: not schema {SCHEMA}; run 'backproof verify' again with this version")
    return content


def _parsed(path: Path) -> Any:
    """JSON that somebody else may have written: limited before it is parsed, whatever it holds."""
    try:
        if not path.is_file():
            path.stat()
            raise BackproofError(f"{path} is no regular file; run 'backproof verify' again")
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BackproofError(f"{path}: {error.strerror}; run 'backproof verify' again") from error
    if len(raw) > MOST_BYTES or raw.count(b",") > MOST_VALUES:
        limits = f"{MOST_BYTES >> 20} MiB or {MOST_VALUES:,} values"
        raise BackproofError(f"{path} is larger than {limits}, no summary is; run 'backproof verify' again")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BackproofError(f"{path} is not valid JSON ({error}); run 'backproof verify' again") from error


def compact(content: Json) -> bytes:
    """JSON with sorted keys, one line for each array, so that a diff shows what moved."""
    marks: list[str] = []

    def mark(value: Any) -> Any:
        if isinstance(value, list):
            marks.append(json.dumps(value, sort_keys=True, allow_nan=False))
            return f"\0{len(marks) - 1}"
        return {key: mark(item) for key, item in value.items()} if isinstance(value, dict) else value

    text = json.dumps(mark(content), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r'"\\u0000(\d+)"', lambda found: marks[int(found[1])], text).encode() + b"\n"
