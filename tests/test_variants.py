"""Variants in a configuration: how a line is read, what it makes of a module, and every way it can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from backproof import config
from backproof.recording import Recording
from backproof.rounding import rounded
from backproof.runs import steps_of
from backproof.variants import by_format
from tests.cli_support import SMALL, call, enter, project, summary_of
from tests.refusals import refusal
from tests.support import BY_NAME, ROOT, training

OPTIONS = """\
from types import SimpleNamespace
from reference.network import record, threads, train, versions

def variant(layer="dot", jit=True):
    if layer == "broken":
        raise RuntimeError("no such layer")
    return SimpleNamespace(**({} if layer == "nothing" else globals()))
"""
RUN = ("--samples", 20, "--steps", 2)


def configured(folder, line, code=OPTIONS):
    """A project whose implementation ``mine`` has one variant, ``other``."""
    return config.require(project(folder, code, f"{SMALL}[tool.backproof.variants]\n{line}\n"))


BAD_LINES = {
    "no table": ('other = "mine"', ["variants.other", "must be a table"]),
    "of nothing": ("other = { jit = false }", ["variants.other", "of = None", "mine"]),
    "of an unknown one": ('other = { of = "yours", jit = false }', ["of = 'yours'", "known are: mine"]),
    "dtype": ('other = { of = "mine", dtype = "float8" }', ["unknown dtype 'float8'", "bfloat16"]),
    "dtype as a number": ('other = { of = "mine", dtype = 32 }', ["unknown dtype 32"]),
    "nothing else": ('other = { of = "mine" }', ["says nothing but of = 'mine'"]),
    "an implementation's name": ('mine = { of = "mine", jit = false }', ["'mine' is an implementation's name"]),
    "the name all": ('all = { of = "mine", jit = false }', ["'all' stands for all of them"]),
    "name": ('"a b" = { of = "mine", jit = false }', ["'a b'", "letters, digits"]),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_line_that_is_wrong(tmp_path, case):
    line, words = BAD_LINES[case]
    message = refusal(lambda: configured(tmp_path, line))
    assert all(word in message for word in ("pyproject.toml", *words)), message


BAD_OPTIONS = {
    "option": ("jti = false", OPTIONS, ["unknown option 'jti'; did you mean 'jit'?", "known are: dtype, layer, jit"]),
    "format": ('dytpe = "float64"', OPTIONS, ["unknown option 'dytpe'; did you mean 'dtype'?"]),
    "raises": ('layer = "broken"', OPTIONS, ["RuntimeError", "when it was made", "no such layer"]),
    "makes nothing": ('layer = "nothing"', OPTIONS, ["lacks record, train, versions, threads"]),
    "takes no options": (
        "jit = false", OPTIONS.replace("def variant", "def other"), ["has no function variant(**options)", "jit"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_options_that_are_wrong(tmp_path, case, capsys, monkeypatch):
    option, code, words = BAD_OPTIONS[case]
    enter(configured(tmp_path, f'other = {{ of = "mine", {option} }}', code).root, monkeypatch)
    call(capsys, "verify", *RUN, "--implementation", "other").refused("implementation 'other'", *words)
    assert call(capsys, "verify", *RUN).code == 0  # where it is not asked for, it is not looked at


@pytest.mark.parametrize(
    ("framework", "option", "words"),
    [
        ("torch", {"layer": "dot"}, ["layer = 'dot'", "linear, autograd_function"]),
        ("torch", {"gradients": "jacobian"}, ["gradients = 'jacobian'", "backward, func"]),
        ("torch", {"compile": "aot"}, ["compile = 'aot'", "aot_eager"]),
        ("torch", {"compile": "aot_eager", "gradients": "func"}, ["gradients = 'func'", "choose backward"]),
        ("jax", {"layer": "linear"}, ["layer = 'linear'", "dot, custom_vjp"]),
        ("jax", {"jit": "no"}, ["jit = 'no'", "True, False"]),
        ("jax", {"jit": 0}, ["jit = 0", "True, False"]),
    ],
)
def test_values_that_the_suites_own_do_not_know(framework, option, words):
    pytest.importorskip(framework)
    message = refusal(lambda: config.require(ROOT).implementation(framework).variant(**option))
    assert all(word in message for word in words), message


def test_only_what_is_named_is_run(tmp_path, capsys, monkeypatch):
    enter(configured(tmp_path, 'other = { of = "mine", jit = false }').root, monkeypatch)
    for names, wanted in (([], {"mine"}), (["other"], {"other"}), (["all"], {"mine", "other"})):
        assert call(capsys, "verify", *RUN, *(["--implementation", *names] if names else [])).code == 0
        assert summary_of(tmp_path / "reports")["networks"]["small"]["implementations"].keys() == wanted
    assert "\nvariants: other\n" in call(capsys, "networks").out
    call(capsys, "verify", "--implementation", "otter").refused("did you mean 'other'?", "known are: mine, other")


@pytest.mark.parametrize(("dtype", "roundoff"), [("float64", 2**-53), ("bfloat16", 2**-8)])
def test_its_own_format_has_its_own_pages(tmp_path, capsys, monkeypatch, dtype, roundoff):
    pytest.importorskip("ml_dtypes")
    enter(configured(tmp_path, f'other = {{ of = "mine", dtype = "{dtype}" }}').root, monkeypatch)
    outcome = call(capsys, "verify", *RUN, "--implementation", "all", "--keep-recordings")
    assert outcome.code == 0, outcome.out + outcome.err
    facts, own = tmp_path / "reports", f"small-{dtype}"
    networks = summary_of(facts)["networks"]
    assert {name: list(found["implementations"]) for name, found in networks.items()} == {
        "small": ["mine"], own: ["other"]
    }  # fmt: skip
    assert "dtype" not in networks["small"] and networks["small"]["unit_roundoff"] == 2**-24
    assert networks[own]["dtype"] == dtype and networks[own]["unit_roundoff"] == roundoff
    assert networks[own]["implementations"]["other"]["agreement"]["fraction"] <= 1
    assert f"2 steps, {dtype} (unit roundoff" in (facts / own / "layer-1.md").read_text()
    folder = facts / "recordings" / own / "other"
    assert Recording(folder).dtype.name == dtype and call(capsys, "check", folder).code == 0
    page = (facts / own / "layer-1.md").read_bytes()
    accepted = call(capsys, "gate", "--update-baseline", "--reason", "the first")
    assert accepted.code == 0, accepted.err
    assert call(capsys, "gate").code == 0
    assert call(capsys, "report").code == 0 and (facts / own / "layer-1.md").read_bytes() == page


def test_a_network_that_has_the_name_of_those_pages(tmp_path, capsys, monkeypatch):
    other = SMALL + SMALL.replace("small", "small-float64")
    line = '[tool.backproof.variants]\nother = { of = "mine", dtype = "float64" }\n'
    enter(project(tmp_path, OPTIONS, other + line), monkeypatch)
    words = ("'small-float64'", "rename the network")
    call(capsys, "verify", *RUN, "--implementation", "other").refused(*words)
    assert call(capsys, "verify", *RUN).code == 0


def test_in_the_format_of_the_run_it_stands_beside_the_others(tmp_path, capsys, monkeypatch):
    enter(configured(tmp_path, 'other = { of = "mine", dtype = "float64" }').root, monkeypatch)
    assert call(capsys, "verify", *RUN, "--implementation", "all", "--dtype", "float64").code == 0
    (facts,) = summary_of(tmp_path / "reports")["networks"].values()
    assert facts["implementations"].keys() == {"mine", "other"} and "dtype" not in facts


def test_record_takes_its_format(tmp_path, capsys, monkeypatch):
    enter(configured(tmp_path, 'other = { of = "mine", dtype = "float64" }').root, monkeypatch)
    arguments = ("small", "--implementation", "other", *RUN, "--output", tmp_path / "r")
    assert call(capsys, "record", *arguments).code == 0
    assert Recording(tmp_path / "r").dtype == np.float64


def test_a_mistake_in_a_variant_is_a_bug(tmp_path, capsys, monkeypatch):
    code = OPTIONS.replace("globals())", "{**globals(), 'record': wrong})") + (
        "\nfrom backproof.training import Step\n"
        "def wrong(training):\n"
        "    for step in record(training):\n"
        "        yield Step(step.index, step.samples, {**step.tensors, 'dW2': step.tensors['dW2'] * 2})\n"
    )
    enter(configured(tmp_path, 'other = { of = "mine", jit = false, dtype = "float64" }', code).root, monkeypatch)
    outcome = call(capsys, "verify", *RUN, "--implementation", "all")
    assert outcome.code == 1 and "First: small-float64 by other, step 0, layer 2, dW2" in outcome.out


def test_another_format_than_its_own_is_refused(tmp_path):
    module = configured(tmp_path, 'other = { of = "mine", dtype = "float64" }').implementation("other")
    given = training(BY_NAME["two_layer"], m=8)
    for run in (lambda: next(steps_of("other", module, given)), lambda: module.train(given)):
        assert "trains in float64 only, and was given float32" in refusal(run)
    assert list(by_format({"a": module}, "float32")) == ["float64"]


def test_rounded_once():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    tie = np.array([1 + 2**-8 + 2**-40, 1 + 2**-8 - 2**-40, 1 + 2**-8, -1 - 2**-8 - 2**-40, 0.0, -0.0, np.inf, 1e300])
    assert tie[:1].astype(bfloat16) == 1  # what ml_dtypes does: to float32 first, where the last bits are lost
    with np.errstate(over="ignore"):
        found = rounded(tie, bfloat16).astype(float).tolist()
    assert found == [1 + 2**-7, 1.0, 1.0, -1 - 2**-7, 0.0, -0.0, np.inf, np.inf]
    generator = np.random.default_rng(0)
    exact = generator.normal(size=100_000) * 2.0 ** generator.integers(-100, 100, 100_000)
    step = 2.0 ** (np.floor(np.log2(np.abs(exact))) - 7)
    assert (np.abs(rounded(exact, bfloat16).astype(float) - exact) <= step / 2).all()
    assert rounded(exact, "float32").tobytes() == exact.astype("float32").tobytes()
