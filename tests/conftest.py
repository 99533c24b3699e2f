"""Fixtures that several test modules share."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.html_support import reports, without_mask
from tests.recordings import write

# A busy machine is slow and not wrong: nothing here is judged by its time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="module", autouse=True)
def let_go_of_compiled_programs() -> Iterator[None]:
    """A program that XLA compiled holds some 160 memory maps; at Linux's 65,530 the next is a segmentation fault."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete recording, not to be changed."""
    return write(tmp_path_factory.mktemp("recording"))


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """The same recording in a folder of its own."""
    return shutil.copytree(whole, tmp_path / "copied")


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HTML report of two healthy runs, not to be changed."""
    return reports(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same where one run forgets a ReLU mask."""
    return reports(tmp_path_factory.mktemp("planted"), without_mask())
