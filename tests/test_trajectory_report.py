"""The page that ``backproof train --output`` leaves: what a reader asks first stands first."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backproof.long_run import report
from backproof.long_run.together import train_together
from backproof.optimizer import Optimizer
from backproof.schedule import Schedule
from reference import network as reference
from tests.test_long_run import NETWORK, long, planted


def text_of(page: str) -> str:
    """What a page says, without its pictures."""
    body = re.sub(r"<svg.*?</svg>|<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "rounding"), (1.5, "bug")])
def test_setting_verdict_and_accuracy_stand_above_the_pictures(tmp_path: Path, factor: float, verdict: str) -> None:
    network = replace(NETWORK, optimizer=Optimizer("adam"), schedule=Schedule("cosine", steps=9))
    found = train_together(long(network, steps=6), {"mine": planted(2, "dW2", factor), "numpy": reference}, reference)
    facts = report.facts(found, "sketch", 1, {"mine": 0.5, "numpy": 0.25}, "training data")
    page = report.write(tmp_path, facts).read_text()
    said = text_of(page)
    places = [
        "five_layer: a trajectory",
        "12-9-7-7-5-4 on 100 samples of random: 6 steps of 16 samples, float32, adam at 0.1 with the schedule cosine, "
        "seed 0; each step sketched.",
        *report.sentences(facts),
        "After the last step",
    ]
    assert [said.index(place) for place in places] == sorted(said.index(place) for place in places)
    assert f'<p class="answer {verdict}">' in page
    certified = "5 of 6" if verdict == "bug" else "6 of 6"
    assert f"{verdict} {certified} 50.00 %" in said and "rounding 6 of 6 25.00 %" in said


@pytest.mark.parametrize(
    ("mode", "every", "said"),
    [("sketch", 1, "each step sketched"), ("dense", 3, "one step in 3 checked densely"), ("none", 1, "not checked")],
)
def test_the_setting_says_how_it_was_checked(mode: str, every: int, said: str) -> None:
    here = replace(long(steps=2), batches=(None, None))
    setting = report.setting(report.facts(train_together(here, {"numpy": reference}, None, mode), mode, every))
    assert "2 steps of all samples, float32, sgd at 0.1, seed 0; " in setting and setting.endswith(f"{said}.")


def test_a_run_without_a_finite_step_has_a_page(tmp_path: Path) -> None:
    wild = planted(0, "loss", np.nan)
    facts = report.facts(train_together(long(steps=3), {"mine": wild}, None), "sketch", 1, {"mine": 0.0}, "x")
    assert "Bug: 0 of 1 steps are certified." in text_of(report.write(tmp_path, facts).read_text())
