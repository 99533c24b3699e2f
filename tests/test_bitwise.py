"""What holds to the last bit passes as float64 would let it pass; nothing else does, and nothing agrees for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import backproof
from backproof.backprop import bitwise
from backproof.backprop.bitwise import check_bits
from backproof.equation_check import context_of
from backproof.equations import equations
from backproof.network import Network
from backproof.operands import Operands
from backproof.rounding import format_of
from benchmarks.random_steps import Arrays, Case, arrays_of, random_case
from reference import network as reference
from tests.support import training

Array = NDArray[Any]
ALWAYS, NEVER = (0, 0), (1 << 62, 1 << 62)
LARGE = Case((300, 70, 10), ("relu", "softmax"), "cross_entropy", 1000, dtype="float32", seed=3)


def told(arrays: Arrays, said: dict[str, Any], worth: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bitwise, "WORTH", worth)
    result = backproof.check_backprop(arrays, **said)
    return result.verdict, [failure.equation for failure in result.failures], result.coverage


@pytest.mark.parametrize("seed", range(80))
def test_it_says_what_float64_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of healthy steps, and of steps with one wrong quantity, in every layout and format."""
    case = random_case(4000 + seed)
    names = [name for name in arrays_of(case) if name not in ("X", "Y") and name[0] not in "Wb"]
    target, size = names[seed % len(names)], 1e-3 if case.dtype == "float32" else 1e-9

    def wrong(case: Case, q: Arrays, right: Array) -> Array:
        return np.asarray(right + np.asarray(size * np.abs(right).max(), right.dtype), right.dtype)

    for faults in ({}, {target: wrong}):
        arrays = arrays_of(case, faults)
        assert told(arrays, case.said, ALWAYS, monkeypatch) == told(arrays, case.said, NEVER, monkeypatch)


def checks(change: Callable[[Arrays], None], monkeypatch: pytest.MonkeyPatch, dtype: str = "float32") -> Any:
    """Of a reference step of 5-4-3: target -> the check to the last bit, or None."""
    monkeypatch.setattr(bitwise, "WORTH", ALWAYS)
    network = Network("small", (5, 4, 3), ("relu", "softmax"))
    here = training(network, 6, dtype=dtype)
    (step,) = reference.record(here)
    tensors = {name: np.array(array) for name, array in step.tensors.items()} | {"X": here.X.copy(), "Y": here.Y}
    change(tensors)
    context = context_of(network, here.dtype, 6)
    of = Operands(tensors)
    return {e.target: check_bits(e, of, format_of(here.dtype), context) for e in equations(network)}


PRODUCTS = ("Z1", "Z2", "dW2", "dA1", "dW1")
EXACT = ("A1", "dZ1", "db1", "db2", "W1_next", "W2_next")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_numpy_made_holds(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = checks(lambda tensors: None, monkeypatch, dtype)
    assert {name for name, check in found.items() if check} >= {*PRODUCTS, *EXACT}
    assert not {name for name, check in found.items() if check} & {"loss", "A2", "dZ2"}


@pytest.mark.parametrize("target", [*PRODUCTS, "A1", "dZ1", "db1", "db2"])
def test_one_bit_in_one_element_is_no_agreement(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def off(tensors: Arrays) -> None:
        array = tensors[target]
        index = np.unravel_index(int(np.abs(array).argmax()), array.shape)
        array[index] = np.nextafter(array[index], np.float32(np.inf))

    assert checks(off, monkeypatch)[target] is None


def test_rows_and_columns_of_zeros_agree_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(tensors: Arrays) -> None:
        tensors["X"][2] = 0
        tensors["dW1"][:, 2] = 0
        tensors["Z1"][:] = tensors["W1"] @ tensors["X"] + tensors["b1"]

    found = checks(dead, monkeypatch)
    assert found["dW1"].vacuous == 4 and found["Z1"].vacuous == 0

    def nothing(tensors: Arrays) -> None:
        tensors["dZ1"][:] = 0
        tensors["dW1"][:] = 0

    assert checks(nothing, monkeypatch)["dW1"] is None  # float64 tells what that is worth


def test_what_is_near_the_floor_is_left_to_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(tensors: Arrays) -> None:
        tensors["dZ1"] *= np.float32(1e-36)
        tensors["dW1"][:] = tensors["dZ1"] @ tensors["X"].T

    assert checks(tiny, monkeypatch)["dW1"] is None


def test_operands_of_another_format_are_left_to_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checks(lambda tensors: tensors.update(W2=tensors["W2"].astype(np.float64)), monkeypatch)
    assert found["Z2"] is None and found["Z1"] is not None


@pytest.mark.parametrize("rows", [False, True])
def test_a_large_step_says_so_in_its_table(rows: bool) -> None:
    case = Case(LARGE.sizes, LARGE.activations, LARGE.loss, LARGE.m, dtype="float32", rows=rows, seed=3)
    text = str(backproof.check_backprop(arrays_of(case), **case.said))
    lines = {line.split(" = ")[0]: line for line in text.splitlines() if " = " in line}
    assert text.startswith("All within rounding")
    assert all("same bits as NumPy's" in lines[name] for name in ("Z1", "dW1", "A1"))
    assert "same bits" not in lines["b2_next"] and "same bits" not in lines["A2"]


def test_a_relative_error_of_a_millionth_in_a_large_step_is_found() -> None:
    def off(case: Case, q: Arrays, right: Array) -> Array:
        return np.asarray(right * np.float32(1 + 3e-6), np.float32)

    for target in ("Z1", "dW1"):
        result = backproof.check_backprop(arrays_of(LARGE, {target: off}), **LARGE.said)
        assert [failure.equation for failure in result.failures] == [target], result
