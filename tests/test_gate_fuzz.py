"""Whatever stands anywhere in a summary or a baseline: it is judged, or it is refused in one line."""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backproof.errors import BackproofError
from backproof.gate import baseline, github, machine, words
from backproof.gate.facts import of_summary
from backproof.gate.judge import compare, judge
from backproof.gate.junit import junit
from tests.gate_support import kept, summary

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8),
    st.sampled_from(["rounding", "bug", "equation", "../x", "\x1b[31m", "::error::", 10**400, -1, 2**60]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
with tempfile.TemporaryDirectory() as made:
    BASELINE = json.loads(kept(Path(made)).read_bytes())


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key of it."""
    for key in content if isinstance(content, dict) else range(len(content) if isinstance(content, list) else 0):
        yield content, key
        yield from places(content[key])


def mutated(content: Any, where: int, value: Any, remove: bool) -> Any:
    """A copy with one value replaced or removed."""
    copy = json.loads(json.dumps(content))
    every = list(places(copy))
    container, key = every[where % len(every)]
    if remove:
        del container[key]
    else:
        container[key] = value
    return copy


def survives(change_summary: Any, change_baseline: Any) -> None:
    """Judge, and write every output; only a refusal of one line may be raised."""
    with tempfile.TemporaryDirectory() as name:
        one, two = Path(name) / "summary.json", Path(name) / "baseline.json"
        one.write_text(json.dumps(change_summary))
        change_baseline.pop("crc32", None)
        sealed = {**change_baseline, "crc32": zlib.crc32(json.dumps(change_baseline, sort_keys=True).encode())}
        two.write_text(json.dumps(sealed))
        try:
            before, after = baseline.read(two).facts, of_summary(one)
            found = compare(before, after)
            said = [words.terminal(found, one), junit(found), *github.errors(found), github.summary(found, "r")]
            machine.document(found, before, after)
            baseline.write(two, after, "again", "2026-01-31")
            assert baseline.read(two).facts.entries == after.entries
            judge(before, after)
        except BackproofError as refused:
            said = [str(refused)]
            assert "\n" not in said[0]
    assert all(c == "\n" or c.isprintable() for text in said for c in text)


@given(st.integers(0, 10_000), VALUES, st.booleans())
def test_any_summary(where, value, remove):
    survives(mutated(summary(), where, value, remove), dict(BASELINE))


@given(st.integers(0, 10_000), VALUES, st.booleans())
def test_any_baseline(where, value, remove):
    survives(summary(), mutated(BASELINE, where, value, remove))
