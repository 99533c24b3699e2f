"""A small sample of ``benchmarks/gate.py``: honest reruns leave the gate open, planted regressions close it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backproof.gate.facts import Facts, of_summary
from backproof.gate.judge import compare, judge
from benchmarks import regressions
from benchmarks.small_runs import NETWORKS, write
from reference import network as reference

SEEDS = range(3000, 3004)
FEW_NETWORKS = [network for network in NETWORKS if network.name in ("row_major", "binary_tanh")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Facts]:
    """One training by two ways of writing it out, under one name, from some seeds."""
    folder = tmp_path_factory.mktemp("runs")
    modules = {"plain": regressions.Written(), "reference": reference}
    for seed in SEEDS:
        for name, module in modules.items():
            write(folder / name / f"{seed}.json", seed, {"one": module}, FEW_NETWORKS)
    return [of_summary(folder / name / f"{seed}.json") for seed in SEEDS for name in modules]


def test_honest_reruns_leave_the_gate_open(runs):
    for before in runs:
        for after in runs:
            assert not compare(before, after).failures, (before.path, after.path)


def test_reruns_are_no_copies(runs):
    """Or the test above would compare nothing."""
    assert len({tuple(run.entries.values()) for run in runs}) == len(runs)


@pytest.mark.parametrize("regression", regressions.REGRESSIONS, ids=lambda r: r.name)
def test_a_regression_is_named_at_its_layer(regression, tmp_path):
    assert regressions.named(regression, regressions.gated(regression, tmp_path, seed=3000))


def test_without_a_regression_the_gate_is_open(tmp_path):
    nothing = regressions.Regression("none", "row_major", "Z1")
    found = regressions.gated(nothing, tmp_path)
    assert not found.changes and not regressions.named(nothing, found)


def test_a_regression_shows_from_another_seed_too(tmp_path):
    one, two = (tmp_path / name for name in ("one.json", "two.json"))
    worse = regressions.Written("row_major", {"Z2": regressions.kernel("row_major", "Z2", 11)})
    write(one, 1, {"one": regressions.Written()}, FEW_NETWORKS)
    write(two, 2, {"one": worse}, FEW_NETWORKS)
    first = judge(of_summary(one), of_summary(two)).failures[0]
    assert (first.key.network, first.key.layer, first.key.quantity) == ("row_major", 2, "Z2")


def test_the_summary_that_is_gated_is_the_one_of_verify(tmp_path: Path):
    write(tmp_path / "s.json", 0, {"one": regressions.Written()}, FEW_NETWORKS)
    facts = of_summary(tmp_path / "s.json")
    assert set(facts.networks) == {"row_major", "binary_tanh"}
    checks = sum(2 * len(network.shapes(1)) - 4 * network.depth for network in FEW_NETWORKS)
    assert sum(key.layer > 0 for key in facts.entries) == checks
