"""The command: what it prints, what it hands to the check, how it exits. The check is a stand-in here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backproof.cli import parser
from backproof.errors import BackproofError
from backproof.tracing import command
from tests.cli_support import spawn
from tests.test_trace_bad_input import STEP
from tests.tracing_support import SCRIPTS, Check, kept, variant, written

PLAIN = SCRIPTS / "plain_functions.py"


def trace(check, *arguments):
    return command.run(parser().parse_args(["trace", *map(str, arguments)]), check)


@pytest.mark.parametrize(
    ("verdicts", "code", "last"),
    [
        (["rounding", "rounding", "rounding"], 0, "plain_functions.py: rounding (3 steps judged)"),
        (["rounding", "suspect", "rounding"], 1, "plain_functions.py: suspect (3 steps judged)"),
        (["bug", "rounding", "suspect"], 1, "plain_functions.py: bug (3 steps judged)"),
    ],
)
def test_one_verdict(capsys, verdicts, code, last):
    assert trace(Check(*verdicts), PLAIN) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_what_the_check_is_given(tmp_path):
    check = Check()
    trace(check, PLAIN, tmp_path)
    assert len(check.calls) == 3
    for number, (arrays, activations, loss, more) in enumerate(check.calls):
        assert activations is None and loss is None
        assert more["learning_rate"] == 0.1 and more["places"]["Z1"].startswith("plain_functions.py:")
        for key, value in kept(tmp_path, number).items():
            assert np.array_equal(arrays[key], value), key


def test_options_reach_the_check():
    check = Check()
    options = ("--steps", 1, "--activations", "relu,softmax", "--loss", "cross_entropy", "--learning-rate", 0.25)
    trace(check, *options, PLAIN)
    ((_, activations, loss, more),) = check.calls
    assert (activations, loss, more["learning_rate"]) == (["relu", "softmax"], "cross_entropy", 0.25)


def test_what_was_found_and_what_was_not(capsys):
    trace(Check(), "--steps", 1, PLAIN)
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    line = PLAIN.read_text(encoding="utf-8").splitlines().index("    Z1 = W1.dot(X) + b1") + 1
    assert rows["Z1"] == ["Z1", "Z1", f"plain_functions.py:{line}", "7", "×", "41"]
    assert rows["learning_rate"][1] == "alpha" and rows["learning_rate"][-1] == "0.1"
    assert "Not found: loss, dA1. Arrays seen whose names mean nothing here: labels_all" in shown


def test_names_and_mappings(tmp_path, capsys):
    script = variant(tmp_path, "while_loop", ("grad_bias_output", "ping"), ("grad_bias_hidden", "pong"))
    (tmp_path / "names.toml").write_text('ping = "db2"\n', encoding="utf-8")
    (tmp_path / "names.json").write_text('{"ping": "db1"}', encoding="utf-8")
    for options in (["--names", "ping=db2"], ["--mapping", tmp_path / "names.toml"]):
        check = Check()
        trace(check, "--steps", 1, *options, script)
        assert "db2" in check.calls[0][0] and "db1" not in check.calls[0][0]
    check = Check()
    trace(check, "--steps", 1, "--mapping", tmp_path / "names.json", "--names", "ping=db2,pong=db1", script)
    assert {"db1", "db2"} <= set(check.calls[0][0])  # --names goes before the file


def test_json(tmp_path):
    trace(Check("bug", "rounding"), "--steps", 2, "--json", tmp_path / "out.json", PLAIN)
    facts = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert facts["verdict"] == "bug" and [step["result"]["verdict"] for step in facts["steps"]] == ["bug", "rounding"]
    assert facts["steps"][0]["found"]["dW1"]["name"] == "dW1" and facts["steps"][0]["missing"] == ["loss", "dA1"]


def refuse(arrays, *rest, **more):
    raise BackproofError("no network can be inferred")


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(BackproofError, match=r"plain_functions\.py: no network can be inferred"):
        trace(refuse, PLAIN)


@pytest.mark.parametrize(("verdict", "code"), [("bug", 1), ("rounding", 2)])
def test_a_step_that_cannot_be_judged_does_not_hide_the_others(verdict, code, capsys):
    check = Check("rounding", verdict)

    def once(arrays, *rest, **more):
        if not check.calls:
            check(arrays)
            raise BackproofError("not this one")
        return check(arrays)

    assert trace(once, "--steps", 2, PLAIN) == code
    shown = capsys.readouterr().out
    assert "Step 0: not judged: not this one" in shown and f"{verdict} (1 step judged, 1 not)" in shown


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise ValueError('diverged')", "the script raised theirs.py:19: ValueError: diverged"),
        ("import time; time.sleep(1000)", "the script was stopped when its time was up (--timeout)"),
        ("import sys; sys.exit(4)", "the script ended: it called sys.exit(4)"),
        ("pass", "2 steps judged)"),
    ],
)
def test_how_the_script_ended_is_told(tmp_path, capsys, end, said):
    assert trace(Check(), "--timeout", 2, written(tmp_path, f"{STEP}step()\nstep()\n{end}\n")) == 0
    assert said in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(("options", "shown"), [([], False), (["--show-output"], True), (["--hide-output"], False)])
def test_the_scripts_own_printing(tmp_path, options, shown):
    script = written(tmp_path, "import sys\nprint('to out')\nprint('to err', file=sys.stderr)\nsys.exit(1)\n")
    outcome = spawn("trace", *options, script)
    assert outcome.code == 2
    assert ("to out" in outcome.out) == shown and ("to err" in outcome.err) == shown


def test_everything_after_the_script_is_the_scripts(tmp_path):
    options = parser().parse_args(["trace", "--steps", "2", "a.py", "--steps", "5", "--help", "-x"])
    assert (options.steps, options.arguments) == (2, ["--steps", "5", "--help", "-x"])
