"""What the tests of the command line share: calls of it, projects of one's own, implementations with faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from backproof.cli import main
from tests.support import IMPLEMENTATIONS, ROOT

SMALL = """
[tool.backproof.networks.small]
sizes = [784, 5, 4, 10]
activations = ["relu", "tanh", "softmax"]
"""
WRAPPER = """\
import numpy as np
from backproof.training import Step
from reference.network import record as honest, threads, train, versions

def record(training):
    for step in honest(training):
        tensors, samples = dict(step.tensors), step.samples
{body}
        yield Step(step.index, samples, tensors)
"""
INSTALLED = [name for name in IMPLEMENTATIONS if name == "numpy" or find_spec(name) is not None]
"""The suite's implementations that this environment can run."""

unused = (f"witness_{number}" for number in count())


@dataclass(frozen=True)
class Outcome:
    """What one call of the command line ended with."""

    code: int
    out: str
    err: str

    def refused(self, *words: str, code: int = 2) -> str:
        """Its one line on standard error, which holds every word."""
        __tracebackhide__ = True
        assert self.code == code, (self.code, self.out, self.err)
        line, *more = self.err.splitlines()
        assert line.startswith("backproof: error: ") and not more, self.err
        for word in words:
            assert word in line, (word, line)
        return line


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """The command line in this process."""
    capsys.readouterr()
    try:
        code: Any = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    return Outcome(int(code), captured.out, captured.err)


def environment(**variables: str) -> dict[str, str]:
    """The variables of a process that finds this checkout's ``backproof`` wherever it runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def spawn(*arguments: object, cwd: Path = ROOT, flags: Iterable[str] = (), **variables: str) -> Outcome:
    """The command line in a process of its own."""
    command = [sys.executable, *flags, "-m", "backproof", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=300, check=False
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def project(
    folder: Path, code: str | None = None, networks: str = SMALL, reference: str | None = "reference.network"
) -> Path:
    """A project whose one implementation, ``mine``, is the module ``code``, or else the reference itself."""
    module = "reference.network" if code is None else next(unused)
    folder.mkdir(parents=True, exist_ok=True)
    if code is not None:
        (folder / f"{module}.py").write_text(code, encoding="utf-8")
    said = f'reference = "{reference}"\n' if reference else ""
    table = f'[tool.backproof]\n{said}implementations.mine = "{module}"\n{networks}'
    (folder / "pyproject.toml").write_text(table, encoding="utf-8")
    return folder


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project until the test ends."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(folder)
    return folder


def faulty(body: str) -> str:
    """An implementation that alters ``tensors`` or ``samples`` of the reference's steps before it hands them over."""
    return WRAPPER.format(body=indent(body, 8 * " "))


def summary_of(folder: Path) -> dict[str, Any]:
    """``summary.json``."""
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return content


def files_in(folder: Path) -> dict[str, bytes]:
    """Path -> content of every file."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
