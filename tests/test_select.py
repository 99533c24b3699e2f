"""Selecting networks by name and by family."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import config
from backproof.config import Config
from backproof.network import Network
from tests.refusals import refusal

ROOT = Path(__file__).parents[1]


def networks(*names: str) -> Config:
    made = {name: Network(name, (2, 2), ("softmax",)) for name in names}
    return Config(Path(), None, {}, made)


def selected(found: Config, *names: str) -> list[str]:
    return [network.name for network in found.select(names)]


def test_select_by_name_and_family():
    found = config.require(ROOT)
    family = ["binary_tanh", "binary_relu", "binary_leaky_relu", "binary_identity"]
    assert selected(found) == list(found.networks)
    assert selected(found, "binary") == family
    assert selected(found, "binary_leaky") == ["binary_leaky_relu"]
    assert selected(found, "binary", "two_layer", "binary_relu") == ["two_layer", *family]


def test_a_network_goes_before_the_family_of_its_name():
    assert selected(networks("a", "a_b", "a_c"), "a") == ["a"]


@pytest.mark.parametrize("name", ["", "a", "ab_", "ab_c_d", "AB", "_", "*"])
def test_select_unknown(name):
    message = refusal(lambda: networks("ab_c", "_x").select([name]))
    assert repr(name) in message and "ab_c, _x" in message


def test_select_suggests():
    found = config.require(ROOT)
    assert "did you mean 'five_layer'?" in refusal(lambda: found.select(["two_layer", "five_layers"]))
    assert "did you mean 'binary'?" in refusal(lambda: found.select(["binry"]))


names = st.lists(st.text("ab_", min_size=1, max_size=5), min_size=1, max_size=6, unique=True)


@given(known=names, data=st.data())
def test_select_is_the_definition(known, data):
    prefixes = sorted({name[:cut] for name in known for cut, letter in enumerate(name) if cut and letter == "_"})
    asked = data.draw(st.lists(st.sampled_from(known + prefixes), min_size=1, max_size=4))
    wanted = set(asked) & set(known)
    wanted |= {name for family in set(asked) - set(known) for name in known if name.startswith(family + "_")}
    assert selected(networks(*known), *asked) == [name for name in known if name in wanted]


@given(known=names, name=st.text("abc_", max_size=6))
def test_select_returns_something_or_raises(known, name):
    if name in known or (name and any(other.startswith(name + "_") for other in known)):
        assert selected(networks(*known), name)
    else:
        refusal(lambda: networks(*known).select([name]))
