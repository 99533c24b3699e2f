"""The IDX format of the MNIST files: two zero bytes, a type, the number of dimensions, the sizes, the values."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError

GZIP = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The values of an IDX file of unsigned bytes, gzipped if its name ends in ``.gz``.

    The header is ``0 0 8 dimensions`` and one big-endian uint32 a dimension; the values follow, the last
    dimension fastest (LeCun, Cortes and Burges, *The MNIST database*, "File formats").

    Returns:
        uint8 of the header's shape, read-only.

    Raises:
        BackproofError: for a file that cannot be read or decompressed, another format, a type other than
            unsigned byte, another number of dimensions, missing or surplus bytes, or no values at all.
    """
    content = _content(path)
    magic = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    if content.startswith(GZIP):
        _fail(path, "it is gzip-compressed; add .gz to its name, or gunzip it")
    if content[:4] != magic:
        found = content[:4].hex(" ") or "nothing"
        _fail(path, f"not the IDX file needed here: it starts with {found}, not {magic.hex(' ')}; download it again")
    start = 4 + 4 * dimensions
    if len(content) < start:
        _fail(path, f"truncated: {len(content)} bytes, its header alone has {start}; download it again")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if 0 in shape:
        _fail(path, f"zero samples: its header says {' x '.join(map(str, shape))}; use a folder that holds digits")
    expected = start + math.prod(shape)
    if len(content) < expected:
        _fail(path, f"truncated: {len(content)} bytes, its header promises {expected}; download it again")
    if len(content) > expected:
        surplus = len(content) - expected
        _fail(path, f"trailing bytes: {surplus} after the {expected} that its header promises; download it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def locate(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """The path of each file in ``folder``: the plain one, or else ``<name>.gz``.

    Raises:
        BackproofError: when the folder is missing or is not one, or when any of the files is missing.
    """
    if not folder.exists():
        _fail(folder, f"no such folder; it should hold {', '.join(names)} (or the same with .gz)")
    if not folder.is_dir():
        _fail(folder, "a file, not a folder; give the folder that holds the IDX files")
    found = {name: _existing(folder, name) for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        _fail(folder, f"incomplete: no {' and no '.join(missing)} (nor with .gz); download what is missing into it")
    return tuple(path for path in found.values() if path is not None)


def _existing(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackproofError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
    if path.suffix != ".gz":
        return content
    if not content.startswith(GZIP):
        _fail(path, "named .gz but not gzip-compressed; download it again, or drop .gz from the name of a plain file")
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise BackproofError(f"{path}: truncated or damaged gzip file ({error}); download it again") from error


def _fail(path: Path, message: str) -> NoReturn:
    raise BackproofError(f"{path}: {message}")
