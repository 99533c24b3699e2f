"""Scripts and options that cannot be used: one clear line and exit code 2, and never a traceback of ours."""

from __future__ import annotations

import json
import time

import pytest

from tests.cli_support import call, spawn
from tests.tracing_support import SCRIPTS, run, variant, written

STEP = """\
import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6, 11)), np.eye(3)[:, rng.integers(0, 3, 11)]
W1, b1 = rng.normal(size=(5, 6)), rng.normal(size=(5, 1))
W2, b2 = rng.normal(size=(3, 5)), rng.normal(size=(3, 1))
def step():
    global W1, b1, W2, b2
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = np.exp(Z2) / np.exp(Z2).sum(axis=0)
    dZ2 = (A2 - Y) / 11
    dW2, db2 = dZ2 @ A1.T, dZ2.sum(axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * (1 - A1 * A1)
    dW1, db1 = dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True)
    W1, b1, W2, b2 = W1 - dW1, b1 - db1, W2 - dW2, b2 - db2
"""
"""A network whose steps are calls of one function."""


def traced(capsys, script, *options, arguments=()):
    return call(capsys, "trace", *options, script, *arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nx / 0\n", ["theirs.py:2: ZeroDivisionError: division by zero"]),
        ("def f(\n", ["theirs.py:1: SyntaxError"]),
        ("import no_such_module\n", ["theirs.py:1: ModuleNotFoundError", "no_such_module", "not installed"]),
        ("open('mnist_train.csv')\n", ["theirs.py:1: FileNotFoundError", "mnist_train.csv"]),
        ("n = input('how many? ')\n", ["theirs.py:1: EOFError", "asks for input"]),
        ("import sys\nsys.exit(3)\n", ["sys.exit(3)"]),
        ("import sys\nsys.exit('no data')\n", ["sys.exit('no data')"]),
        ("import sys\nsys.exit()\n", ["no complete training step", "no NumPy arrays"]),
        ("import os\nos._exit(0)\n", ["ended its process", "cannot be observed"]),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", ["SIGKILL"]),
        ("print('hello')\n", ["no complete training step", "no NumPy arrays"]),
        ("", ["no complete training step"]),
        ("raise KeyboardInterrupt\n", ["theirs.py:1: KeyboardInterrupt"]),
        ("class E(BaseException): pass\nraise E('two\\nlines')\n", ["theirs.py:2: E: two"]),
        ("import numpy\nfoo = numpy.ones((3, 2))\n", ["foo (theirs.py:2, 3 × 2)", "--names"]),
        (STEP + "Z1 = W1 @ X + b1\n", ["no complete training step", "Z1 (Z1, theirs.py:", "--names"]),
    ],
)  # fmt: skip
def test_a_script_without_a_step(tmp_path, capsys, text, words):
    traced(capsys, written(tmp_path, text)).refused("theirs.py", *words)


def test_an_error_in_a_module_of_its_own(tmp_path, capsys):
    written(tmp_path, "def f():\n    return {}['missing']\n", "helper.py")
    traced(capsys, written(tmp_path, "import helper\nhelper.f()\n")).refused("helper.py:2: KeyError")


def test_an_error_inside_a_library_is_placed_in_the_script(tmp_path, capsys):
    traced(capsys, written(tmp_path, "import json\njson.loads('{')\n")).refused("theirs.py:2: JSONDecodeError")


@pytest.mark.parametrize("name", ["missing.py", "notebook.ipynb", "."])
def test_no_such_script(tmp_path, capsys, name):
    (tmp_path / "notebook.ipynb").write_text("{}", encoding="utf-8")
    traced(capsys, tmp_path / name).refused(str(tmp_path / name))


def test_a_file_that_is_no_text(tmp_path, capsys):
    path = tmp_path / "theirs.py"
    path.write_bytes(b"\x00\xff\xfe")
    traced(capsys, path).refused("theirs.py")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], ["--steps 0"]),
        (["--timeout", "0"], ["--timeout"]),
        (["--timeout", "nan"], ["--timeout"]),
        (["--names", "hidden"], ["--names 'hidden'"]),
        (["--names", "hidden=Q"], ["'Q' is no quantity"]),
        (["--names", "=A1"], ["--names"]),
        (["--mapping", "nowhere.toml"], ["nowhere.toml"]),
        (["--timeout", "inf"], ["--timeout inf"]),
        (["--activations", "foo"], ["--activations", "'foo' of layer 1", "relu"]),
        (["--activations", "softmax,relu"], ["'softmax' of layer 1"]),
        (["--activations", ""], ["'' of layer 1"]),
        (["--loss", "bar"], ["--loss", "'bar'", "cross_entropy"]),
        (["--learning-rate", "nan"], ["--learning-rate nan"]),
        (["--learning-rate", "inf"], ["--learning-rate inf"]),
        (["--learning-rate", "0"], ["--learning-rate 0"]),
        (["--json", "nowhere/facts.json"], ["--json", "no folder nowhere"]),
        (["--json", "."], ["--json", "is a folder"]),
    ],
)
def test_options_are_refused_before_the_script_is_run(tmp_path, capsys, options, words):
    script = written(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w').close()\n" + STEP + "step()\nstep()\n")
    traced(capsys, script, *options).refused(*words)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"def f(\n", b"x = 1\n\0", b"x = '\xe9'\n"])
