"""The gate: what closes it, where it says that, and what it only reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backproof.gate import baseline
from backproof.gate.change import Kind
from backproof.gate.facts import Key, of_summary
from backproof.gate.judge import FEW, FLOOR, GROWTH, GROWTH_ELSEWHERE, Judgement, compare
from tests.cli_support import call
from tests.gate_support import check, kept, written

Z1, Z2 = Key("one", "torch", 1, "Z1", "equation"), Key("one", "torch", 2, "Z2", "equation")


def judged(folder: Path, after: Any = None, before: Any = None) -> Judgement:
    """What the gate says of a changed summary, beside a changed baseline."""
    return compare(baseline.read(kept(folder, before)).facts, of_summary(written(folder / "new", after)))


def test_the_same_run_changes_nothing(tmp_path):
    found = judged(tmp_path)
    assert not found.changes and not found.notes
    assert found.checks == 2 * 2 * 4 * 2
    assert len(found.cases) == 2 * 2 * 3


def test_a_baseline_keeps_every_fact(tmp_path):
    path = kept(tmp_path, lambda s: check(s).update(fraction=None, verdict="bug", covered=7))
    facts = baseline.read(path).facts
    fresh = of_summary(tmp_path / "accepted" / "summary.json")
    assert facts.entries == fresh.entries and facts.networks == fresh.networks
    assert facts.entries[Z1] == (float("inf"), 2, 7, 10, FEW)
    assert (baseline.read(path).reason, baseline.read(path).date) == ("because", "2026-01-31")


def test_a_baseline_has_the_same_bytes_each_time(tmp_path):
    first = kept(tmp_path / "a").read_bytes()
    assert first == kept(tmp_path / "b").read_bytes()

    def in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)
        return dict(pairs)

    json.loads(first, object_pairs_hook=in_order)


def another_seed(content: Any) -> None:
    """Other initial weights of one network."""
    content["networks"]["one"]["initial_hash"] = "other"


def vanish(path: str) -> Any:
    """Remove what stands at a path of keys."""
    *way, last = path.split(".")

    def change(content: Any) -> None:
        for key in way:
            content = content[key]
        del content[last]

    return change


def both(content: Any, name: str) -> None:
    """An implementation leaves a network as a whole."""
    one = content["networks"]["one"]
    del one["implementations"][name]
    for layer in one["layers"].values():
        for kind in layer.values():
            for entry in kind.values():
                del entry["by"][name]


FINDING = {"quantity": "Z1", "layer": 1, "kind": "equation", "step": 3, "message": "the cause"}
CLOSES = {
    "a verdict": (lambda s: check(s).update(verdict="suspect"), Kind.VERDICT, Z1),
    "a verdict end to end": (
        lambda s: check(s, kind="agreement").update(verdict="bug"), Kind.VERDICT, Z1._replace(check="agreement")
    ),
    "headroom": (lambda s: check(s, "Z2").update(fraction=0.3 * GROWTH + 0.01), Kind.HEADROOM, Z2),
    "headroom of another seed": (
        lambda s: (another_seed(s), check(s, "Z2").update(fraction=0.3 * GROWTH_ELSEWHERE + 0.01)), Kind.HEADROOM, Z2
    ),
    "headroom from nothing": (
        lambda s: check(s, "loss").update(fraction=FLOOR["equation"] + 0.01), Kind.HEADROOM,
        Key("one", "torch", 2, "loss", "equation"),
    ),
    "headroom end to end": (
        lambda s: check(s, "loss", "agreement").update(fraction=FLOOR["agreement"] + 0.01), Kind.HEADROOM,
        Key("one", "torch", 2, "loss", "agreement"),
    ),
    "not finite": (lambda s: check(s).update(fraction=None), Kind.HEADROOM, Z1),
    "coverage": (lambda s: check(s).update(covered=9), Kind.COVERAGE, Z1),
    "coverage with its step": (lambda s: check(s).update(covered=9, steps=9), Kind.COVERAGE, Z1),
    "coverage end to end": (
        lambda s: check(s, kind="agreement").update(steps=9), Kind.COVERAGE, Z1._replace(check="agreement")
    ),
    "coverage of elements": (lambda s: check(s).update(vacuous=FEW // 2 + 7), Kind.COVERAGE, Z1),
    "a run": (
        lambda s: s["networks"]["one"]["implementations"]["jax"].update(verdict="bug"), Kind.VERDICT, Key("one", "jax")
    ),
    "a run's coverage": (
        lambda s: s["networks"]["one"]["implementations"]["jax"]["coverage"].update(checked=39), Kind.COVERAGE,
        Key("one", "jax"),
    ),
    "a network": (vanish("networks.two"), Kind.VANISHED, Key("two")),
    "an implementation": (lambda s: both(s, "jax"), Kind.VANISHED, Key("one", "jax")),
    "a layer": (vanish("networks.one.layers.2"), Kind.VANISHED, Key("one", "jax", 2)),
    "a check": (vanish("networks.one.layers.1.equations.Z1.by.torch"), Kind.VANISHED, Z1),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSES)
def test_what_closes_the_gate(name, tmp_path):
    change, kind, key = CLOSES[name]
    found = judged(tmp_path, after=change)
    assert (found.failures[0].kind, found.failures[0].key) == (kind, key)
    assert len(found.failures) == (2 if name == "a layer" else 1)  # it is one of both implementations


@pytest.mark.parametrize("name", [name for name, (_, kind, _) in CLOSES.items() if kind is Kind.VANISHED])
def test_what_appears_closes_the_gate_too(name, tmp_path):
    change, _, key = CLOSES[name]
    found = judged(tmp_path, before=change)
    assert (found.failures[0].kind, found.failures[0].key) == (Kind.APPEARED, key)


STAYS_OPEN = {
    "up to the factor": lambda s: check(s, "Z2").update(fraction=0.3 * GROWTH),
    "up to the factor of another seed": lambda s: (
        another_seed(s),
        check(s, "Z2").update(fraction=0.3 * GROWTH_ELSEWHERE),
    ),
    "elements of another seed": lambda s: (another_seed(s), check(s).update(vacuous=FEW + 5)),
    "half the elements": lambda s: check(s).update(vacuous=FEW // 2 + 6),
    "few elements": lambda s: check(s).update(fraction=0.9),
    "below the floor": lambda s: check(s, "loss").update(fraction=FLOOR["equation"]),
    "the last bit": lambda s: check(s).update(fraction=0.2001),
    "seed": lambda s: s["settings"].update(seed=1),
    "machine": lambda s: s["environment"].update(python="4"),
    "data": lambda s: s["networks"]["one"].update(data_hash="other"),
}


@pytest.mark.parametrize("name", STAYS_OPEN)
def test_what_leaves_it_open(name, tmp_path):
    few = (lambda s: check(s).update(elements=FEW + 5)) if name == "few elements" else None
    found = judged(tmp_path, after=STAYS_OPEN[name], before=few)
    assert not found.changes
    assert bool(found.notes) == (name in ("seed", "machine", "data") or "another seed" in name)


BETTER = {
    "verdict": (lambda s: check(s).update(verdict="suspect"), None),
    "coverage": (lambda s: check(s).update(covered=9), None),
    "headroom": (lambda s: check(s).update(fraction=0.9), None),
}


@pytest.mark.parametrize("name", BETTER)
def test_an_improvement_is_reported_and_not_absorbed(name, tmp_path):
    found = judged(tmp_path, before=BETTER[name][0])
    assert [(change.kind, change.key) for change in found.changes] == [(Kind.IMPROVED, Z1)]
    assert not found.failures


def test_an_accepted_bug_is_still_told(tmp_path):
    bug = BETTER["verdict"][0]
    assert [change.kind for change in judged(tmp_path, bug, bug).changes] == [Kind.STILL]


def test_the_first_finding_stands_before_its_echoes(tmp_path):
    def worse(content: Any) -> None:
        run = content["networks"]["one"]["implementations"]["torch"]
        run.update(verdict="bug", findings=[FINDING])
        check(content).update(verdict="bug", fraction=2.0)
        check(content, "dW1", "agreement").update(verdict="bug", fraction=900.0)

    found = judged(tmp_path, worse)
    assert [change.key for change in found.failures] == [
        Z1, Key("one", "torch", 1, "dW1", "agreement"), Key("one", "torch")
    ]  # fmt: skip
    assert "step 3: the cause" in found.failures[0].sentence


# The command


def gate(capsys: Any, folder: Path, *more: object) -> Any:
    return call(capsys, "gate", folder / "new" / "summary.json", "--baseline", folder / "baseline.json", *more)


def test_exit_codes(tmp_path, capsys):
    written(tmp_path / "new")
    assert gate(capsys, tmp_path).refused("baseline.json: missing", "--update-baseline")
    kept(tmp_path)
    passed = gate(capsys, tmp_path)
    assert passed.code == 0 and "The gate is open: no regression; 32 checks" in passed.out
    assert f"The report: {tmp_path / 'new' / 'README.md'}" in passed.out
    written(tmp_path / "new", CLOSES["a verdict"][0])
    failed = gate(capsys, tmp_path)
    assert failed.code == 1 and "The gate is closed: 1 verdict" in failed.out
    assert "one by torch, layer 1, Z1 (equation): rounding → suspect" in failed.out


def test_the_default_places_are_beside_the_project(tmp_path, capsys, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.backproof.networks.n]\nsizes=[1, 1]\nactivations=["softmax"]\n')
    written(tmp_path / "reports")
    kept(tmp_path).rename(tmp_path / "reports" / "baseline.json")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert call(capsys, "gate").code == 0


def test_a_difference_is_accepted_with_its_reason(tmp_path, capsys):
    path = kept(tmp_path)
    before = path.read_bytes()
    written(tmp_path / "new", CLOSES["a verdict"][0])
    gate(capsys, tmp_path, "--update-baseline").refused("--reason")
    gate(capsys, tmp_path, "--update-baseline", "--reason", " ").refused("--reason")
    gate(capsys, tmp_path, "--reason", "x").refused("--update-baseline")
    assert path.read_bytes() == before
    accepted = gate(capsys, tmp_path, "--update-baseline", "--reason", "torch 2.13 → 2.14\n\x1b[31m")
    assert accepted.code == 0
    assert (
        "rounding → suspect" in accepted.out and "Accepted: 1 verdict." in accepted.out and "\x1b" not in accepted.out
    )
    found = baseline.read(path)
    assert found.reason == "torch 2.13 → 2.14 \\x1b[31m" and found.date.startswith("20")
    assert gate(capsys, tmp_path).code == 0
    assert not list(tmp_path.glob("*.tmp"))


def test_a_first_baseline_is_accepted_explicitly(tmp_path, capsys):
    written(tmp_path / "new")
    made = gate(capsys, tmp_path, "--update-baseline", "--reason", "the first")
    assert made.code == 0 and "The first baseline: 32 checks." in made.out
    assert gate(capsys, tmp_path).code == 0


def test_other_settings_are_accepted_explicitly_only(tmp_path, capsys):
    kept(tmp_path)
    written(tmp_path / "new", lambda s: s["settings"].update(steps=11))
    gate(capsys, tmp_path).refused("not comparable: steps 10 there, 11 here")
    accepted = gate(capsys, tmp_path, "--update-baseline", "--reason", "longer")
    assert accepted.code == 0 and "accepted: steps 10 there, 11 here" in accepted.out
    assert gate(capsys, tmp_path).code == 0
