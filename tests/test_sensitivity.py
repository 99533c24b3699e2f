"""The sensitivity table: its limits are limits, and no peer is credited on an array that it rejects when correct."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("chex", reason="chex is not installed")

from backproof.data import FOLDER_VARIABLE
from backproof.verdict import Verdict
from benchmarks.sensitivity import (
    ALARM,
    BACKPROOF,
    FINEST,
    NEVER,
    PEERS,
    TARGETS,
    Subject,
    faults,
    limit,
    limits,
    scaled,
    subjects,
    training,
)
from benchmarks.sensitivity_table import Row, document

CHECKERS = (BACKPROOF, *PEERS)


@pytest.fixture(scope="module")
def measured() -> list[tuple[Subject, list[Row]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(FOLDER_VARIABLE, raising=False)
        return [(subject, limits(subject)) for subject in subjects(training(64, seed=0))]


def test_every_limit_is_detected_and_half_of_it_is_not(measured) -> None:
    """On whole arrays, by the checkers themselves, where the search looked at parts."""
    numbers = 0
    for subject, rows in measured:
        for (fault, where), row in zip(faults(subject.honest), rows, strict=True):
            assert row.fault == fault and set(row.limits) == set(CHECKERS)
            for checker, found in row.limits.items():
                at = f"{subject.equation.target}, {fault}, {checker}: {found}"
                if found == NEVER:
                    assert not subject.fails(checker, subject.planted(where, 1.0)), at
                elif found != ALARM:
                    numbers += 1
                    assert subject.fails(checker, subject.planted(where, found)), at
                    assert not subject.fails(checker, subject.planted(where, found / 2)), at
    assert numbers > 60


def test_no_figure_is_from_an_array_that_alarms_when_correct(measured) -> None:
    alarms = 0
    for subject, rows in measured:
        for checker in CHECKERS:
            alarmed = subject.fails(checker, subject.honest)
            alarms += alarmed
            assert all((row.limits[checker] == ALARM) == alarmed for row in rows), (subject.equation.target, checker)
    assert alarms  # NumPy's default rtol of 1e-7 is below two roundings


def test_every_kind_of_equation_is_there_and_backproof_sees_each_fault(measured) -> None:
    assert {subject.equation.target for subject, _ in measured} == set(TARGETS)
    assert all(isinstance(row.limits[BACKPROOF], float) for _, rows in measured for row in rows)


def test_a_checker_that_alarms_is_credited_with_nothing(measured) -> None:
    subject = replace(measured[0][0], judge=lambda array: Verdict.SUSPECT)
    assert {row.limits[BACKPROOF] for row in limits(subject)} == {ALARM}


@pytest.mark.parametrize(
    ("detects", "found"),
    [
        (lambda delta: delta >= 0.001, 2**-9.5),
        (lambda delta: False, NEVER),
        (lambda delta: delta == 1, 1.0),
        # Not monotone: bisection alone would say 2^-1.5, of which half is detected.
        (lambda delta: delta > 0.3 or delta == 2**-2.5, 2**-2.5),
    ],
)
def test_limits_of_known_detectors(detects: Callable[[float], bool], found: float | str) -> None:
    assert limit(detects) == found


@pytest.mark.parametrize("checker", PEERS)
def test_every_peer_fails_on_a_wrong_array_and_not_on_the_right_one(checker: str) -> None:
    exact = np.linspace(-3, 4, 60).reshape(6, 10)
    array = exact.astype(np.float32).astype(np.float64)
    assert not PEERS[checker](array, array)
    assert PEERS[checker](array[:, ::-1].copy(), array)


def test_the_finest_step_changes_nothing() -> None:
    array = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    assert np.array_equal(scaled(array, 2 ** (-FINEST / 2)), array)
    assert not np.array_equal(scaled(array, 2**-(24.5)), array)


def test_the_document_has_a_table_for_each_batch_and_counts_what_is_in_it(measured) -> None:
    rows = [row for _, rows in measured for row in rows]
    text = document({64: ("random pixels", rows)}, seed=7)
    assert "## m = 64, random pixels" in text and "--samples 64 --seed 7" in text
    never = sum(row.limits["cosine 0.99"] == NEVER for row in rows)
    line = next(line for line in text.splitlines() if line.startswith("| 64") and "cosine" in line)
    assert [cell.strip() for cell in line.split("|")][3:5] == [str(len(rows) - never), str(never)]
