"""What a module needs, read from its source: the same answer as importing it, without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backproof import config
from backproof.requirements import missing
from tests.support import IMPLEMENTATIONS, ROOT

ABSENT = "no_such_package_anywhere"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, code in files.items():
        (folder / f"{name}.py").write_text(code)
    return folder


@pytest.mark.parametrize(
    "code",
    [
        f"import {ABSENT}",
        f"import sys, {ABSENT}.part as p",
        f"from {ABSENT}.part import name",
        "import helper",
        "from helper import name",
        "import package.inner",
        "from package import inner",
        "from package.inner import name",
        "import around",
    ],
)
def test_what_importing_would_need(tmp_path, code):
    write(tmp_path, mine=code, helper=f"import {ABSENT}", around="import helper, mine")
    write(tmp_path / "package", inner="from . import deep", deep="from .deeper import x", deeper=f"import {ABSENT}")
    assert missing(tmp_path, "mine") == [ABSENT]


def test_a_packages_own_file_is_run_too(tmp_path):
    write(tmp_path / "package", __init__=f"import {ABSENT}", inner="")
    assert missing(tmp_path, "package.inner") == [ABSENT]


@pytest.mark.parametrize(
    "code",
    [
        "import sys, json, os.path, numpy.linalg",
        f"def f():\n    import {ABSENT}",
        f"try:\n    import {ABSENT}\nexcept ImportError:\n    pass",
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {ABSENT}",
        "import mine",
        "from . import x",
        "import numpy.no_such_part",
        f"x = = 1\nimport {ABSENT}",
        "\0",
        "import __main__",
    ],
)
def test_what_is_no_missing_package(tmp_path, code):
    """What may never run, what is there, and what is wrong in another way."""
    assert missing(write(tmp_path, mine=code), "mine") == []


def test_a_module_that_is_nowhere(tmp_path):
    assert missing(tmp_path, f"{ABSENT}.part") == [ABSENT]
    assert missing(tmp_path, "json.decoder") == []


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_it_says_what_importing_says(name):
    suite = config.require(ROOT)
    assert (missing(ROOT, IMPLEMENTATIONS[name]) == []) == (name in suite.installed())


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_framework_that_is_not_here(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)  # import raises, and find_spec finds nothing
    assert missing(ROOT, IMPLEMENTATIONS[name]) == [name]
    assert missing(ROOT, IMPLEMENTATIONS["numpy"]) == []
