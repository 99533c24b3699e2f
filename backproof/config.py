"""The suite's configuration: ``[tool.backproof]`` of the nearest ``pyproject.toml`` that has one."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import tomllib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from backproof.errors import BackproofError
from backproof.network import Network
from backproof.training import Implementation, Reference
from backproof.variants import FUNCTIONS, Variant

FILE = "pyproject.toml"
TABLE = "tool.backproof"
KEYS = ("reference", "implementations", "variants", "networks")
ALL = "all"
"""Every implementation and every variant, on a command line; no name of one."""
REFERENCE_FUNCTIONS = (*FUNCTIONS, "initial_parameters")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
"""Of a network or an implementation: it becomes a file's name and a word of a command line."""
EXTRAS = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "optax": "jax"}
"""Missing package -> the extra of ``backproof`` that brings it."""

EXAMPLE = """\
[tool.backproof]
implementations.mine = "my_package.my_network"
networks.small = { sizes = [784, 10, 10], activations = ["relu", "softmax"] }"""


class MissingPackageError(BackproofError):
    """A configured module needs a third-party package that is not installed."""


@dataclass(frozen=True)
class Config:
    """What ``[tool.backproof]`` says.

    Attributes:
        root: the folder of the ``pyproject.toml``; its modules are imported from there.
        reference: the module of the reference, or None.
        implementations: name -> module, in file order.
        networks: name -> specification, in file order; at least one.
        variants: name -> an implementation with other means, in file order; none of them runs unless it is named.
        project: the name in the ``[project]`` table of the same file; empty where there is none.
    """

    root: Path
    reference: str | None
    implementations: dict[str, str]
    networks: dict[str, Network]
    project: str = ""
    variants: dict[str, Variant] = field(default_factory=dict)

    def activate(self) -> None:
        """Put ``root`` first on ``sys.path``, once: a console script does not see the checkout by itself."""
        root = str(self.root)
        if sys.path[:1] != [root]:
            sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]

    def reference_module(self) -> Reference:
        """The reference, imported.

        Raises:
            BackproofError: when none is configured, or it cannot be imported or lacks a function.
        """
        if self.reference is None:
            raise BackproofError(
                f'{self.root / FILE}: no reference is configured; add reference = "package.module" to [{TABLE}]'
            )
        return cast(Reference, self._import("the reference", self.reference, REFERENCE_FUNCTIONS))

    def implementation(self, name: str) -> Implementation:
        """The implementation or variant called ``name``, imported.

        Raises:
            MissingPackageError: when it needs a third-party package that is not installed.
            BackproofError: when there is none of that name, or it cannot be imported or lacks a function.
        """
        variant = self.variants.get(name)
        of = variant.of if variant else name
        if of not in self.implementations:
            raise BackproofError(_unknown("implementation", name, [*self.implementations, *self.variants]))
        module = cast(Implementation, self._import(f"implementation {name!r}", self.implementations[of], FUNCTIONS))
        return variant.made(name, module) if variant else module

    def named(self, names: Sequence[str]) -> list[str]:
        """Names of implementations, each once: every configured one for none, the variants too for ``all``."""
        chosen = [*self.implementations, *self.variants] if ALL in names else names
        return list(dict.fromkeys(chosen or self.implementations))

    def installed(self) -> list[str]:
        """Names of the implementations whose packages are here, in file order.

        Raises:
            BackproofError: for an implementation that is broken. Only a package that is not installed leaves
                one out: a mistake in a module must not make it vanish from a verification.
        """
        return [name for name in self.implementations if self._has_packages(name)]

    def select(self, names: Sequence[str]) -> list[Network]:
        """The networks of ``names``, each once, in file order; all of them if there are no names.

        A name is a network's, or else a family's: ``binary`` stands for every ``binary_...``.

        Raises:
            BackproofError: for a name that selects nothing.
        """
        chosen = {network for name in names for network in self._members(name)}
        return [network for name, network in self.networks.items() if not names or name in chosen]

    def _members(self, name: str) -> list[str]:
        if name in self.networks:
            return [name]
        members = [network for network in self.networks if name and network.startswith(f"{name}_")]
        if not members:
            raise BackproofError(_unknown("network", name, list(self.networks)))
        return members

    def _has_packages(self, name: str) -> bool:
        try:
            self.implementation(name)
        except MissingPackageError:
            return False
        return True

    def _import(self, role: str, name: str, functions: Sequence[str]) -> ModuleType:
        self.activate()
        try:
            module = importlib.import_module(name)
        # SystemExit too: a module that ends the process would end a verification with exit code 0.
        except (Exception, SystemExit) as error:
            raise self._import_failure(role, name, error) from error
        top = self.root / name.partition(".")[0]
        file = Path(module.__file__).resolve() if module.__file__ else top
        if (top.is_dir() or top.with_suffix(".py").is_file()) and not file.is_relative_to(self.root):
            raise BackproofError(f"{role}: {name!r} was imported from {file}, not from {self.root}; rename one of them")
        if missing := [function for function in functions if not callable(getattr(module, function, None))]:
            raise BackproofError(
                f"{role}: module {name!r} ({_relative(file, self.root)}) lacks {', '.join(missing)}; "
                f"it needs the functions {', '.join(functions)}"
            )
        return module

    def _import_failure(self, role: str, name: str, error: BaseException) -> BackproofError:
        place = _place(error, self.root)
        if isinstance(error, ModuleNotFoundError) and error.name:
            if name == error.name or name.startswith(f"{error.name}."):
                return BackproofError(f"{role}: no module {name!r} in {self.root}; correct {FILE} or add the module")
            package = error.name.partition(".")[0]
            if sys.modules.get(package) is None and find_spec(package) is None:
                extra = EXTRAS.get(package)
                remedy = f"pip install 'backproof[{extra}]'" if extra else f"install it, or correct {place}"
                return MissingPackageError(f"{role} needs the package {package!r}, which is not installed; {remedy}")
        message = (str(error).splitlines() or [""])[0]
        return BackproofError(f"{role}: module {name!r} cannot be imported: {place}: {type(error).__name__}: {message}")


