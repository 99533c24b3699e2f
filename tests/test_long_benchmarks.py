"""The benchmarks of long runs: they cover what they say, and end in failure where a target is missed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from backproof.cli import parser
from benchmarks import growth, headline, memory
from tests.support import ROOT, SUITE


def test_the_headline_trains_every_network_of_the_notes_with_a_command_that_is_one() -> None:
    assert list(headline.SETTINGS) == [network.name for network in SUITE]
    asked = {3: 0.97, 5: 0.97, 2: 0.92}
    for network in SUITE:
        options = parser().parse_args(headline.command(network.name, "mnist"))
        assert (options.network, options.check, options.check_every) == ([network.name], "sketch", 1)
        assert headline.SETTINGS[network.name][1] >= asked[network.depth]


def facts(accuracy: float, certified: int, steps: int = 10) -> dict[str, Any]:
    good = {"accuracy": 0.99, "certified": 10, "steps": 10}
    mine = {"accuracy": accuracy, "certified": certified, "steps": steps}
    return {"steps": 10, "runs": {"numpy": good, "mine": mine}}


@pytest.mark.parametrize(
    ("accuracy", "certified", "steps", "reached"),
    [(0.97, 10, 10, True), (0.969, 10, 10, False), (0.98, 9, 10, False), (0.98, 9, 9, False)],
)
def test_a_headline_is_reached_by_every_implementation_or_not(
    accuracy: float, certified: int, steps: int, reached: bool
) -> None:
    assert headline.reached("row_major", facts(accuracy, certified, steps)) == reached


def test_the_exponent_of_a_power_is_its_exponent() -> None:
    assert growth.exponent([10, 100, 1000], [2.0, 2e2, 2e4]) == pytest.approx(2)


def test_the_memory_of_a_command_is_its_own_and_a_failure_is_none(monkeypatch: Any) -> None:
    # From a process that is small itself: a child's peak is at least what its parent has where it is forked.
    asked = [sys.executable, "-c", "from benchmarks.memory import peak; print(peak(['--version'])[0])"]
    found = float(subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()[-1])
    assert 5 < found < 300
    with pytest.raises(SystemExit, match="ended with 2"):
        memory.peak(["train", "no_network"])
    monkeypatch.setattr(sys, "argv", ["memory", "--steps", "1", "2"])
    monkeypatch.setattr(memory, "peak", lambda arguments: (100.0 * int(arguments[7]), 1.0))
    with pytest.raises(SystemExit, match=r"missed: 2\.000 times"):
        memory.main()
