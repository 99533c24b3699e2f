"""Optimizers on the command line and in recordings."""

from __future__ import annotations

import json

import pytest

from tests.cli_support import INSTALLED, SMALL, call, enter, project, summary_of

FEW = ["--samples", "60", "--steps", "3"]
TORCH = "from implementations.torch_network import record, threads, train, versions\n"


def test_it_is_recorded_checked_and_judged_from_recordings(tmp_path, monkeypatch, capsys):
    enter(project(tmp_path), monkeypatch)
    asked = [*FEW, "--optimizer", "adam", "--learning-rate", "0.01"]
    assert call(capsys, "record", "small", "--implementation", "mine", *asked, "--output", "run").code == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())["network"]
    assert manifest["optimizer"]["name"] == "adam" and manifest["learning_rate"] == 0.01
    checked = call(capsys, "check", "run")
    assert checked.code == 0 and "mW1_next = β₁·mW1 + (1 − β₁)·dW1" in checked.out
    assert call(capsys, "verify", "small", *asked, "--recordings", "run", "--output", "out").code == 0
    assert "optimizer adam, learning rate 0.01" in (tmp_path / "out" / "README.md").read_text()
    refused = call(capsys, "verify", "small", *FEW, "--recordings", "run", "--output", "out")
    refused.refused("was recorded with another network")


def test_plain_gradient_descent_goes_unsaid(tmp_path, monkeypatch, capsys):
    enter(project(tmp_path), monkeypatch)
    assert call(capsys, "verify", "small", *FEW, "--output", "out").code == 0
    summary = summary_of(tmp_path / "out")
    assert not {"optimizer", "learning_rate"} & set(summary["settings"])
    assert not {"optimizer", "schedule"} & set(summary["networks"]["small"]["specification"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--optimizer", "adagrad"], "unknown optimizer 'adagrad'; choose from sgd"),
        (["--optimizer", ""], "unknown optimizer ''"),
        (["--learning-rate", "0"], "learning_rate must be positive"),
        (["--learning-rate", "nan"], "learning_rate must be positive"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, capsys, asked, said):
    enter(project(tmp_path), monkeypatch)
    call(capsys, "verify", "small", *FEW, *asked).refused(said)


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_an_optimizer_that_a_framework_lacks(tmp_path, monkeypatch, capsys):
    table = SMALL + 'optimizer = {name = "rmsprop", epsilon_inside = true}\n'
    enter(project(tmp_path, TORCH, table), monkeypatch)
    call(capsys, "verify", "small", *FEW).refused("torch.optim's rmsprop has no ε inside the root")


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_a_training_with_an_optimizer_that_a_framework_lacks(tmp_path, monkeypatch, capsys):
    table = SMALL + 'optimizer = {name = "rmsprop", epsilon_inside = true}\n'
    enter(project(tmp_path, TORCH, table), monkeypatch)
    told = call(capsys, "train", "small", *FEW)
    told.refused("torch.optim's rmsprop has no ε inside the root; set epsilon_inside = false, or leave")
    assert not told.out  # nothing was certified
