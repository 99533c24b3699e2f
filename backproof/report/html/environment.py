"""The templates' environment: everything is escaped, nothing is silently missing, and control characters are seen."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from backproof.errors import BackproofError
from backproof.report.html.scale import CLASSES, LEGEND
from backproof.shown import shown

LONGEST = 4_000
"""Characters of one string from the evidence that a page shows."""
HERE = "backproof.report.html"


def asset(name: str) -> str:
    """A style sheet or script that every page carries in itself."""
    return resources.files(HERE).joinpath("assets", name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """What a Content-Security-Policy admits this script by: no other one runs, wherever it came from."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@cache
def environment() -> Any:
    """Jinja2's environment with this package's templates.

    Raises:
        BackproofError: where Jinja2 or matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401  (needed later; missed here, before anything is rendered)
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise BackproofError(
            f"the HTML report needs the package {error.name!r}, which is not installed; pip install 'backproof[report]'"
        ) from error

    def visible(value: Any) -> Any:
        return shown(value, LONGEST) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        loader=PackageLoader(HERE), autoescape=True, undefined=StrictUndefined, finalize=visible, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    # SVG and MathML of this package's own making, whose every string from the evidence was escaped where it was put in.
    made.filters["made_here"] = Markup
    made.globals.update(style=Markup(asset("style.css")), script=Markup(asset("script.js")))
    made.globals.update(scale_classes=CLASSES, scale_words=LEGEND)
    made.globals["script_hash"] = script_hash(asset("script.js"))
    return made
