"""A progress bar on standard error, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Leaves a function that is called once for each of ``total`` steps."""
    from tqdm import tqdm

    with tqdm(total=total, unit="step", disable=None, leave=False, dynamic_ncols=True) as bar:

        def advance() -> None:
            bar.update()

        yield advance
