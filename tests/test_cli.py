"""The command line itself: help, exit codes, places it is called from, interruptions, what it prints where."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from backproof import __version__, commands
from backproof.cli import main, parser
from tests.cli_support import call, enter, environment, faulty, files_in, project, spawn, summary_of
from tests.support import IMPLEMENTATIONS, ROOT, SUITE

RUN = ("verify", "--samples", "12", "--steps", "2")
HEAVY = {"numpy", "torch", "jax", "jaxlib", "sklearn", "scipy", "pooch", "tabulate", "tqdm", "safetensors"}
HEAVY |= {"jinja2", "matplotlib"}
COMMANDS = ("networks", "verify", "record", "check", "compare", "trace", "report", "diff", "gate")
AS_TYPED = """\
import signal, sys
from backproof.cli import main
# A runner in the background may have had SIGINT ignored for all its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments: object, cwd: Path, **pipes: int) -> subprocess.Popen[str]:
    """The command line in a process that is still running."""
    command = [sys.executable, "-c", AS_TYPED, *map(str, arguments)]
    # Empty is unset: a buffered output fails when it is flushed, and only then.
    return subprocess.Popen(command, cwd=cwd, env=environment(PYTHONUNBUFFERED=""), text=True, **pipes)


# Help


@pytest.mark.parametrize("arguments", ["--help", "--version", *(f"{command} --help" for command in COMMANDS)])
def test_help_is_light(arguments):
    outcome = spawn(*arguments.split(), flags=["-X", "importtime"])
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in outcome.err.splitlines()}
    assert outcome.code == 0 and outcome.out
    assert "argparse" in imported and "backproof" in imported  # the list is what it should be
    assert not imported & HEAVY


def test_help_says_every_command_and_exit_code(capsys):
    shown = call(capsys, "--help").out
    assert all(f"\n    {command} " in shown for command in COMMANDS)
    assert "exit codes: 0 " in shown and "; 1 " in shown and "; 2 " in shown


def test_every_option_says_what_it_does():
    for command, subparser in parser()._subparsers._group_actions[0].choices.items():
        for action in subparser._actions:
            assert action.help or command == "compare", (command, action.dest)


def test_version(capsys):
    assert call(capsys, "--version").out == f"backproof {__version__}\n"


def test_networks_lists_what_is_configured(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    outcome = call(capsys, "networks")
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    for network in SUITE:
        assert network.architecture in rows[network.name] and network.loss in rows[network.name]
    assert all(name in rows["implementations:"] for name in IMPLEMENTATIONS)


def test_networks_says_what_is_not_installed(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, "import no_such_framework_anywhere\n"), monkeypatch)
    outcome = call(capsys, "networks")
    assert outcome.code == 0 and "mine (not installed)" in outcome.out


def test_networks_imports_no_implementation(tmp_path, capsys, monkeypatch):
    """Frameworks take seconds; and a module that is broken is told of where it is used."""
    code = (
        "import sys; from backproof.cli import main; main(['networks'])\n"
        "print(sorted({'torch', 'jax', 'implementations', 'reference'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("\n[]\n")
    enter(project(tmp_path, "1 / 0\n"), monkeypatch)
    outcome = call(capsys, "networks")
    assert outcome.code == 0 and "implementations: mine\n" in outcome.out
    call(capsys, *RUN).refused("ZeroDivisionError")


# Exit codes


def test_0_rounding_and_1_a_bug(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path / "honest"), monkeypatch)
    good = call(capsys, *RUN)
    assert (good.code, good.err) == (0, "") and "All within rounding: 48 of 48 equations of 1 runs" in good.out
    assert call(capsys, "report").code == 0
    enter(project(tmp_path / "faulty", faulty('tensors["db1"] = tensors["db1"] * 2')), monkeypatch)
    bad = call(capsys, *RUN)
    assert (bad.code, bad.err) == (1, "") and "Bug: 1 of 1 runs are not within rounding" in bad.out
    assert call(capsys, "report").code == 1
    call(capsys, "record", "small", "--implementation", "mine", *RUN[1:], "--output", "r")
    checked = call(capsys, "check", "r")
    assert checked.code == 1 and "bug at step 0, layer 1, db1: " in checked.out


def test_check_of_several_fails_if_one_does(tmp_path, capsys, monkeypatch):
    options = ("record", "small", "--implementation", "mine", *RUN[1:], "--output")
    enter(project(tmp_path / "honest"), monkeypatch)
    assert call(capsys, *options, tmp_path / "a").code == 0
    enter(project(tmp_path / "faulty", faulty('tensors["A2"] = np.abs(tensors["A2"])')), monkeypatch)
    assert call(capsys, *options, tmp_path / "b").code == 0
    assert call(capsys, "check", tmp_path / "a").code == 0
    for order in ("ab", "ba"):
        outcome = call(capsys, "check", *(tmp_path / name for name in order))
        assert outcome.code == 1 and outcome.out.count("All within rounding") == 1
    compared = call(capsys, "compare", tmp_path / "a", tmp_path / "b")
    assert compared.code == 1 and "A: All within rounding" in compared.out and "B: BUG" in compared.out


# Reports again


