"""No mistake of the list is forgotten: each is planted, or a reason is given, and the page says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults import not_planted
from tests.faults.listed import IDS, NOT_PLANTED, places

PAGE = (Path(__file__).parents[1] / "docs" / "faults.md").read_text()


@pytest.mark.parametrize("name", IDS)
def test_a_mistake_is_planted_or_a_reason_is_given(name):
    assert (name in places()) != (name in NOT_PLANTED)


def test_nothing_is_planted_under_an_id_that_does_not_exist():
    assert set(places()) | set(NOT_PLANTED) == set(IDS)
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("name", IDS)
def test_the_page_has_it(name):
    """As a row of a table, perhaps with a letter for its form, or among those that are not planted."""
    rows = [line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("|")]
    listed = [part for line in PAGE.splitlines() if line.startswith("- **") for part in line.split("**")[1].split(", ")]
    assert (name in {row.rstrip("abc") for row in rows}) == (name in places())
    assert (name in listed) == (name in NOT_PLANTED)


def test_the_page_gives_the_reasons_as_they_are():
    for line in not_planted():
        assert line in PAGE
