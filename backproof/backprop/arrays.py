"""What :func:`backproof.check_backprop` is given, as NumPy arrays under known names: whoever made them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.files import know_bfloat16
from backproof.rounding import FORMATS

Array = NDArray[Any]

KEY = re.compile(r"X|Y|loss|(?:dZ|dA|dW|db|Z|A)[1-9]\d{0,3}|[Wb][1-9]\d{0,3}(?:_next)?")
KEYS = "X, Y, loss, and for a layer n: Wn, bn, Zn, An, dZn, dAn, dWn, dbn, Wn_next, bn_next"


def taken(arrays: Mapping[str, Any]) -> dict[str, Array]:
    """NumPy arrays of at most two dimensions, by their keys; ``A0`` is X.

    NumPy, PyTorch and JAX arrays, numbers and lists of numbers are taken. Integers stay integers in Y and X only.

    Raises:
        BackproofError: for what is no mapping, an unknown key, and values that are no numbers, are masked, or have too
            many axes.
    """
    if not isinstance(arrays, Mapping):
        raise BackproofError(f"arrays must be a dict like {{'X': X, 'W1': W1, ...}}, not a {type(arrays).__name__}")
    if not arrays:
        raise BackproofError(f"no arrays were given; the keys are {KEYS}")
    found = {}
    for key, value in arrays.items():
        name = "X" if key == "A0" and "X" not in arrays else key
        if not isinstance(name, str) or not KEY.fullmatch(name):
            raise BackproofError(_unknown(key, arrays))
        found[name] = _array(name, value)
    return found


def _unknown(key: object, arrays: Mapping[str, Any]) -> str:
    depth = sum(isinstance(k, str) and bool(re.fullmatch(r"W\d+", k)) for k in arrays) or 1
    known = ["X", "Y", "loss"]
    for n in range(1, depth + 1):
        known += [f"{kind}{n}" for kind in ("W", "b", "Z", "A", "dZ", "dA", "dW", "db")] + [f"W{n}_next", f"b{n}_next"]
    plain = str(key).replace("_", "").replace("next", "_next")
    close = [name for name in known if name.lower() == plain.lower()] or difflib.get_close_matches(plain, known, 1)
    suggestion = f" did you mean {close[0]!r}?" if close else ""
    return f"unknown key {key!r};{suggestion} the keys are {KEYS}"


def _array(name: str, value: Any) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise BackproofError(f"{name} is a masked array, and its mask would be lost; give {name}.filled(...) instead")
    if hasattr(value, "detach"):  # a PyTorch tensor, without importing PyTorch
        value = _from_torch(name, value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise BackproofError(f"{name} is no array of numbers: {str(error).splitlines()[0]}") from error
    kind = array.dtype.kind
    if array.dtype.name not in FORMATS and (kind not in "iub" or (name not in ("X", "Y") and kind != "b")):
        raise BackproofError(_no_float(name, array))
    if kind == "b" and name not in ("X", "Y"):
        raise BackproofError(_no_float(name, array))
    if array.ndim > 2 and name != "X":
        raise BackproofError(f"{name} has {array.ndim} axes; a dense network's arrays have at most two")
    if array.size == 0:
        raise BackproofError(f"{name} is empty: its shape is {array.shape}")
    return array.reshape(len(array), -1) if array.ndim > 2 else array


def _no_float(name: str, array: Array) -> str:
    if array.dtype.kind in "iub":
        return f"{name} holds {array.dtype}, where floats belong; convert it with {name}.astype(float)"
    known = ", ".join(FORMATS)
    return f"{name} holds {array.dtype}, which is no array of numbers of a known format ({known})"


def _from_torch(name: str, tensor: Any) -> Any:
    try:
        return _plain(tensor.detach().cpu())
    # Sparse, quantised, nested and meta tensors, each with an error of its own.
    except (NotImplementedError, TypeError, RuntimeError) as error:
        raise BackproofError(f"{name} is a tensor without plain numbers: {str(error).splitlines()[0]}") from error


def _plain(tensor: Any) -> Any:
    if str(tensor.dtype) == "torch.bfloat16":
        know_bfloat16()
        return np.asarray(tensor.float().numpy()).astype(np.dtype("bfloat16"))
    return tensor.numpy()


def depth(arrays: Mapping[str, Array]) -> int:
    """The highest layer that any key names.

    Raises:
        BackproofError: when no key names a layer.
    """
    layers = [int(found[0]) for name in arrays if (found := re.findall(r"\d+", name))]
    if not layers:
        raise BackproofError(f"no array of any layer was given; the keys are {KEYS}")
    return max(layers)
