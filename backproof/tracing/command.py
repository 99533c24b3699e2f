"""``backproof trace``: run a script, say what was picked up, judge each step, end in one verdict."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backproof.errors import BackproofError
from backproof.report.tables import plain
from backproof.tracing.exchange import Traced
from backproof.tracing.names import canonical
from backproof.tracing.options import activations, checked
from backproof.tracing.session import Ending, trace
from backproof.tracing.step import UNCHAINED

WORST = ("rounding", "suspect", "bug")
MOST_NAMES = 12
"""Arrays without a meaning that are listed."""
HINT = "a name means something else here (--names theirs=W1,...), or the biases are inside of the weights"
Check = Callable[..., Any]


@dataclass(frozen=True)
class Judged:
    """A step and its result, or why it could not be judged."""

    step: Traced
    result: Any = None
    refused: str = ""


def run(options: argparse.Namespace, check: Check | None = None) -> int:
    """Trace, judge, print; 0 where all is rounding and 1 where it is not.

    Raises:
        BackproofError: no complete step was found, none could be judged, or an option is unusable.
    """
    checked(options)
    names = given_names(options.names, options.mapping)
    steps, ending = trace(options.script, options.arguments, names, options.steps, options.timeout, options.show_output)
    name = options.script.name
    if not steps:
        raise BackproofError(_nothing(name, ending))
    print(_found(name, steps[0], ending))
    check = check or _check_backprop()
    judged = [_judge(step, before, options, check) for step, before in zip(steps, [None, *steps[:-1]], strict=True)]
    if all(one.refused for one in judged):
        raise BackproofError(f"{name}: {judged[0].refused}")
    print("\n".join(_results(judged)))
    verdict = max((one.result.verdict for one in judged if not one.refused), key=WORST.index)
    print(f"\n{_sentence(name, verdict, judged, ending)}")
    if options.json is not None:
        facts = _facts(options, verdict, judged, ending)
        options.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if verdict != "rounding":
        return 1
    return 2 if any(one.refused for one in judged) else 0  # what could not be judged is no pass


def given_names(said: str | None, mapping: Path | None) -> dict[str, str]:
    """The user's names -> keys, from ``theirs=W1,...`` and from a TOML or JSON file of such pairs.

    Raises:
        BackproofError: a pair without ``=``, a key that is none, a file that cannot be read.
    """
    names: dict[str, str] = {}
    if mapping is not None:
        names |= _mapping(mapping)
    for pair in filter(None, (said or "").split(",")):
        name, equals, key = pair.partition("=")
        if not equals or not name.strip():
            raise BackproofError(f"--names {pair!r}: needs the script's name, =, and a quantity (hidden=A1)")
        names[name.strip()] = key.strip()
    for name, key in names.items():
        if canonical(key) is None:
            raise BackproofError(
                f"{name}={key}: {key!r} is no quantity; those are X, Y, loss, learning_rate, "
                "and W1, b1, Z1, A1, dA1, dZ1, dW1, db1 with the number of the layer, or without it for what belongs "
                "to the layer of the object that has it (self.a=A; self.a=X for its input)"
            )
    return {name.replace("'", '"'): key for name, key in names.items()}


def _mapping(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BackproofError(f"--mapping {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise BackproofError(f"--mapping {path}: neither TOML nor JSON (.json): {reason}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content.values()):
        raise BackproofError(f'--mapping {path}: needs pairs of the script\'s name and a quantity ("self.h" = "A1")')
    return content


def _check_backprop() -> Check:
    import backproof

    return backproof.check_backprop  # type: ignore[attr-defined, no-any-return, unused-ignore]


def _judge(step: Traced, before: Traced | None, options: argparse.Namespace, check: Check) -> Judged:
    if unchained := next((note for note in step.notes if note.startswith(UNCHAINED)), ""):
        return Judged(step, refused=f"{unchained}: {HINT}")
    rate = options.learning_rate if options.learning_rate is not None else step.learning_rate
    previous = None if before is None else before.arrays
    try:
        result = check(
            step.arrays,
            activations(options.activations),
            options.loss,
            learning_rate=rate,
            weight_decay=options.weight_decay,
            places=step.places,
            previous=previous,
        )
    except BackproofError as error:
        return Judged(step, refused=str(error))
    return Judged(step, result)


def _found(name: str, step: Traced, ending: Ending) -> str:
    rows = [
        [key, seen.label, seen.place or "-", _shape(step, key)]
        for key in (*step.expected, "learning_rate")
        if (seen := step.seen.get(key)) is not None
    ]
    lines = [f"Found in {name}, step 0:", "", plain(rows, ["quantity", "name", "made at", "shape"])]
    if step.missing:
        lines += ["", f"Not found: {', '.join(step.missing)}{_instead(ending)}"]
    lines += [f"Note: {note}." for note in step.notes]
    return "\n".join(lines)


def _shape(step: Traced, key: str) -> str:
    if key == "learning_rate":
        return f"{step.learning_rate:g}"
    return " × ".join(map(str, step.arrays[key].shape)) or f"{float(step.arrays[key]):.6g}"


def _instead(ending: Ending) -> str:
    seen = [f"{name} ({place}, {' × '.join(map(str, shape))})" for name, (place, shape) in ending.unnamed.items()]
    more = f" and {len(seen) - MOST_NAMES} more" if len(seen) > MOST_NAMES else ""
    return f". Arrays seen whose names mean nothing here: {', '.join(seen[:MOST_NAMES])}{more}" if seen else ""


def _results(judged: list[Judged]) -> Iterator[str]:
    """Each step's result; one that fails as the step before it did is one line."""
    before: list[tuple[str, ...]] = []
    told = set(judged[0].step.notes)
    for number, one in enumerate(judged):
        if one.refused:
            yield f"\nStep {number}: not judged: {one.refused}"
            continue
        failed = [(failure.equation, *(e.name for e in failure.explanations[:1])) for failure in one.result.failures]
        if number and failed == before:
            yield f"\nStep {number}: {one.result.verdict}, as the step before it"
        else:
            yield f"\nStep {number}:\n{one.result}"
        before = failed
        yield from (f"Note: {note}." for note in one.step.notes if note not in told)
        told |= set(one.step.notes)


