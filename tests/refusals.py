"""What a refusal must look like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backproof.errors import BackproofError


def refusal(call: Callable[[], object]) -> str:
    """The message of the BackproofError that ``call`` must raise; it must be one line."""
    __tracebackhide__ = True
    with pytest.raises(BackproofError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message, message
    return message
