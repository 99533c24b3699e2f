"""The calibration of losses: a seeded sample of its cases raises no alarm, and a loss with an error in it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")

from benchmarks import loss_calibration
from benchmarks.loss_calibration import JAX_EVERY, LOGITS, Tally, case

SEEDS = [seed for seed in range(4_000_000, 4_000_400) if seed % JAX_EVERY and case(seed)[2].size < 3000][:60]


def test_honest_losses_raise_no_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    for seed in SEEDS:
        tally.add(seed)
    assert tally.cases == len(SEEDS) == 60 and tally.checks > 20 * tally.cases
    assert {format for _, format in tally.lines} == {"float32", "float64", "bfloat16"}
    assert not tally.alarms, capsys.readouterr().out


def test_a_wrong_loss_is_an_alarm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(loss_calibration, "evaluations", lambda seed, loss, Z, Y, divisor: [("wrong", np.asarray(1e3))])
    tally = Tally()
    tally.add(SEEDS[0])
    assert tally.alarms == 1 and "ALARM  wrong  seed 4" in capsys.readouterr().out


def test_the_cases_span_what_they_promise() -> None:
    names: list[Any] = [case(seed) for seed in SEEDS]
    for kind in LOGITS:
        assert any(f"logits {kind}," in name[0] for name in names)
    assert {name[1] for name in names} == {"cross_entropy", "binary_cross_entropy"}
