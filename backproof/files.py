"""Files that can be trusted: tensors and JSON with their CRCs, names that appear only when what they name is whole."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError

Array = NDArray[Any]

STORED = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16",
}  # fmt: skip
"""The dtypes that a file of tensors holds, and what safetensors calls them."""


def know_bfloat16() -> None:
    """Make NumPy and safetensors understand the name ``bfloat16``, which they do once ml_dtypes is imported.

    Raises:
        BackproofError: where ml_dtypes is not installed.
    """
    if importlib.util.find_spec("ml_dtypes") is None:
        raise BackproofError("bfloat16 needs ml_dtypes, which is not installed; pip install ml_dtypes")
    importlib.import_module("ml_dtypes")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError while writing into one line that says where and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackproofError(f"cannot write to {folder}: {reason}; choose another folder or free some space") from error


def save_tensors(path: Path, tensors: Mapping[str, Array]) -> dict[str, Any]:
    """Write a safetensors file under a temporary name, rename it, and describe each tensor.

    Raises:
        BackproofError: for an array whose dtype is not one of :data:`STORED`.
        OSError: when the file cannot be written.
    """
    from safetensors.numpy import save_file

    # safetensors writes the memory as it lies and scrambles what is not C-contiguous.
    packed = {name: _packed(name, array) for name, array in tensors.items()}
    temporary = path.with_name(path.name + ".tmp")
    try:
        save_file(packed, temporary)
    except Exception as error:
        # safetensors reports a full disk as its own error type, not as an OSError.
        raise OSError(None, f"{error}") from error
    os.replace(temporary, path)
    return {name: describe(array) for name, array in packed.items()}


def _packed(name: str, array: Array) -> Array:
    """C-contiguous and in the machine's byte order, as the CRCs and the file are of the bytes in memory."""
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise BackproofError(f"{name} is not an array of numbers: {error}") from error
    if array.dtype.name not in STORED:
        raise BackproofError(f"{name} has dtype {array.dtype}, which no recording can hold; convert it to numbers")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)


def describe(array: Array) -> dict[str, Any]:
    """CRC-32, dtype and shape of a C-contiguous array."""
    crc = zlib.crc32(array.reshape(-1).view(np.uint8).data)
    return {"crc32": crc, "dtype": array.dtype.name, "shape": list(array.shape)}


def load_tensors(path: Path, described: Mapping[str, Any]) -> dict[str, Array]:
    """Read a safetensors file and verify every tensor against its description.

    Raises:
        BackproofError: when the file is missing, truncated, or holds anything but what was written.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BackproofError(f"{path} is missing; record anew")
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: _tensor(file, name, path) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BackproofError(f"{path} is truncated or not a safetensors file ({error}); record anew") from error
    if tensors.keys() != described.keys():
        different = sorted(tensors.keys() ^ described.keys())
        raise BackproofError(
            f"{path}: its tensors are not those that were listed ({', '.join(different)}); record anew"
        )
    for name, array in tensors.items():
        if describe(array) != described[name]:
            raise BackproofError(f"{path}: {name} is not what was written (bit-flipped or replaced); record anew")
    return tensors


def _tensor(file: Any, name: str, path: Path) -> Array:
    stored = file.get_slice(name).get_dtype()
    if stored not in STORED.values():
        raise BackproofError(f"{path}: {name} is of type {stored}, which no recording holds; record anew")
    if stored == "BF16":
        know_bfloat16()
    array: Array = file.get_tensor(name)
    return array


def sealed(content: Mapping[str, Any], indent: int | None = None) -> bytes:
    """One JSON object that ends with the CRC-32 of itself."""
    crc = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    return json.dumps({**content, "crc32": crc}, sort_keys=True, indent=indent).encode() + b"\n"


def unsealed(raw: bytes, path: Path) -> dict[str, Any]:
    """Undo :func:`sealed`.

    Raises:
        BackproofError: when the bytes are not JSON or not what was written.
    """
    try:
        content = json.loads(raw)
        crc = content.pop("crc32")
        found = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    # Lists within lists within lists end in a RecursionError, in either direction.
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise BackproofError(f"{path} is truncated or not a recording's; record anew") from error
    if crc != found:
        raise BackproofError(f"{path} was changed after it was written; record anew")
    return dict(content)


def has_keys(path: Path, *keys: str) -> bool:
    """Whether the file is a JSON object with these keys: what tells our own from another program's of the same name."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, IsADirectoryError):
        return False
    return isinstance(content, dict) and content.keys() >= set(keys)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