def _sentence(name: str, verdict: str, judged: list[Judged], ending: Ending) -> str:
    steps = len([one for one in judged if not one.refused])
    refused = f", {len(judged) - steps} not" if steps < len(judged) else ""
    said = f"; {ending.said}" if ending.said else ""
    return f"{name}: {verdict} ({steps} step{'s' if steps != 1 else ''} judged{refused}{said})"


def _nothing(name: str, ending: Ending) -> str:
    """Why there is nothing to judge: one line."""
    said = f"{ending.said} before a complete step" if ending.said else "no complete training step was found in it"
    if ending.how in ("raised", "gone") or (ending.how == "exit" and ending.error):
        return f"{name}: {said}"
    found = ", ".join(f"{key} ({label}, {place})" for key, (label, place) in ending.partial.items())
    has = f"; seen were {found}" if found else ""
    if not found and not ending.unnamed:
        return f"{name}: {said}; no NumPy arrays with a layer's names were seen"
    return f"{name}: {said}{has}{_instead(ending)}; name them with --names theirs=W1,..."


def _facts(options: argparse.Namespace, verdict: str, judged: list[Judged], ending: Ending) -> Mapping[str, Any]:
    return {
        "script": str(options.script),
        "verdict": verdict,
        "ending": ending.said or ending.how,
        "steps": [
            {
                "found": {key: {"name": s.label, "place": s.place} for key, s in one.step.seen.items()},
                "missing": one.step.missing,
                "notes": list(one.step.notes),
                "learning_rate": one.step.learning_rate,
                "refused": one.refused or None,
                "result": None if one.refused else _decoded(one.result.to_json()),
            }
            for one in judged
        ],
    }


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
