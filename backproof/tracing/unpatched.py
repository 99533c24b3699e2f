"""NumPy as it was before the script ran: one that replaces ``np.asarray`` does so for itself, not for the capture."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy

__all__ = ["np"]


def kept(module: ModuleType) -> ModuleType:
    """A copy of a module's names."""
    copy = ModuleType(module.__name__)
    copy.__dict__.update(vars(module))
    return copy


if TYPE_CHECKING:
    import numpy as np
else:
    np = kept(numpy)
    np.linalg = kept(numpy.linalg)
