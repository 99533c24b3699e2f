#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""What one can do here: `nox -s verify` is the main job, `nox -s tests` the tests, `nox` everything."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS = {
    "pinned": ("--constraint", "constraints.txt"),
    "oldest": ("--resolution", "lowest-direct"),  # uv's, which reads the bounds of pyproject.toml
    "newest": ("--upgrade",),
}[os.environ.get("BACKPROOF_VERSIONS", "pinned")]
"""What the sessions install under: `BACKPROOF_VERSIONS=oldest nox -s gate` takes the oldest that are supported."""
RECORDINGS = Path(".recordings")
GATE = Path("reports/gate")
IMPLEMENTATIONS = list(PROJECT["tool"]["backproof"]["implementations"])
NETWORKS = sorted(PROJECT["tool"]["backproof"]["networks"])


def install(session: nox.Session, extra: str, *groups: str) -> None:
    """Install the engine with one extra, and dependency groups, in the versions that were asked for."""
    # uv reads UV_FIND_LINKS where pip reads PIP_FIND_LINKS.
    if "PIP_FIND_LINKS" in os.environ:
        session.env.setdefault("UV_FIND_LINKS", os.environ["PIP_FIND_LINKS"])
    requirements = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install(*VERSIONS, "--editable", f".[{extra}]", *requirements)


@nox.session
def verify(session: nox.Session) -> None:
    """The main job: train the notes' networks in NumPy, PyTorch and JAX, check every step, write reports/."""
    install(session, "all")
    session.run("backproof", "verify", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests (`nox -s tests -- -k agreement` for some of them)."""
    install(session, "all", "test", "benchmarks")
    session.run("pytest", *session.posargs)


def _record_and_check(session: nox.Session, implementation: str, extra: str) -> None:
    install(session, extra)
    folder = RECORDINGS / implementation
    session.run(
        "backproof", "record", *NETWORKS, "--implementation", implementation, "--output", str(folder), "--overwrite"
    )
    session.run("backproof", "check", *(str(folder / network) for network in NETWORKS))


@nox.session
def numpy(session: nox.Session) -> None:
    """Record and check NumPy, in an environment without a framework."""
    _record_and_check(session, "numpy", "data")


@nox.session
def torch(session: nox.Session) -> None:
    """Record and check PyTorch, in an environment without JAX."""
    _record_and_check(session, "torch", "torch")


@nox.session
def jax(session: nox.Session) -> None:
    """Record and check JAX, in an environment without PyTorch."""
    _record_and_check(session, "jax", "jax")


@nox.session(requires=["numpy", "torch", "jax"])
def compare(session: nox.Session) -> None:
    """Judge the three backends' recordings against each other, in an environment without any framework."""
    install(session, "data")
    for network in NETWORKS:
        for other in ("torch", "jax"):
            session.run("backproof", "compare", str(RECORDINGS / "numpy" / network), str(RECORDINGS / other / network))


@nox.session(requires=["numpy", "torch", "jax"])
def gate(session: nox.Session) -> None:
    """Hold the three backends' recordings, judged without any framework, against reports/baseline.json.

    `nox -s gate -- --update-baseline --reason "torch 2.13 to 2.14"` accepts what changed.
    """
    install(session, "data")
    recordings = [str(RECORDINGS / name) for name in IMPLEMENTATIONS]
    # A bug that verify finds is the gate's to judge and to tell.
    session.run("backproof", "verify", "--recordings", *recordings, "--output", str(GATE), success_codes=[0, 1])
    outputs = ["--junit", str(GATE / "junit.xml"), "--json", str(GATE / "gate.json")]
    if os.environ.get("GITHUB_ACTIONS") == "true":
        outputs.append("--github")
    accepting = "--update-baseline" in session.posargs
    session.run("backproof", "gate", str(GATE / "summary.json"), *(() if accepting else outputs), *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the engine's types with mypy, strictly."""
    install(session, "data", "types")
    session.run("mypy")


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and report which lines they reach."""
    install(session, "all", "test", "benchmarks")
    session.run("pytest", "--cov", "--cov-report=term", *session.posargs)
