"""Mistakes that people make, as data: see ``planted.py`` for what one is."""

from tests.faults import (
    bias_gradient,
    forward,
    framework,
    hidden_delta,
    loss,
    output_delta,
    precision,
    update,
    weight_gradient,
)
from tests.faults.planted import Planted

GROUPS = (forward, loss, output_delta, hidden_delta, weight_gradient, bias_gradient, update, precision, framework)
FAULTS: list[Planted] = [fault for group in GROUPS for fault in group.FAULTS]
