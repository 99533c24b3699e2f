"""The HTML report: how long it takes to render, how large it is, and how soon Chromium shows the index.

Targets: the networks at default settings in at most 15 s and 10 MB; time linear in the layers; the index of a report of
1,000 layers open within 2 s. The deep networks are 8-8-...-8 with tanh, trained for one step by the reference and
told under three names, so that the evidence is what ``verify`` writes.
Usage: ``python benchmarks/html_report.py [--layers 250 500 1000] [--repeat N]``
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from backproof.network import Network
from backproof.report import store
from backproof.report.html.command import render
from backproof.settings import Settings
from backproof.verify import summarise, verify_network
from reference import network as reference
from tests.support import training

ROOT = Path(__file__).parent.parent
NAMES = ("jax", "numpy", "torch")


def deep(folder: Path, layers: int) -> Path:
    """The evidence of one network with so many layers."""
    network = Network("deep", (8,) * (layers + 1), ("tanh",) * (layers - 1) + ("softmax",), initialisation="xavier")
    given = training(network, m=16, batches=(None,))
    facts = verify_network(given, {"numpy": reference}, reference)
    facts["implementations"] = dict.fromkeys(NAMES, facts["implementations"]["numpy"])
    for layer in facts["layers"].values():
        for entry in (*layer["equations"].values(), *layer["agreement"].values()):
            entry["by"] = dict.fromkeys(NAMES, entry["by"]["numpy"])
    made = {"versions": {}, "device": "cpu", "threads": 1}
    where = {"python": "3", "machine": "-", "numpy": "2", "implementations": dict.fromkeys(NAMES, made)}
    store.write_layers(folder, "deep", facts)
    store.write_summary(folder, summarise(Settings(), "random", {"deep": facts}, where))
    return folder


def rendered(folder: Path, repeat: int) -> tuple[float, float]:
    """Median processor seconds of rendering, and megabytes of the result."""
    seconds = []
    for _ in range(repeat):
        start = time.process_time()
        render(folder, single=False)
        seconds.append(time.process_time() - start)
    size = sum(path.stat().st_size for path in (folder / "html").rglob("*.html"))
    return statistics.median(seconds), size / 1e6


def opened(browser: Any, page: Path, repeat: int) -> float:
    """Median seconds until the page has loaded, been laid out and painted twice."""
    seconds = []
    for _ in range(repeat):
        context = browser.new_context()
        tab = context.new_page()
        start = time.perf_counter()
        tab.goto(page.as_uri())
        tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seconds.append(time.perf_counter() - start)
        context.close()
    return statistics.median(seconds)


def measure(browser: Any, layers: list[int], repeat: int) -> list[list[str]]:
    """A row for the committed reports and one for each depth."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        own = Path(shutil.copytree(ROOT / "reports", Path(temporary) / "reports"))
        cases = [("the eight networks, by default", 21, own)]
        cases += [(f"one network of {n:,} layers", n, deep(Path(temporary) / f"{n}", n)) for n in layers]
        for name, count, folder in cases:
            seconds, megabytes = rendered(folder, repeat)
            shown = opened(browser, folder / "html" / "index.html", repeat)
            each = f"{1000 * seconds / count:.0f} ms"
            rows.append([name, f"{seconds:.2f} s", each, f"{megabytes:.1f} MB", f"{shown:.2f} s"])
    return rows


def main() -> None:
    """Print the table of the README."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        rows = measure(browser, options.layers, options.repeat)
        browser.close()
    headers = ["report", "rendered (processor)", "a layer", "size", "index opens"]
    print(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
