"""What a module of the project needs, read from its source: importing a framework takes seconds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


def missing(root: Path, module: str) -> list[str]:
    """Packages that are not installed and that importing ``module`` would need, each once.

    Only statements that run whenever the module does are looked at, in it and in the modules of ``root`` that it
    imports: what stands in a function, a condition or a ``try`` may never be needed. Nothing is imported or judged: a
    module that is broken is told of where it is used.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        top, files = name.partition(".")[0], list(_files(root, name))
        for package, file in files:
            waiting += _imported(file, package)
        if not files and not _is_here(root, top):
            found[top] = None
    return list(found)


def _is_here(root: Path, package: str) -> bool:
    """Whether a package is loaded, installed, or a folder of the project (which needs no ``__init__.py``)."""
    return sys.modules.get(package) is not None or find_spec(package) is not None or (root / package).is_dir()


def _files(root: Path, module: str) -> Iterator[tuple[str, Path]]:
    """The project's own files that importing a module runs, with the package of each: its parents' and its own."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        path = root.joinpath(*parts[:count])
        if (path / "__init__.py").is_file():
            yield name, path / "__init__.py"
        elif path.with_suffix(".py").is_file():
            yield name.rpartition(".")[0], path.with_suffix(".py")


def _imported(file: Path, package: str) -> Iterator[str]:
    """Full names of the modules that a file imports at its top level; of a name that may be a module, both."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError):
        return
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            if base := ".".join([*parents, *([node.module] if node.module else [])]):
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
