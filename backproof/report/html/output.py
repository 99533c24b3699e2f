"""Puts a report where it was asked for: nothing of anybody else's is replaced or removed, nothing lands elsewhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from backproof.errors import BackproofError
from backproof.files import replace_file, writing

MARK = b"<!DOCTYPE html>\n<!-- A report of Backproof. -->\n"
"""How every page begins: what tells it from a page of the user's own."""


def write_folder(folder: Path, pages: Iterable[tuple[str, str]]) -> None:
    """Write pages into ``folder``, all or none; pages of an earlier report that are no more are removed.

    Raises:
        BackproofError: when the folder cannot be written, leads elsewhere, or holds something else in a page's place.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".backproof-", dir=folder))
        try:
            names = list(_rendered(waiting, pages))
            stale = [path for path in _pages_in(folder) if path.relative_to(folder).as_posix() not in names]
            for name in names:
                refuse_foreign(folder / name, folder)
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(waiting / name, folder / name)
            for path in stale:
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()
        finally:
            shutil.rmtree(waiting)


def _rendered(waiting: Path, pages: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, text in pages:
        (waiting / name).parent.mkdir(parents=True, exist_ok=True)
        (waiting / name).write_bytes(text.encode())
        yield name


def _pages_in(folder: Path) -> list[Path]:
    """Layers' pages of an earlier report."""
    return [path for path in sorted(folder.glob("networks/*/layer-*.html")) if _inside(path, folder) and _is_ours(path)]


def write_file(path: Path, text: str) -> None:
    """Write a report of one file.

    Raises:
        BackproofError: when it cannot be written, or something else is in its place.
    """
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_foreign(path, path.parent)
        replace_file(path, text.encode())


def refuse_foreign(path: Path, folder: Path) -> None:
    """Refuse a place outside of ``folder``, and one that holds what is no page of a report."""
    if not _inside(path, folder):
        raise BackproofError(f"{path} leads out of {folder}; choose another folder, or remove the link")
    if os.path.lexists(path) and not _is_ours(path):
        raise BackproofError(f"{path} is no page of 'backproof report'; choose another folder, or move it")


def _inside(path: Path, folder: Path) -> bool:
    return path.parent.resolve().is_relative_to(folder.resolve())


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK
