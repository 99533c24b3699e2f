"""The house's walls: which room may import what, how long a file may be, and what may stand in none."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import ROOT

ROOMS = ("backproof", "reference", "implementations", "tests", "benchmarks")
MODULES = {str(path.relative_to(ROOT)): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}
ENGINE = [name for name in MODULES if name.startswith("backproof/")]
REFERENCE = [name for name in MODULES if name.startswith("reference/")]
OWN_FRAMEWORK = {
    "implementations/__init__.py": set(),
    "implementations/torch_network.py": {"torch"},
    "implementations/torch_gradients.py": {"torch"},
    "implementations/torch_layers.py": {"torch"},
    "implementations/torch_optimizers.py": {"torch"},
    "implementations/jax_network.py": {"jax", "jaxlib", "optax"},
    "implementations/jax_layers.py": {"jax"},
    "implementations/jax_threads.py": {"jax"},
    "implementations/jax_optimizers.py": {"jax", "optax"},
}
FRAMEWORKS = {"torch", "jax", "jaxlib", "optax", "sklearn", "scipy", "pooch", "tensorflow", "flint"}
OPTIONAL = {"reference/balls.py": {"flint"}}
"""What a module of the reference needs beside NumPy, of an extra."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = {re.split(r"\W", line)[0] for line in PROJECT["dependencies"]}
"""What the engine may count on: packages whose names are those of their modules."""
LONGEST = 300
every_module = pytest.mark.parametrize("name", MODULES)


def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"), name)


def imports(nodes: Iterator[ast.AST]) -> set[str]:
    """Top names of what the nodes import; a relative import is its own room's."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else str(node.module).partition(".")[0])
    return names


def anywhere(name: str) -> set[str]:
    """Packages that are imported anywhere in a module, those of the standard library left out."""
    return imports(ast.walk(tree(name))) - sys.stdlib_module_names


def at_import(module: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: those outside of functions."""
    for node in ast.iter_child_nodes(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from at_import(node)


def loaded_by(*modules: str) -> set[str]:
    """Top names of all that is loaded after importing modules in a process of their own."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(ended.stdout))


def dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_every_room_is_looked_at():
    for room in ("backproof", "reference", "implementations", "tests"):
        assert any(name.startswith(f"{room}/") for name in MODULES), room
    assert set(OWN_FRAMEWORK) == {name for name in MODULES if name.startswith("implementations/")}


# Imports


def test_engine_loads_no_framework():
    loaded = loaded_by(*(dotted(name) for name in ENGINE if not name.endswith("__main__.py")))
    assert "backproof" in loaded and "numpy" in loaded
    assert not loaded & (FRAMEWORKS | {"reference", "implementations"})


def test_reference_loads_numpy_alone():
    loaded = loaded_by(*(dotted(name) for name in REFERENCE if name not in OPTIONAL))
    assert "numpy" in loaded
    assert not loaded & (FRAMEWORKS | {"implementations", "threadpoolctl", "safetensors", "tabulate"})


@pytest.mark.parametrize(("own", "other"), [("torch", "jax"), ("jax", "torch")])
def test_an_implementation_loads_its_own_framework_alone(own, other):
    if find_spec(own) is None:
        pytest.skip(f"{own} is not installed")
    loaded = loaded_by(f"implementations.{own}_network")
    assert own in loaded
    assert not loaded & {other, "reference", "tests"}


@pytest.mark.parametrize("name", ENGINE)
def test_engine_imports_no_other_room(name):
    known = {"backproof", ".", *DEPENDENCIES}
    # The extras are no dependencies: what they bring is imported where it is used, and missed there only.
    rendering = {"jinja2", "markupsafe", "matplotlib"} if name.startswith("backproof/report/html/") else set()
    assert anywhere(name) <= known | {"sklearn", "pooch"} | rendering
    assert imports(at_import(tree(name))) - sys.stdlib_module_names <= known


@pytest.mark.parametrize("name", [name for name in ENGINE if name.startswith("backproof/report/")])
def test_reports_are_made_of_evidence_alone(name):
    """Rendering them runs nothing, so it imports nothing that does."""
    imported = {node.module for node in ast.walk(tree(name)) if isinstance(node, ast.ImportFrom)}
    assert not imported & {f"backproof.{module}" for module in ("cli", "commands", "config", "runs", "verify")}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_imports_numpy_and_the_engine(name):
    assert anywhere(name) <= {"numpy", "backproof", "reference", ".", "threadpoolctl"} | OPTIONAL.get(name, set())
    assert "threadpoolctl" not in imports(at_import(tree(name)))


@pytest.mark.parametrize("name", OWN_FRAMEWORK)
def test_an_implementation_imports_its_own_framework(name):
    assert anywhere(name) <= {"numpy", "backproof", "implementations"} | OWN_FRAMEWORK[name]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(("tests/", "benchmarks/"))])
def test_nothing_imports_tests_or_benchmarks(name):
    assert not anywhere(name) & {"tests", "benchmarks"}


# Files


@every_module
def test_length(name):
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{name} has {lines} lines; split it by noun"


FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code", "ctypes"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("name", ENGINE)
def test_engine_runs_nothing_that_it_reads(name):
    """A recording or a report is data: no pickle, no eval."""
    parsed = tree(name)
    assert not imports(ast.walk(parsed)) & FORBIDDEN_MODULES
    for node in ast.walk(parsed):
        if isinstance(node, ast.Call):
            assert not (isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS), ast.unparse(node)
            assert all(keyword.arg not in ("allow_pickle", "shell") for keyword in node.keywords), ast.unparse(node)


@every_module
def test_no_test_or_function_is_defined_twice(name):
    """The second would replace the first, which would never run."""
    for scope in ast.walk(tree(name)):
        if isinstance(scope, ast.Module | ast.ClassDef):
            plain = [node for node in scope.body if isinstance(node, ast.FunctionDef) and not node.decorator_list]
            names = [node.name for node in plain]
            assert len(names) == len(set(names)), sorted(names)


def tracked() -> list[Path]:
    """Every text file of the checkout that is not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def test_no_file_names_a_path_of_this_machine():
    files = tracked()
    if not files:
        pytest.skip("not a git checkout")
    assert ROOT / "pyproject.toml" in files
    # A prefix such as / or /usr stands in every shebang.
    here = {str(path) for path in (ROOT, ROOT.parent, Path.home(), Path(sys.prefix)) if len(path.parts) > 2}
    homes = re.compile(r"/(?:home|Users)/[A-Za-z]\w*/|[A-Z]:\\Users\\")
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not homes.search(text.replace("(?:home|Users)", "")), path
        for place in here:
            assert not re.search(rf"{re.escape(place)}(?![\w-])", text), (path, place)
