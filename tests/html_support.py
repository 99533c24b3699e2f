"""What the tests of the HTML report share: a healthy run, one with a planted mistake, names that want to be more."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from backproof.evidence import Json
from backproof.report import store
from backproof.settings import Settings
from backproof.verify import summarise, verify_network
from reference import network as reference
from tests.cli_support import project, spawn
from tests.support import BY_NAME, ROOT, training

RUN = ("verify", "--samples", 40, "--steps", 3)
NETWORKS = """
[tool.backproof.networks.small]
sizes = [784, 12, 8, 10]
activations = ["relu", "relu", "softmax"]
"""
HOSTILE = "<script>alert(1)</script>\x1b[31m&\"'`${x}{{ 7*7 }}"
"""A name that is markup, a script, a terminal's command and a template at once."""
HONEST = "dZ = through(name, dA,"
MISTAKEN = "dZ = dA if layer == 3 else through(name, dA,"


def without_mask() -> str:
    """The reference, which forgets the ReLU mask of layer 2."""
    source = (ROOT / "reference" / "network.py").read_text(encoding="utf-8")
    assert source.count(HONEST) == 1
    return source.replace(HONEST, MISTAKEN)


def reports(folder: Path, code: str | None = None) -> Path:
    """The reports of a small run, in Markdown and HTML, by ``mine`` (``code``) and by the reference itself."""
    made = project(folder, code, NETWORKS)
    path = made / "pyproject.toml"
    both = 'implementations.mine = "', 'implementations.numpy = "reference.network"\nimplementations.mine = "'
    path.write_text(path.read_text().replace(*both))
    for command in (RUN, ("report", "--html"), ("report", "--html", "--single-file")):
        ended = spawn(*command, cwd=made)
        assert ended.code == (0 if code is None else 1), ended.err
    return made / "reports"


def hostile(folder: Path) -> Path:
    """Evidence in which every name and message is :data:`HOSTILE`, and more than text wherever it is not escaped."""
    name = HOSTILE.replace("/", "")
    given = training(replace(BY_NAME["two_layer"], name=name, note=HOSTILE), m=8)
    facts = verify_network(given, {HOSTILE: reference}, reference)
    run = facts["implementations"][HOSTILE]
    finding: Json = {"step": 0, "layer": 1, "quantity": HOSTILE, "kind": HOSTILE, "verdict": "bug", "message": HOSTILE}
    finding["explanations"] = [{"name": HOSTILE, "sentence": f"a\n\n{HOSTILE}"}]
    run["findings"] = [finding, {**finding, "layer": 0}, {**finding, "kind": "agreement"}]
    facts["layers"]["1"]["equations"]["Z1"]["text"] = f"{HOSTILE} = {HOSTILE}"
    facts["layers"]["1"]["equations"]["Z1"]["by"][HOSTILE]["message"] = HOSTILE
    facts["layers"]["1"]["equations"][HOSTILE] = facts["layers"]["1"]["equations"]["Z1"]
    made = {"versions": {HOSTILE: HOSTILE}, "device": HOSTILE, "threads": 1}
    where = {"python": HOSTILE, "machine": HOSTILE, "numpy": HOSTILE, "implementations": {HOSTILE: made}}
    store.write_layers(folder, name, facts)
    store.write_summary(folder, summarise(Settings(), HOSTILE, {name: facts}, where))
    return folder


def as_root() -> bool:
    """Whether Chromium needs to be told that it goes without its sandbox."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
