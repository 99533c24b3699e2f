"""The wheel: the engine alone, and a console script that finds the suite from wherever it is called."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from backproof import __version__
from backproof.recording import RecordingWriter, Source
from reference.network import record
from tests.cli_support import Outcome, project
from tests.support import BY_NAME, ROOT, training

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info", "reports")


def run(*command: object, cwd: Path) -> Outcome:
    """A process that sees no checkout but the one it is called in."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BACKPROOF"))}
    ended = subprocess.run(
        list(map(str, command)), cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that nothing is built in the real one."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("copy") / "checkout", ignore=LEFT_BEHIND))


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    """Built without isolation: with the hatchling that is installed here, from nowhere else."""
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", checkout / "dist", cwd=checkout)
    assert built.code == 0, built.out + built.err
    (found,) = (checkout / "dist").iterdir()
    return found


@pytest.fixture(scope="module")
def script(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of an environment that has the wheel, and this environment's packages behind it."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    made = run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    assert made.code == 0, made.out + made.err
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    installed = run(
        scripts / "python", "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", wheel, cwd=folder.parent
    )
    assert installed.code == 0, installed.out + installed.err
    own = run(scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder.parent)
    # One path, read after the wheel's: its .pth files are not, so an editable install of the checkout stays unseen.
    (Path(own.out.strip()) / "current.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return scripts / "backproof"


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_wheel_holds_the_engine_alone(wheel):
    information = f"backproof-{__version__}.dist-info"
    assert {name.partition("/")[0] for name in names(wheel)} == {"backproof", information}
    parts = (path for kind in ("*.py", "*.j2", "*.css", "*.js") for path in (ROOT / "backproof").rglob(kind))
    wanted = {path.relative_to(ROOT).as_posix() for path in parts} | {"backproof/py.typed"}
    assert "backproof/report/html/templates/index.html.j2" in wanted
    assert {name for name in names(wheel) if name.startswith("backproof/")} == wanted
    assert f"{information}/licenses/LICENSE" in names(wheel)


def test_metadata(wheel):
    said = metadata(wheel)
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("backproof", __version__, "MIT")
    assert said["Requires-Python"] == PROJECT["requires-python"] and said["Summary"] == PROJECT["description"]
    needed = [line for line in said.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(needed) == sorted(PROJECT["dependencies"])
    assert not any(line.startswith(("torch", "jax", "scikit-learn", "pooch")) for line in needed)
    assert set(said.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_license_names_itself():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_installed_console_script(script, checkout, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    where = run(script.with_name("python"), "-c", "import backproof; print(backproof.__file__)", cwd=outside)
    assert Path(where.out.strip()).is_relative_to(script.parents[1]), where
    assert run(script, "--version", cwd=outside).out == f"backproof {__version__}\n"
    inside = run(script, "networks", cwd=checkout / "backproof" / "report")
    assert inside.code == 0, inside.err
    assert "five_layer" in inside.out and "784-128-50-50-25-10" in inside.out
    refused = run(script, "networks", cwd=outside)
    assert refused.code == 2 and refused.out == ""
    assert refused.err.startswith("backproof: error: no pyproject.toml with [tool.backproof]")


def test_installed_check_works_outside(script, tmp_path):
    given = training(BY_NAME["two_layer"], m=8)
    with RecordingWriter(tmp_path / "r", given, Source("numpy", {}, 1)) as writer:
        for step in record(given):
            writer.write(step)
    outcome = run(script, "check", "r", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "All within rounding: 16 of 16 equations were checked." in outcome.out


def test_installed_verify_of_a_project_of_ones_own(script, tmp_path):
    """The engine needs nothing of this repository: a project brings its reference and its implementations."""
    shutil.copytree(ROOT / "reference", tmp_path / "own" / "reference", ignore=LEFT_BEHIND)
    folder = project(tmp_path / "own")
    (folder / "sub").mkdir()
    outcome = run(script, "verify", "--samples", 10, "--steps", 1, cwd=folder / "sub")
    assert outcome.code == 0, outcome.err
    assert (folder / "reports" / "small" / "layer-3.md").is_file()
    pytest.importorskip("jinja2", reason="Jinja2 is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert run(script, "report", "--html", cwd=folder).code == 0
    assert (folder / "reports" / "html" / "networks" / "small" / "layer-3.html").is_file()
