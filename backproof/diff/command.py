"""``backproof diff``: two recordings, or two summaries."""

from __future__ import annotations

from pathlib import Path

from backproof.diff import recordings, summaries
from backproof.errors import BackproofError
from backproof.recording import Recording
from backproof.recording.layout import MANIFEST
from backproof.report.store import SUMMARY
from backproof.shown import shown


def run(old: Path, new: Path) -> int:
    """Print what moved; 0 whatever did: nothing is judged.

    Raises:
        BackproofError: for a path that is neither, or two that are not of one kind, or unusable.
    """
    kinds = {path: _is_recording(path) for path in (old, new)}
    if kinds[old] != kinds[new]:
        raise BackproofError(
            f"{shown(old, 400)} and {shown(new, 400)} are a recording and a summary; give two of a kind"
        )
    if kinds[old]:
        a, b = Recording(old), Recording(new)
        for side, recording in (("old", a), ("new", b)):
            source = recording.source
            versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
            print(shown(f"{side}: {source.implementation} ({versions}, {source.device}, {source.threads} threads)"))
        print(f"\n{recordings.terminal(recordings.moved(a, b))}")
    else:
        print(summaries.terminal(_summary(old), _summary(new)))
    return 0


def _is_recording(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _summary(path: Path) -> Path:
    if path.is_dir() and not (path / SUMMARY).exists():
        raise BackproofError(f"{shown(path, 400)} holds neither a recording ({MANIFEST}) nor a {SUMMARY}")
    return path / SUMMARY if path.is_dir() else path