def test_report_renders_the_same_bytes(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path), monkeypatch)
    first = call(capsys, *RUN)
    before = files_in(tmp_path / "reports")
    for path in (tmp_path / "reports").rglob("*.md"):
        path.unlink()
    again = call(capsys, "report")
    assert files_in(tmp_path / "reports") == before
    assert (again.code, again.out) == (0, first.out)


# Places


def test_from_a_subfolder_and_from_outside(tmp_path):
    folder, outside = project(tmp_path / "p"), tmp_path / "elsewhere"
    (folder / "deep").mkdir()
    outside.mkdir()
    inside = spawn(*RUN, cwd=folder / "deep")
    assert inside.code == 0, inside.err
    assert summary_of(folder / "reports")["verdict"] == "rounding"
    assert files_in(folder / "deep") == {}
    assert spawn("report", cwd=folder / "deep").out == inside.out
    assert spawn("report", "--output", folder / "reports", cwd=outside).out == inside.out
    spawn("report", cwd=outside).refused("summary.json", "backproof verify")
    assert files_in(outside) == {}


# Interruptions


SLOW = "if step.index == 1:\n    import time\n    print('waiting', flush=True)\n    time.sleep(60)\n"


def test_interrupted(tmp_path, capsys, monkeypatch):
    folder = project(tmp_path)
    enter(folder, monkeypatch)
    assert call(capsys, *RUN).code == 0
    assert (folder / "reports" / "summary.json").exists()
    project(tmp_path, faulty(SLOW))
    process = start(*RUN, "--keep-recordings", cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    process.send_signal(2)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and out == ""
    assert err.startswith("backproof: interrupted") and err.count("\n") == 1
    assert not (folder / "reports" / "summary.json").exists()
    assert not (folder / "reports" / "README.md").exists()
    recording = folder / "reports" / "recordings" / "small" / "mine"
    call(capsys, "report").refused("summary.json is missing")
    call(capsys, "check", recording).refused("incomplete")
    partial = call(capsys, "check", "--partial", recording)
    assert partial.code == 0 and "24 of 24 equations" in partial.out


def test_reader_that_is_gone(tmp_path):
    process = start("networks", cwd=project(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 2 and said == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written(tmp_path):
    with open("/dev/full", "w") as full:
        process = start("networks", cwd=project(tmp_path), stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("backproof: error: No space left on device") and "Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("check", "nowhere"), ("verfy",)])
def test_errors_that_cannot_be_written(tmp_path, arguments):
    with open("/dev/full", "w") as full:
        process = start(*arguments, cwd=project(tmp_path), stdout=subprocess.PIPE, stderr=full)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")


@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [("2>&-", "check nowhere", 2), (">&-", "networks", 0), (">&- 2>&-", "check nowhere", 2), (">&-", "--help", 0)],
)
def test_streams_that_are_closed(tmp_path, closed, arguments, code):
    shell = f'exec "$0" -m backproof {arguments} {closed}'
    ended = subprocess.run(
        ["sh", "-c", shell, sys.executable], cwd=project(tmp_path), env=environment(), capture_output=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, b"", b"")


# Errors of the program itself


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("first\nsecond"), "ZeroDivisionError: first ("),
        (MemoryError(), "MemoryError ("),
        (RecursionError("too deep"), "RecursionError: too deep ("),
        (AssertionError(""), "AssertionError ("),
    ],
)
def test_an_unforeseen_error_is_one_line_and_no_finding(capsys, monkeypatch, error, said):
    def fail(options):
        raise error

    monkeypatch.setattr(commands, "networks", fail)
    monkeypatch.delenv("BACKPROOF_TRACEBACK", raising=False)
    line = call(capsys, "networks").refused("internal error: " + said)
    assert line.endswith(f"({__file__}:{fail.__code__.co_firstlineno + 1})")
    monkeypatch.setenv("BACKPROOF_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["networks"])


def test_code_that_ends_the_process_is_no_pass(capsys, monkeypatch):
    monkeypatch.setattr(commands, "networks", lambda options: sys.exit(0))
    call(capsys, "networks").refused("ended the process", "SystemExit: 0")


# Streams


def on_a_terminal(folder: Path) -> str:
    """What a verify writes to a standard error that is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))  # a new terminal has no columns, and nothing is drawn in none
    process = start(*RUN, cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    # Linux ends a terminal's stream with an error and not with an empty read.
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return said.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def test_progress_on_a_terminal_only(tmp_path):
    folder = project(tmp_path)
    assert "step" in on_a_terminal(folder)
    assert spawn(*RUN, cwd=folder).err == ""


def test_an_encoding_without_our_signs(tmp_path):
    folder = project(tmp_path)
    assert spawn("record", "small", "--implementation", "mine", *RUN[1:], "--output", "r", cwd=folder).code == 0
    outcome = spawn("check", "r", cwd=folder, PYTHONIOENCODING="ascii")
    assert outcome.code == 0 and outcome.err == "" and "Z1 = W1?X + b1" in outcome.out


def test_main_returns_its_code(tmp_path, monkeypatch, capsys):
    enter(project(tmp_path), monkeypatch)
    assert main(list(RUN)) == 0
    assert json.loads((tmp_path / "reports" / "summary.json").read_text())["verdict"] == "rounding"
    assert "All within rounding" in capsys.readouterr().out
