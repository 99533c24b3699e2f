"""What ``verify`` would leave of the suite's networks with narrow layers, on random data: a summary in a second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from backproof import verify
from backproof.config import require
from backproof.network import Network
from backproof.report import store
from backproof.runs import GuardedReference, source_of
from backproof.settings import Settings
from backproof.training import Implementation
from reference import network as reference
from tests.support import ROOT, SUITE, shrunk, training

SAMPLES, STEPS = 96, 2
NETWORKS = [shrunk(network) for network in SUITE]


def rerun(path: Path, seed: int) -> None:
    """Every network in every configured implementation, from one seed."""
    write(path, seed, verify.modules(require(ROOT), []))


def write(
    path: Path, seed: int, modules: Mapping[str, Implementation], networks: Iterable[Network] = tuple(NETWORKS)
) -> None:
    """Train, judge, and write the summary."""
    guarded, facts = GuardedReference(reference), {}
    for network in networks:
        given = replace(training(network, SAMPLES, seed), batches=(None,) * STEPS)
        facts[network.name] = verify.verify_network(given, modules, guarded)
    sources = {name: source_of(name, module) for name, module in modules.items()}
    settings = Settings(samples=SAMPLES, steps=STEPS, seed=seed)
    summary = verify.summarise(settings, "random", facts, verify.environment(sources), "backproof")
    path.parent.mkdir(exist_ok=True)
    store.write_summary(path.parent, summary)
    (path.parent / store.SUMMARY).replace(path)
