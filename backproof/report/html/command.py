"""``backproof report --html``: the evidence of a folder, rendered beside it."""

from __future__ import annotations

from pathlib import Path

from backproof.errors import BackproofError
from backproof.evidence import Json
from backproof.report.html.address import INDEX
from backproof.report.html.environment import environment
from backproof.report.html.output import write_file, write_folder
from backproof.report.html.site import Site
from backproof.report.store import read

FOLDER = "html"
SINGLE = "report.html"


def render(folder: Path, single: bool) -> tuple[Json, Path]:
    """Write ``folder/html/`` or ``folder/report.html``; returns the summary and the page to open.

    Raises:
        BackproofError: when a package or evidence is missing, or the report cannot be written.
        KeyError, TypeError, ValueError and their like: where the evidence is not what ``verify`` writes.
    """
    environment()
    from jinja2 import TemplateError

    summary, layers = read(folder)
    site = Site(summary, layers, single)
    if (folder / FOLDER).is_symlink():
        raise BackproofError(f"{folder / FOLDER} is a link; remove it, or choose another folder")
    try:
        if single:
            ((_, text),) = site.files()
            write_file(folder / SINGLE, text)
            return summary, folder / SINGLE
        write_folder(folder / FOLDER, site.files())
    except TemplateError as error:
        raise ValueError(f"{error}") from error
    return summary, folder / FOLDER / INDEX.path
