"""The picture of docs/report.md: the index of a report in which one implementation forgets a ReLU mask.

Usage: ``python benchmarks/report_picture.py [--output docs/report.png]``
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cli_support import project, spawn
from tests.html_support import without_mask

ROOT = Path(__file__).parent.parent
SIZE = {"width": 1000, "height": 700}
NETWORKS = """
[tool.backproof.networks.five_layer]
sizes = [784, 128, 50, 50, 25, 10]
activations = ["relu", "relu", "relu", "relu", "softmax"]
[tool.backproof.networks.two_layer]
sizes = [784, 10, 10]
activations = ["relu", "softmax"]
"""


def reports(folder: Path) -> Path:
    """Two networks by ``mine``, which is wrong, by the reference and by PyTorch; returns the index."""
    made = project(folder, without_mask(), NETWORKS)
    path = made / "pyproject.toml"
    others = 'implementations.numpy = "reference.network"\nimplementations.torch = "implementations.torch_network"\n'
    path.write_text(path.read_text().replace("implementations.mine", f"{others}implementations.mine"))
    assert spawn("verify", cwd=made).code == 1
    assert spawn("report", "--html", cwd=made).code == 1
    return made / "reports" / "html" / "index.html"


def take(browser: Any, index: Path, output: Path) -> None:
    """The first screen of a report, light."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(index.as_uri())
    page.screenshot(path=str(output))
    page.close()


def main() -> None:
    """Write the picture."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "report.png")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as started:
        index = reports(Path(temporary) / "project")
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(browser, index, options.output)
        browser.close()


if __name__ == "__main__":
    main()
