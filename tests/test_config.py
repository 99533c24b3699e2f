"""``[tool.backproof]``: finding it, reading it, importing what it names, and every way it can be wrong."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from backproof import config
from backproof.config import Config
from backproof.errors import BackproofError
from backproof.network import Network
from tests.refusals import refusal

ROOT = Path(__file__).parents[1]
NETWORK = 'networks.small = { sizes = [784, 10], activations = ["softmax"] }\n'
FUNCTIONS = "def record(training): yield\ndef train(training): return {}\n" + (
    "def versions(): return {}\ndef threads(): return 1\n"
)
unused = (f"project_module_{number}" for number in count())


@pytest.fixture(autouse=True)
def restored_imports() -> Iterator[None]:
    path, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("project_module_"):
            del sys.modules[name]


def project(folder: Path, table: str = "", **modules: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f"[tool.backproof]\n{table}{NETWORK}", encoding="utf-8")
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    return folder


def one_module(folder: Path, code: str) -> Config:
    """A project whose implementation ``mine`` and reference are one new module."""
    module = next(unused)
    table = f'reference = "{module}"\nimplementations.mine = "{module}"\n'
    return config.require(project(folder, table, **{module: code}))


# Finding


def test_this_repository():
    found = config.require(Path(__file__))
    assert found.root == ROOT and found.reference == "reference.network"
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["backproof"]
    assert list(found.networks) == list(table["networks"]) and found.implementations == table["implementations"]
    assert found.reference_module().initial_parameters(found.networks["two_layer"], 0, "float32")["W1"].shape == (
        10,
        784,
    )
    assert "numpy" in found.implementation("numpy").versions()


def test_search_goes_upward_to_the_nearest_table(tmp_path):
    outer, inner = project(tmp_path), project(tmp_path / "a" / "b")
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.ruff]\nline-length = 120\n")
    (inner / "c").mkdir()
    (inner / "c" / "pyproject.toml").write_text("")
    assert config.require(inner / "c").root == inner
    assert config.require(inner).root == inner
    assert config.require(tmp_path / "a").root == outer
    assert config.require(inner / "pyproject.toml").root == inner


def test_search_starts_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path))
    assert config.require().root == tmp_path
    found = config.find()
    assert found is not None and found.root == tmp_path


def test_none_found(tmp_path):
    assert config.find(tmp_path) is None
    with pytest.raises(BackproofError) as caught:
        config.require(tmp_path)
    first, *example = str(caught.value).splitlines()
    assert str(tmp_path) in first and "[tool.backproof]" in first
    assert len(example) == 3
    (tmp_path / "pyproject.toml").write_text("\n".join(example))
    assert config.require(tmp_path).networks["small"].sizes == (784, 10, 10)


# Reading


def test_file_order_and_values(tmp_path):
    table = 'implementations = { zeta = "z.z", alpha = "a" }\nnetworks.b_1 = { sizes = [3, 1], activations = '
    table += '["sigmoid"], loss = "binary_cross_entropy", labels = "binary", slope = 0.001 }\n'
    found = config.require(project(tmp_path, table))
    assert list(found.implementations.items()) == [("zeta", "z.z"), ("alpha", "a")]
    assert list(found.networks) == ["b_1", "small"] and found.reference is None
    assert found.networks["b_1"] == Network(
        "b_1", (3, 1), ("sigmoid",), loss="binary_cross_entropy", labels="binary", slope=0.001
    )


HEAD = "[tool.backproof]\n"
BAD_FILES = {
    "malformed": (HEAD + "networks = [1,, 2]", ["TOML", "line 2"]),
    "not UTF-8": (b"\xff\xfe", ["TOML", "utf-8"]),
    "tool is a number": ("tool = 3", ["tool must be a table", "3"]),
    "table is a string": ('[tool]\nbackproof = "x"', ["tool.backproof must be a table", "'x'"]),
    "unknown key": (HEAD + 'refrence = "x"\n' + NETWORK, ["unknown key 'refrence'", "did you mean 'reference'?"]),
    "reference is a list": (HEAD + 'reference = ["x"]\n' + NETWORK, ["tool.backproof.reference must be a string"]),
    "reference is a path": (HEAD + 'reference = "a/b.py"\n' + NETWORK, ["tool.backproof.reference", "a/b.py"]),
    "empty reference": (HEAD + 'reference = ""\n' + NETWORK, ["tool.backproof.reference", "module"]),
    "relative module": (HEAD + 'implementations.x = ".x"\n' + NETWORK, ["tool.backproof.implementations.x", "'.x'"]),
    "module is a number": (HEAD + "implementations.x = 1\n" + NETWORK, ["implementations.x must be a string", "1"]),
    "implementations is a list": (HEAD + 'implementations = ["x"]\n' + NETWORK, ["implementations must be a table"]),
    "implementation's name": (HEAD + 'implementations."../x" = "x"\n' + NETWORK, ["implementations", "'../x'"]),
    "no networks": (HEAD + 'reference = "x"', ["no networks", "[tool.backproof.networks.NAME]"]),
    "empty networks": (HEAD + "networks = {}", ["no networks"]),
    "networks is a number": (HEAD + "networks = 1", ["tool.backproof.networks must be a table"]),
    "network is a list": (HEAD + "networks.x = [784, 10]", ["tool.backproof.networks.x must be a table"]),
    "network's name": (HEAD + 'networks."a b" = { sizes = [1, 1] }', ["networks", "'a b'"]),
    "empty name": (HEAD + 'networks."" = { sizes = [1, 1] }', ["networks", "''"]),
    "option as a name": (HEAD + "networks.-x = { sizes = [1, 1] }", ["networks", "'-x'"]),
    "two names": (HEAD + 'networks.x = { name = "y" }', ["network 'x'", "unknown key 'name'"]),
    "network without sizes": (HEAD + 'networks.x = { activations = ["softmax"] }', ["network 'x'", "sizes"]),
    "network's unknown key": (
        HEAD + 'networks.x = { sizes = [2, 2], activations = ["softmax"], rate = 1 }',
        ["network 'x'", "unknown key 'rate'"],
    ),
    "network's wrong type": (HEAD + 'networks.x = { sizes = 2, activations = ["softmax"] }', ["network 'x'", "sizes"]),
    "network's wrong value": (
        HEAD + 'networks.x = { sizes = [2, 2], activations = ["relu"] }',
        ["network 'x'", "softmax"],
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file(tmp_path, case):
    content, words = BAD_FILES[case]
    path = tmp_path / "pyproject.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refusal(lambda: config.find(tmp_path))
    for word in (str(path), *words):
        assert word in message


# Importing


def test_activate_puts_root_first_once(tmp_path):
    found = config.require(project(tmp_path))
    before = sys.path[:]
    sys.path.append(str(tmp_path))
    found.activate()
    found.activate()
    assert sys.path == [str(tmp_path), *before]


def test_modules_are_imported_from_root(tmp_path, monkeypatch):
    found = one_module(tmp_path / "p", FUNCTIONS + "def initial_parameters(network, seed, dtype): return {}\n")
    monkeypatch.chdir(tmp_path)
    assert found.implementation("mine").threads() == 1
    assert found.reference_module().threads() == 1
    assert found.installed() == ["mine"]


def test_unknown_implementation(tmp_path):
    found = one_module(tmp_path, FUNCTIONS)
    message = refusal(lambda: found.implementation("mime"))
    assert "'mime'" in message and "did you mean 'mine'?" in message and "known are: mine" in message
    assert "known are: none" in refusal(lambda: Config(tmp_path, None, {}, {}).implementation("x"))


def test_no_reference(tmp_path):
    message = refusal(config.require(project(tmp_path)).reference_module)
    assert "no reference" in message and str(tmp_path) in message


@pytest.mark.parametrize("lacking", ["record", "train", "versions", "threads"])
def test_protocol_of_an_implementation(tmp_path, lacking):
    found = one_module(tmp_path, FUNCTIONS + f"{lacking} = 3\n")
    message = refusal(lambda: found.implementation("mine"))
    assert f"lacks {lacking};" in message and found.implementations["mine"] in message
    assert lacking in refusal(found.installed)


def test_protocol_of_a_reference(tmp_path):
    found = one_module(tmp_path, FUNCTIONS)
    assert found.implementation("mine").threads() == 1
    assert "lacks initial_parameters;" in refusal(found.reference_module)


@pytest.mark.parametrize(("package", "extra"), [("torch", "torch"), ("jax", "jax"), ("optax", "jax")])
def test_framework_that_is_not_installed(tmp_path, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)  # import raises, and find_spec finds nothing
    found = one_module(tmp_path, f"import {package}\n")
    message = refusal(lambda: found.implementation("mine"))
    assert message == (
        f"implementation 'mine' needs the package {package!r}, which is not installed; pip install 'backproof[{extra}]'"
    )
    assert found.installed() == []


def test_package_that_is_not_installed(tmp_path):
    found = one_module(tmp_path, "import no_such_package_anywhere.part\n")
    message = refusal(lambda: found.implementation("mine"))
    assert "needs the package 'no_such_package_anywhere', which is not installed" in message
    assert "pip" not in message and ".py:1" in message  # it may be a misspelling
    assert found.installed() == []


BROKEN = {
    "installed package, missing part": ("\nimport numpy.no_such_part\n", "2: ModuleNotFoundError: No module named"),
    "missing name": ("from numpy import no_such_name\n", "1: ImportError: cannot import name 'no_such_name'"),
    "syntax": ("x = 1\ny = = 2\n", "2: SyntaxError: invalid syntax"),
    "exception": ("def f():\n    raise ValueError('wrong\\nway')\nf()\n", "2: ValueError: wrong"),
    "exit": ("import sys\nsys.exit()\n", "2: SystemExit"),
    "module not found without a name": ("raise ModuleNotFoundError('jax needs jaxlib')", "1: ModuleNotFoundError: jax"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_module_shows_its_own_error(tmp_path, case):
    code, said = BROKEN[case]
    found = one_module(tmp_path, code)
    module = found.implementations["mine"]
    for call in (lambda: found.implementation("mine"), found.installed, found.reference_module):
        message = refusal(call)
        assert f"module {module!r} cannot be imported: {module}.py:{said}" in message


def test_broken_package_is_blamed_on_the_import_of_it(tmp_path, monkeypatch):
    packages = project(tmp_path / "venv" / "site-packages", project_module_installed="1 / 0\n")
    monkeypatch.syspath_prepend(packages)
    found = one_module(tmp_path, "\n\nimport project_module_installed\n")
    message = refusal(lambda: found.implementation("mine"))
    assert f" {found.implementations['mine']}.py:3: ZeroDivisionError" in message


def test_missing_module_of_the_project(tmp_path):
    found = config.require(project(tmp_path, 'implementations.mine = "project_module_x.part"\n'))
    message = refusal(lambda: found.implementation("mine"))
    assert "no module 'project_module_x.part'" in message and str(tmp_path) in message
    assert "no module" in refusal(found.installed)


def test_broken_import_of_a_project_module_by_another(tmp_path):
    found = one_module(tmp_path, "import project_module_helper.part\n")
    (tmp_path / "project_module_helper").mkdir()
    message = refusal(lambda: found.implementation("mine"))
    assert "cannot be imported" in message and "project_module_helper.part" in message


def test_module_of_the_same_name_from_elsewhere_is_refused(tmp_path):
    first = one_module(tmp_path / "a", FUNCTIONS)
    first.implementation("mine")
    module = first.implementations["mine"]
    second = config.require(project(tmp_path / "b", f'implementations.mine = "{module}"\n', **{module: FUNCTIONS}))
    message = refusal(lambda: second.implementation("mine"))
    assert str(tmp_path / "a") in message and str(tmp_path / "b") in message


def test_the_project_has_the_name_of_its_table(tmp_path):
    table = '[tool.backproof.networks.n]\nsizes = [1, 2]\nactivations = ["softmax"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    assert config.require(tmp_path).project == ""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "theirs"\n{table}')
    assert config.require(tmp_path).project == "theirs"
    (tmp_path / "pyproject.toml").write_text(f"[project]\nname = 3\n{table}")
    assert "project.name must be a string" in refusal(lambda: config.require(tmp_path))
