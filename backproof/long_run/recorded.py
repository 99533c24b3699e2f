"""A recording, certified as the run that it was made of would have been."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backproof.long_run.certifier import Certifier
from backproof.long_run.together import LongRun
from backproof.recording import Recording


def certify_recording(recording: Recording, progress: Callable[[], None] = lambda: None) -> LongRun:
    """Sketch every step of a recording; without the data's owner there is neither a float64 run nor a replica."""
    name = recording.source.implementation
    certifier = Certifier(recording.training)
    found = LongRun(recording.training, {name: certifier})
    with np.errstate(all="ignore"):
        for step in recording.steps():
            certifier.consume(step)
            progress()
            if certifier.ended is not None:
                certifier.end_apart("what other implementations do is not known here")
                break
    return found
