"""``--threads``: every implementation computes with so many, and with one a run repeats bit for bit."""

from __future__ import annotations

import pytest

from tests.cli_support import INSTALLED, call, enter, faulty, project, spawn, summary_of

RUN = ("--samples", 300, "--steps", 3)
GREEDY = faulty("pass").replace("honest, threads,", "honest,") + "\ndef threads(): return 64\n"


@pytest.mark.parametrize("implementation", INSTALLED)
def test_with_one_thread_a_run_repeats_bit_for_bit(tmp_path, implementation):
    """In two processes: the files of all steps, with their checksums."""
    for name in "ab":
        arguments = ("five_layer", "--implementation", implementation, "--output", tmp_path / name, "--threads", 1)
        outcome = spawn("record", *arguments, *RUN)
        assert outcome.code == 0, outcome.err
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab")
    assert first.keys() == second.keys() and any(name.endswith(".safetensors") for name in first)
    for name, content in first.items():
        assert content == second[name], f"{name} differs"


def test_every_implementation_is_limited_and_says_so(tmp_path):
    arguments = ("verify", "two_layer", *RUN, "--threads", 1, "--implementation", *INSTALLED, "--output", tmp_path)
    outcome = spawn(*arguments)
    assert outcome.code == 0, outcome.err
    sources = summary_of(tmp_path)["environment"]["implementations"]
    assert {name: source["threads"] for name, source in sources.items()} == dict.fromkeys(INSTALLED, 1)


def test_less_than_one(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path), monkeypatch)
    call(capsys, "verify", *RUN, "--threads", 0).refused("--threads", "at least 1", "0")


def test_an_implementation_that_does_not_let_itself_be_limited(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, GREEDY), monkeypatch)
    call(capsys, "verify", *RUN, "--threads", 2).refused("'mine' computes with 64 threads", "limit_threads")


def test_an_implementation_that_fails_to_limit_itself(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, GREEDY + "def limit_threads(number): raise RuntimeError('no')\n"), monkeypatch)
    call(capsys, "verify", *RUN, "--threads", 2).refused("'mine' raised RuntimeError", "limited to 2 threads")


def test_recordings_have_their_threads_already(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path), monkeypatch)
    call(capsys, "verify", "--recordings", "x", "--threads", 1).refused("--recordings", "--threads")


def test_jax_refuses_when_its_pool_is_made(monkeypatch):
    jax = pytest.importorskip("jax")
    from backproof.errors import BackproofError
    from implementations import jax_threads

    jax.numpy.zeros(1).block_until_ready()
    before = jax_threads.threads()
    monkeypatch.setenv("PJRT_NPROC", str(before))
    devices = jax.config.jax_num_cpu_devices
    with pytest.raises(BackproofError, match="limit them before JAX is used"):
        jax_threads.limit_threads(before + 1)
    assert jax_threads.threads() == before
    jax_threads.limit_threads(before)  # what it has already
    assert jax.config.jax_num_cpu_devices == devices