def test_a_script_that_does_not_compile(tmp_path, capsys, content):
    path = tmp_path / "theirs.py"
    path.write_bytes(content)
    traced(capsys, path).refused("theirs.py", "does not compile", "SyntaxError")


@pytest.mark.parametrize(
    ("name", "content"),
    [("m.toml", "a = ["), ("m.toml", "a = 1"),
      ("m.json", "[]"), ("m.json", "{"), ("m.json", '{"a": "B1"}'), ("m.json", "\xff")],
)  # fmt: skip
def test_mappings(tmp_path, capsys, name, content):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    traced(capsys, SCRIPTS / "plain_functions.py", "--mapping", tmp_path / name).refused()


def test_usage(capsys):
    assert call(capsys, "trace").code == 2
    assert call(capsys, "trace", "--no-such-option", "a.py").code == 2


# Scripts that do not end by themselves


@pytest.mark.parametrize("catch", ["except:", "except BaseException:", "finally:"])
def test_a_script_that_catches_everything_is_stopped(tmp_path, catch):
    loop = f"while True:\n    try:\n        step()\n    {catch}\n        pass\n"
    began = time.monotonic()
    steps, ending = run(written(tmp_path, STEP + loop), timeout=25)
    assert len(steps) == 3 and ending.how == "enough"
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("wait", ["time.sleep(1000)", "while True: pass", "threading.Event().wait()"])
def test_a_script_that_waits_is_judged_on_what_was_seen(tmp_path, wait):
    steps, ending = run(written(tmp_path, f"import time, threading\n{STEP}step()\nstep()\n{wait}\n"), timeout=2)
    assert ending.how == "timeout" and "--timeout" in ending.said
    assert len(steps) == 2 and "W1_next" in steps[0].arrays


def test_a_script_that_waits_and_catches_everything(tmp_path):
    text = "import time\nwhile True:\n    try:\n        time.sleep(1000)\n    except BaseException:\n        pass\n"
    steps, ending = run(written(tmp_path, STEP + "step()\nstep()\n" + text), timeout=2)
    assert ending.how == "timeout" and len(steps) == 1  # what is open when it has to be killed is lost


def test_a_script_that_sleeps_before_any_step(tmp_path, capsys):
    traced(capsys, written(tmp_path, "import time\ntime.sleep(1000)\n"), "--timeout", 1).refused("--timeout")


def test_an_exit_after_complete_steps_loses_nothing(tmp_path):
    steps, ending = run(written(tmp_path, f"import os\n{STEP}step()\nstep()\nos._exit(1)\n"))
    assert ending.how == "gone" and "exit code 1" in ending.said
    assert len(steps) == 1


def test_an_error_after_complete_steps_is_told(tmp_path):
    script = written(tmp_path, STEP + "step()\nstep()\nraise ValueError('diverged')\n")
    steps, ending = run(script)
    assert len(steps) == 2 and ending.said.endswith("theirs.py:19: ValueError: diverged")


def test_a_script_that_replaces_what_the_capture_needs(tmp_path):
    names = ("asarray", "array_equal", "any", "all", "sum", "isclose", "vdot", "errstate", "save", "abs", "isfinite")
    patch = f"for name in {names}:\n    setattr(np, name, None)\nnp.linalg.norm = None\n"
    steps, ending = run(written(tmp_path, STEP + patch + "for _ in range(5):\n    step()\n"))
    assert len(steps) == 3 and ending.how == "enough" and "W2_next" in steps[0].arrays


def test_steps_in_a_thread(tmp_path):
    text = "import threading\nt = threading.Thread(target=lambda: [step() for _ in range(50)])\nt.start()\nt.join()\n"
    steps, ending = run(written(tmp_path, STEP + text))
    assert len(steps) == 3 and ending.how == "enough"


# What a script may do to its process


@pytest.mark.parametrize(
    "first",
    [
        "np.seterr(all='raise')",
        "import warnings; warnings.simplefilter('error')",
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = None",
        "import os, tempfile; os.chdir(tempfile.mkdtemp())",
        "import sys; sys.argv.clear()",
        "__name__ = 'other'",
    ],
)
def test_a_script_that_changes_its_surroundings(tmp_path, first):
    steps, _ = run(written(tmp_path, STEP.replace("rng =", f"{first}\nrng =", 1) + "for i in range(9): step()\n"))
    assert len(steps) == 3


