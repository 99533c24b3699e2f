"""Runs a script in a process of its own and collects what was found in it."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backproof
from backproof.errors import BackproofError
from backproof.tracing.child import JOB
from backproof.tracing.exchange import Traced, end_in, steps_in

PATIENCE = 15.0
"""Seconds beyond its time that the process has before it is killed: it ends itself unless it hangs outside Python."""
BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from backproof.tracing.child import main; del sys.path[0]; main({})"
)


@dataclass(frozen=True)
class Ending:
    """How the script ended: ``how`` is one of ended, enough, raised, exit, timeout, gone; ``said`` is that in words."""

    how: str
    error: str = ""
    unnamed: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    partial: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """A clause about the script; empty when there is nothing to tell."""
        match self.how:
            case "raised":
                return f"the script raised {self.error}"
            case "exit":
                return f"the script ended: {self.error}" if self.error else ""
            case "timeout":
                return "the script was stopped when its time was up (--timeout)"
            case "gone":
                return f"the script ended its process ({self.error}), which cannot be observed"
        return ""


def trace(
    script: Path, arguments: list[str], names: Mapping[str, str], steps: int, timeout: float, show_output: bool
) -> tuple[list[Traced], Ending]:
    """Run a script until it has done some steps; the steps, and how it ended.

    The script has its own arguments, this working directory, no standard input, and matplotlib's silent backend.

    Raises:
        BackproofError: there is no such script.
        RuntimeError: a fault of the capture itself.
    """
    _refuse(script)
    with tempfile.TemporaryDirectory(prefix="backproof-trace-") as folder:
        job = {
            "script": os.path.abspath(script),
            "arguments": arguments,
            "names": dict(names),
            "steps": steps,
            "timeout": timeout,
        }
        (Path(folder) / JOB).write_text(json.dumps(job), encoding="utf-8")
        sys.stdout.flush()
        code = _run(folder, timeout + PATIENCE, show_output)
        found = list(steps_in(Path(folder)))
        end = end_in(Path(folder))
    if end is not None and end["how"] == "failed":
        raise RuntimeError(f"the capture failed: {end['error']}")
    return found, Ending("gone", _signal(code)) if end is None else _ending(end)


def _refuse(script: Path) -> None:
    if script.suffix == ".ipynb":
        raise BackproofError(
            f"{script}: a notebook; save it as a script (jupyter nbconvert --to script) and trace that"
        )
    if not script.is_file():
        what = "is a folder" if script.is_dir() else "is no regular file" if script.exists() else "no such file"
        raise BackproofError(f"{script}: {what}; trace needs the path of a Python script")
    try:
        with warnings.catch_warnings(action="ignore"):  # the script's own run has them
            ast.parse(script.read_bytes(), script.name)
    except OSError as error:
        raise BackproofError(f"{script}: {error.strerror or error}") from error
    except (SyntaxError, ValueError) as error:  # null bytes are a ValueError in some versions
        line = getattr(error, "lineno", None)
        where = f"{script.name}:{line}" if line else script.name
        said = f"{where}: {type(error).__name__}: {_first(error)}"
        raise BackproofError(f"{script}: it does not compile: {said}") from error


def _first(error: Exception) -> str:
    return next(iter((error.msg if isinstance(error, SyntaxError) else str(error)).splitlines()), "")


def _run(folder: str, timeout: float, show_output: bool) -> int | None:
    """The exit code of the process, or None if it had to be killed."""
    root = str(Path(backproof.__file__).parent.parent)
    boot = BOOT.format(repr(folder))
    where = None if show_output else subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", boot, root],
        stdin=subprocess.DEVNULL,
        stdout=where,
        stderr=where,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _signal(code: int | None) -> str:
    if code is None:
        return "it did not answer when its time was up"
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _ending(end: dict[str, Any]) -> Ending:
    unnamed = {label: (place, tuple(shape)) for label, (place, shape) in end.get("unnamed", {}).items()}
    partial = {key: (label, place) for key, (label, place) in end.get("partial", {}).items()}
    return Ending(end["how"], end.get("error", ""), unnamed, partial)
