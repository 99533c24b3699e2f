"""Zeros agree with zeros: a long run says which equations could not have been found wrong, in every mode the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof.judge import Judge
from backproof.long_run import report
from backproof.long_run.together import train_together
from backproof.rounding import FORMATS
from backproof.training import Training
from backproof.vacuous import Vacuity
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import BY_NAME
from tests.test_long_run import long

DEAD = ["dW3", "dW2", "db2", "dA1", "dZ1", "dW1", "db1"]
"""With every unit of layer 2 below 0; A2 and dZ2 are zeros as well, but Z2 and dA2 say that they have to be."""


def dead(steps: int = 6) -> Training:
    here = long(steps=steps)
    return replace(here, parameters={**here.parameters, "b2": here.parameters["b2"] - np.float32(100)})


@pytest.mark.parametrize("mode", ["sketch", "dense"])
def test_what_compared_nothing_is_counted_and_said(mode: str) -> None:
    found = train_together(dead(), {"numpy": reference}, None, mode)
    run = found.runs["numpy"]
    assert found.verdict is Verdict.ROUNDING and run.vacuous == dict.fromkeys(DEAD, 6) and run.equations == 240
    first, told = report.sentences(report.facts(found, mode, 1))[:2]
    assert first.endswith("(42 of 240 equations compared nothing).")
    assert told.startswith("Of numpy, 42 of 240 equations compared nothing: ") and "dW3 in 6, dW2 in 6" in told


def test_verify_covers_what_a_long_run_does() -> None:
    here = dead()
    judge, run = Judge(here, 6, None), train_together(here, {"numpy": reference}, None).runs["numpy"]
    for step in reference.record(here):
        judge.consume(step)
    assert judge.coverage == (run.equations - sum(run.vacuous.values()), run.equations) == (198, 240)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_of_a_living_network_nothing_is_left_to_the_dense_check_for_it(name: str) -> None:
    run = train_together(long(BY_NAME[name], steps=7), {"numpy": reference}, None).runs["numpy"]
    assert not run.vacuous and run.certified == 7


def test_one_living_element_is_found_wherever_it_is() -> None:
    vacuity, array = Vacuity(FORMATS["float32"]), np.zeros((3, 5), np.float32)
    assert vacuity.suspected("dW1", array)
    for index in np.ndindex(3, 5):
        array[:] = 0
        array[index] = -1e-20
        assert not vacuity.suspected("dW1", array)
    assert vacuity.suspected("dW1", array[:2, :4])  # a smaller batch, without the element that was looked at last
    array[index] = 1e-30
    assert vacuity.suspected("dW1", array)
    assert vacuity.suspected("loss", np.float32(0)) and not vacuity.suspected("loss", np.float32(2.0))