def test_recursion_and_generators(tmp_path):
    deep = "def deep(n):\n    return deep(n - 1) if n else step()\n"
    many = "def many():\n    for i in range(9):\n        yield deep(50)\nlist(many())\n"
    assert len(run(written(tmp_path, STEP + deep + many))[0]) == 3


def test_odd_values_under_known_names(tmp_path):
    odd = "class P:\n    def __getattr__(self, n): raise RuntimeError\n    def __eq__(self, o): raise RuntimeError\n"
    names = "W3 = P(); Z3 = 'text'; A3 = None; dW3 = np.array([{}], dtype=object); b3 = np.zeros((0, 4)); loss = P()\n"
    nans = "dA1 = np.full((5, 11), np.nan); cache = {1: 2, None: 3, 'Z9': [P()]}; weights = [P(), [P()]]; lr = np.nan\n"
    steps, _ = run(
        written(
            tmp_path,
            STEP + odd + "for i in range(9):\n    " + (names + nans).replace("\n", "\n    ") + "\n    step()\n",
        )
    )
    assert len(steps) == 3


def test_the_script_has_its_own_arguments_and_folder(tmp_path, capsys):
    here = tmp_path / "here"
    here.mkdir()
    facts = "[sys.argv, os.getcwd(), sys.path[0], __name__, __file__]"
    script = written(tmp_path, f"import sys, os, json\njson.dump({facts}, open('out.json', 'w'))\n")
    outcome = spawn("trace", "--steps", 1, script, "--steps", "7", "-x", "a b", cwd=here)
    assert outcome.code == 2
    argv, folder, path, name, file = json.loads((here / "out.json").read_text(encoding="utf-8"))
    assert argv == [str(script), "--steps", "7", "-x", "a b"]
    assert (folder, path, name, file) == (str(here), str(tmp_path), "__main__", str(script))


def test_nothing_of_ours_is_on_the_scripts_path(tmp_path):
    """A module of the script's own wins over ours of the same name."""
    written(tmp_path, "NAME = 'theirs'\n", "capture.py")
    script = written(tmp_path, STEP + "import capture\nassert capture.NAME == 'theirs'\nfor i in range(9): step()\n")
    assert len(run(script)[0]) == 3


def test_no_traceback_of_ours(tmp_path):
    outcome = spawn("trace", "--show-output", written(tmp_path, "print('shown')\n1 / 0\n"))
    assert outcome.code == 2 and "shown" in outcome.out
    assert "Traceback" not in outcome.err and "theirs.py:2: ZeroDivisionError" in outcome.err


def test_without_matplotlib(tmp_path, capsys):
    written(
        tmp_path, "raise ModuleNotFoundError(\"No module named 'matplotlib'\", name='matplotlib')\n", "matplotlib.py"
    )
    traced(capsys, written(tmp_path, "import matplotlib\n")).refused("ModuleNotFoundError", "matplotlib")


def test_plots_never_block(tmp_path):
    check = "import os\nassert os.environ['MPLBACKEND'] == 'Agg'\n"
    script = written(tmp_path, check + STEP + "for i in range(9): step()\n")
    assert len(run(script)[0]) == 3


def test_weights_that_do_not_follow_are_said(tmp_path):
    changes = [
        ("W2 = np.random.rand(5, 7) - 0.5", "W2 = np.random.rand(5, 8) - 0.5"),
        ("Z2 = W2.dot(A1)", "Z2 = W2[:, :7].dot(A1)"),
        ("dW2 = 1 / m_train * dZ2.dot(A1.T)", "dW2 = np.zeros((5, 8)); dW2[:, :7] = dZ2.dot(A1.T)"),
        ("dZ1 = W2.T.dot", "dZ1 = W2[:, :7].T.dot"),
    ]
    steps, _ = run(variant(tmp_path, "plain_functions", *changes))
    assert any("do not follow one upon the other" in note for note in steps[0].notes)


def test_and_are_not_judged(capsys, tmp_path):
    """A column of ones holds the biases: nothing of it is called a bug."""
    ones = ("import numpy as np", "import numpy as np\nW1 = np.random.rand(5, 4)\nW2 = np.random.rand(3, 6)\n")
    text = ones[1] + (
        "X = np.vstack([np.random.rand(3, 8), np.ones((1, 8))]); Y = np.random.rand(3, 8)\n"
        "for i in range(4):\n"
        "    Z1 = W1 @ X\n    A1 = np.vstack([np.tanh(Z1), np.ones((1, 8))])\n    A2 = W2 @ A1\n"
        "    dZ2 = A2 - Y\n    dW2 = dZ2 @ A1.T\n    dZ1 = (W2[:, :-1].T @ dZ2) * (1 - np.tanh(Z1) ** 2)\n"
        "    dW1 = dZ1 @ X.T\n    W1 = W1 - 0.01 * dW1\n    W2 = W2 - 0.01 * dW2\n"
    )
    traced(capsys, written(tmp_path, text)).refused("do not follow one upon the other", "biases are inside")