def find(start: Path | None = None) -> Config | None:
    """The configuration of the nearest ``pyproject.toml`` with ``[tool.backproof]``, in ``start`` or above it.

    Args:
        start: a folder or a file; the working directory if None.

    Returns:
        None when no such file has the table.

    Raises:
        BackproofError: for a file on the way that cannot be read or parsed, or a table that is wrong.
    """
    here = (start or Path()).resolve()
    for folder in (here, *here.parents):
        if (path := folder / FILE).is_file() and (table := _table(path, content := _content(path))) is not None:
            return _config(path, table, _project(path, content))
    return None


def require(start: Path | None = None) -> Config:
    """As :func:`find`, but it is an error when there is none.

    Raises:
        BackproofError: also when no ``pyproject.toml`` has the table.
    """
    config = find(start)
    if config is None:
        where = (start or Path()).resolve()
        raise BackproofError(f"no {FILE} with [{TABLE}] in {where} or above it; add one, for example:\n{EXAMPLE}")
    return config


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BackproofError(f"{path}: cannot be read as TOML: {error}") from error


def _table(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    tables = _typed(path, "tool", content.get("tool", {}), dict)
    return _typed(path, TABLE, tables["backproof"], dict) if "backproof" in tables else None


def _project(path: Path, content: Mapping[str, Any]) -> str:
    table = _typed(path, "project", content.get("project", {}), dict)
    name: str = _typed(path, "project.name", table.get("name", ""), str)
    return name


def _config(path: Path, table: Mapping[str, Any], project: str) -> Config:
    for key in table:
        if key not in KEYS:
            raise BackproofError(f"{path}: [{TABLE}]: {_unknown('key', key, KEYS)}")
    reference = _module(path, f"{TABLE}.reference", table["reference"]) if "reference" in table else None
    implementations = {
        name: _module(path, f"{TABLE}.implementations.{name}", module)
        for name, module in _named(path, "implementations", table.get("implementations", {})).items()
    }
    variants = {
        name: Variant.read(f"{path}: {TABLE}.variants.{name}", values, implementations)
        for name, values in _named(path, "variants", table.get("variants", {})).items()
    }
    if both := variants.keys() & implementations.keys():
        raise BackproofError(f"{path}: [{TABLE}.variants]: {min(both)!r} is an implementation's name; choose another")
    networks = {
        name: _network(path, name, values)
        for name, values in _named(path, "networks", table.get("networks", {})).items()
    }
    if not networks:
        raise BackproofError(f"{path}: [{TABLE}]: no networks; add [{TABLE}.networks.NAME] with sizes and activations")
    return Config(path.parent, reference, implementations, networks, project, variants)


def _network(path: Path, name: str, values: object) -> Network:
    table = _typed(path, f"{TABLE}.networks.{name}", values, dict)
    if "name" in table:
        raise BackproofError(f"{path}: network {name!r}: unknown key 'name'; its table's heading names a network")
    try:
        return Network.from_dict({"name": name, **table})
    except BackproofError as error:
        raise BackproofError(f"{path}: {error}") from error


def _named(path: Path, key: str, values: object) -> dict[str, Any]:
    table: dict[str, Any] = _typed(path, f"{TABLE}.{key}", values, dict)
    for name in table:
        if not NAME.fullmatch(name):
            raise BackproofError(f"{path}: [{TABLE}.{key}]: name {name!r} is not letters, digits, _ and - only")
        if name == ALL and key != "networks":
            raise BackproofError(f"{path}: [{TABLE}.{key}]: {ALL!r} stands for all of them; choose another name")
    return table


def _module(path: Path, key: str, value: object) -> str:
    module: str = _typed(path, key, value, str)
    if not all(part.isidentifier() for part in module.split(".")):
        raise BackproofError(f"{path}: {key} = {module!r} is not the name of a module, like package.module")
    return module


def _typed(path: Path, key: str, value: object, kind: type) -> Any:
    if not isinstance(value, kind):
        raise BackproofError(f"{path}: {key} must be {'a table' if kind is dict else 'a string'}, not {value!r}")
    return value


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    families = {word.partition("_")[0] for word in known if "_" in word} if what == "network" else set()
    close = difflib.get_close_matches(name, [*known, *sorted(families)], n=1)
    suggestion = f" did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {name!r};{suggestion} known are: {', '.join(known) or 'none'}"


def _place(error: BaseException, root: Path) -> str:
    """``file:line`` of the innermost frame in the project's own code, where the mistake most likely is."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(Path(error.filename), root)}:{error.lineno}"
    # The first frame is this module's call of import_module.
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[1:]]
    own = [(path, line) for path, line in frames if path.is_relative_to(root) and "site-packages" not in path.parts]
    path, line = (own or frames)[-1]
    return f"{_relative(path, root)}:{line}"


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
