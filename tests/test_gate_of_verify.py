"""``verify`` and then ``gate``, as one types them: in a project of one's own, honest, with a mistake, and with less."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli_support import SMALL, Outcome, call, enter, faulty, project

RUN = ("verify", "--samples", 60, "--steps", 2)


@pytest.fixture
def home(tmp_path, capsys, monkeypatch):
    """A project whose first run was accepted."""
    enter(project(tmp_path), monkeypatch)
    assert call(capsys, *RUN).code == 0
    assert call(capsys, "gate", "--update-baseline", "--reason", "the first").code == 0
    return tmp_path


def gated(capsys: Any) -> Outcome:
    call(capsys, *RUN)
    return call(capsys, "gate")


def test_verify_leaves_the_baseline_where_it_is(home, capsys):
    before = (home / "reports" / "baseline.json").read_bytes()
    assert gated(capsys).code == 0
    assert (home / "reports" / "baseline.json").read_bytes() == before


def test_a_mistake_closes_the_gate_at_its_layer(home, capsys):
    project(home, faulty('tensors["dW2"] = tensors["dW2"] * 12'))
    outcome = gated(capsys)
    assert outcome.code == 1
    assert "First: small by mine, layer 2, dW2 (equation): rounding → bug" in outcome.out


def test_a_mistake_of_structure_closes_it_too(home, capsys):
    project(home, faulty('if step.index == 1: del tensors["dW3"]'))
    outcome = gated(capsys)
    assert outcome.code == 1 and "First: small by mine: rounding → bug" in outcome.out
    assert "dW3, step 1: " in outcome.out


def test_a_network_that_is_no_longer_configured(home, capsys):
    project(home, networks=SMALL.replace("small", "other"))
    outcome = gated(capsys)
    assert outcome.code == 1
    rows = [line.split()[:2] for line in outcome.out.splitlines() if line.startswith(("vanished", "appeared"))]
    assert rows == [["vanished", "small"], ["appeared", "other"]]


def test_a_network_that_changed_its_shape(home, capsys):
    project(home, networks=SMALL.replace("5, 4", "5, 3"))
    call(capsys, *RUN)
    call(capsys, "gate").refused("not comparable", "small: specification sizes")


def test_an_interrupted_verify_does_not_pass(home, capsys):
    (home / "reports" / "summary.json").unlink()
    call(capsys, "gate").refused("summary.json", "missing", "verify")


def test_another_project_is_refused(home, capsys):
    table = (home / "pyproject.toml").read_text()
    (home / "pyproject.toml").write_text(f'[project]\nname = "theirs"\n{table}')
    call(capsys, *RUN)
    call(capsys, "gate").refused("project '' there, 'theirs' here")
