"""Renders a folder of evidence into Markdown, in place."""

from __future__ import annotations

from pathlib import Path

from backproof.evidence import Json
from backproof.files import replace_file, writing
from backproof.report import index, layer
from backproof.report.store import INDEX, read


def render(folder: Path) -> Json:
    """Write every page from the evidence in ``folder``; returns the summary.

    Raises:
        BackproofError: when evidence is missing or unreadable, or the folder cannot be written.
    """
    summary, layers = read(folder)
    dtype = summary["settings"]["dtype"]
    with writing(folder):
        for network, pages in layers.items():
            for number, evidence in pages.items():
                facts = summary["networks"][network]
                text = layer.page(network, facts, evidence, facts.get("dtype", dtype))
                replace_file(folder / network / f"layer-{number}.md", text.encode())
        replace_file(folder / INDEX, index.page(summary).encode())
    return summary
