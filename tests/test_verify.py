"""``verify``, the main job: every network in every implementation, judged by its own equations and end to end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from backproof.agreement import MULTIPLE
from backproof.cli import main
from backproof.equations import equations
from backproof.recording import Recording
from tests.cli_support import INSTALLED, ROOT, call, enter, project, spawn, summary_of
from tests.support import IMPLEMENTATIONS, SUITE

STEPS = 3
RUN = ("--samples", "40", "--steps", str(STEPS))
NETWORKS = {network.name: network for network in SUITE}
TARGETS = [(name, equation.target) for name, network in NETWORKS.items() for equation in equations(network)]


@dataclass(frozen=True)
class Verified:
    """Every network of the suite, verified in one format."""

    code: int
    folder: Path
    summary: dict[str, Any]

    def run(self, network: str, implementation: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The facts of one network, and those of one implementation of it."""
        if implementation not in INSTALLED:
            pytest.skip(f"{implementation} is not installed")
        facts = self.summary["networks"][network]
        return facts, facts["implementations"][implementation]

    def evidence(self, kind: str, network: str, target: str, implementation: str) -> dict[str, Any]:
        """What was found about one quantity."""
        layers = self.run(network, implementation)[0]["layers"].values()
        return next(layer[kind][target]["by"][implementation] for layer in layers if target in layer[kind])


@pytest.fixture(scope="module", params=["float32", "float64"])
def verified(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """In float32 by a process of its own, in float64 by this one."""
    folder, dtype = tmp_path_factory.mktemp("verified") / "reports", request.param
    arguments = ["verify", *RUN, "--dtype", dtype, "--output", str(folder), "--implementation", *INSTALLED]
    if dtype == "float32":
        outcome = spawn(*arguments)
        assert outcome.err == "", outcome.err
        return Verified(outcome.code, folder, summary_of(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return Verified(main(arguments), folder, summary_of(folder))


every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
every_network = pytest.mark.parametrize("network", NETWORKS)
every_target = pytest.mark.parametrize(("network", "target"), TARGETS)


def test_exit_code_and_coverage(verified):
    summary = verified.summary
    assert (verified.code, summary["verdict"]) == (0, "rounding")
    assert set(summary["networks"]) == set(NETWORKS)
    wanted = len(INSTALLED) * STEPS * len(TARGETS)
    assert summary["coverage"] == {"checked": wanted, "of": wanted}


@every_network
def test_files_left(verified, network):
    depth = NETWORKS[network].depth
    wanted = {f"layer-{layer}.{kind}" for layer in range(1, depth + 1) for kind in ("md", "json")}
    assert {path.name for path in (verified.folder / network).iterdir()} == wanted
    rest = {path.name for path in verified.folder.iterdir()}
    assert rest == {"README.md", "summary.json", *NETWORKS}


@every_implementation
@every_target
def test_the_equation_holds(verified, network, target, implementation):
    """Z and A, the loss, dA, dZ, dW, db and the updates, each from the recorded operands."""
    found = verified.evidence("equations", network, target, implementation)
    assert (found["verdict"], found["steps"], found["covered"]) == ("rounding", STEPS, STEPS)
    assert found["ratio"] <= found["ceiling"] and 0 <= found["fraction"] <= 1


@every_implementation
@every_target
def test_agrees_with_the_float64_reference(verified, network, target, implementation):
    """Forward activations, gradients and updated parameters, each within what honest replicas do."""
    found = verified.evidence("agreement", network, target, implementation)
    assert (found["verdict"], found["steps"]) == ("rounding", STEPS)
    assert found["absolute"] <= found["bound"] and found["left_out"] < 40


@every_implementation
@every_network
def test_trajectory(verified, network, implementation):
    """The free run stays within the stated multiple of the replicas' own distance from the float64 run."""
    facts, run = verified.run(network, implementation)
    assert run["findings"] == [] and run["verdict"] == "rounding"
    assert len(run["distances"]) == len(run["losses"]) == STEPS
    for distance, replicas in zip(run["distances"], facts["float64"]["envelope"], strict=True):
        assert distance <= MULTIPLE * replicas


def test_mini_batches_and_recordings(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = ("--samples", 50, "--steps", 4, "--batch-size", 20, "--keep-recordings", "--output", tmp_path)
    outcome = call(capsys, "verify", "row_major", *options, "--implementation", *INSTALLED)
    assert outcome.code == 0, outcome.out
    folders = [tmp_path / "recordings" / "row_major" / name for name in INSTALLED]
    recordings = [Recording(folder) for folder in folders]
    assert {recording.initial_hash for recording in recordings} == {recordings[0].initial_hash}
    drawn = [[step.samples.tolist() for step in recording.steps()] for recording in recordings]
    assert all(samples == drawn[0] for samples in drawn)
    assert [len(samples) for samples in drawn[0]] == [20, 20, 10, 20]
    assert sorted(chain(*drawn[0][:3])) == list(range(50))
    checked = call(capsys, "check", *folders)
    wanted = 4 * len(equations(NETWORKS["row_major"]))
    assert checked.code == 0
    assert checked.out.count(f"All within rounding: {wanted} of {wanted} equations were checked.") == len(folders)
    for other in folders[1:]:
        compared = call(capsys, "compare", folders[0], other)
        assert compared.code == 0 and compared.out.count("All within rounding") == 2


def test_families_and_subsets(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    outcome = call(capsys, "verify", "binary", *RUN, "--implementation", "numpy", "--output", tmp_path)
    summary = summary_of(tmp_path)
    assert outcome.code == 0
    assert set(summary["networks"]) == {name for name in NETWORKS if name.startswith("binary_")}
    assert all(set(facts["implementations"]) == {"numpy"} for facts in summary["networks"].values())
    assert set(summary["environment"]["implementations"]) == {"numpy"}


def test_reports_go_beside_pyproject(tmp_path, capsys, monkeypatch):
    folder = project(tmp_path / "p")
    (folder / "deep" / "inside").mkdir(parents=True)
    enter(folder / "deep" / "inside", monkeypatch)
    assert call(capsys, "verify", "--samples", 10, "--steps", 1).code == 0
    assert summary_of(folder / "reports")["networks"].keys() == {"small"}
    assert list((folder / "deep").rglob("*.*")) == []


def test_same_run_same_verdicts_and_numbers(tmp_path, capsys, monkeypatch):
    """NumPy repeats bit for bit at one number of threads, so its evidence is the same bytes."""
    enter(project(tmp_path / "p"), monkeypatch)
    for name in "ab":
        assert call(capsys, "verify", "--samples", 30, "--steps", 2, "--output", tmp_path / name).code == 0
    first, second = ((tmp_path / name / "summary.json").read_text() for name in "ab")
    assert json.loads(first) == json.loads(second) and first == second
