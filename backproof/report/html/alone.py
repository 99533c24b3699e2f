"""The page of one trajectory, without a report around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backproof.evidence import Json
from backproof.report.html import trajectory_page
from backproof.report.html.address import TRAJECTORY, Links, folder_names
from backproof.report.html.environment import environment
from backproof.verdict import Verdict

WORDS = [verdict.word for verdict in Verdict]


def trajectory(name: str, facts: Json, setting: str, said: Sequence[str]) -> str:
    """The page of one network's runs.

    Args:
        facts: as those of a network in a summary: ``implementations`` and ``float64``.
        setting: what was trained, and how.
        said: what came of it, the verdict first.

    Raises:
        BackproofError: where Jinja2 or matplotlib is not installed.
    """
    links, folders = Links(TRAJECTORY, True), folder_names([name])
    linking: dict[str, Any] = {
        "to_trajectory": lambda network="": links.to(TRAJECTORY, folders.get(network, "")),
        "identifier": links.identifier,
        "folder": folders.__getitem__,
    }
    made = environment()
    worst = max((run["verdict"] for run in facts["implementations"].values()), key=WORDS.index)
    view = trajectory_page.view({"networks": {name: facts}, "settings": {"steps": 0}}, folders)
    told = {**linking, **view, "alone": True, "setting": setting, "said": said, "worst": worst}
    body = made.get_template("trajectory.html.j2").render(told)
    shell = made.get_template("shell.html.j2")
    return str(shell.render(**linking, title=f"{name}: trajectory", bodies=[body], single=True, alone=True))
