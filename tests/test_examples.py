"""The scripts that the documentation traces: what it quotes is what is printed."""

from __future__ import annotations

import re

import pytest

from tests.cli_support import spawn
from tests.support import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "docs" / "examples").glob("*.py"))


def quoted(document: str, script: str) -> list[str]:
    """The lines of the block that begins with the command."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"```text\n\$ backproof trace (?:docs/examples/)?{script}\.py\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"{document} does not trace {script}.py"
    return found[1].splitlines()


@pytest.mark.parametrize("script", EXAMPLES)
def test_every_quoted_line_is_printed(script):
    outcome = spawn("trace", ROOT / "docs" / "examples" / f"{script}.py")
    assert outcome.code == 1, outcome
    lines = quoted("docs/diagnosis.md", script)
    if script == "layers":
        lines += quoted("README.md", script)
    assert len(lines) >= 5
    missing = [line for line in lines if line not in outcome.out.splitlines()]
    assert not missing, missing
