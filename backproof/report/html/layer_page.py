"""What the page of one layer says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backproof.evidence import Json
from backproof.network import Network
from backproof.report.html import element, mathml, quantity
from backproof.report.html.failure import failures, is_echo
from backproof.report.html.grid import sums
from backproof.report.layer import described_samples, in_order, shape_of
from backproof.report.tables import number, percent


def view(network: Network, facts: Json, layer: Json, dtype: str) -> dict[str, Any]:
    """The variables of a layer's page; ``facts`` is the network's part of the summary, ``layer`` the evidence.

    Raises:
        KeyError, TypeError, ValueError: where they are not what ``verify`` writes.
    """
    number_, u = int(layer["layer"]), float(facts["unit_roundoff"])
    everything = failures(network.name, facts)
    here = [failure for failure in everything if failure.layer in (number_, 0)]
    steps = [int(by["steps"]) for entry in layer["equations"].values() for by in entry["by"].values()]
    return {
        "network": network,
        "number": number_,
        "activation": network.activations[number_ - 1],
        "samples": described_samples(facts),
        "steps": max(steps, default=0),
        "dtype": str(dtype),
        "unit": f"{u:.3g}",
        "failures": [failure for failure in here if not is_echo(failure, everything)],
        "echoes": [failure for failure in here if is_echo(failure, everything)],
        "elsewhere": [f for f in everything if f.layer not in (number_, 0) and not is_echo(f, everything)][:1],
        "quantities": list(_quantities(network, facts, layer, u)),
        "agreement": list(_agreement(layer)),
        "unchecked": list(_unchecked(facts, layer)),
    }


def _quantities(network: Network, facts: Json, layer: Json, u: float) -> Iterator[quantity.Quantity]:
    for target, entry in in_order(layer["equations"]):
        if entry["by"]:
            yield quantity.of(target, entry, shape_of(target, entry["shape"], facts), target in sums(network), u)


def _agreement(layer: Json) -> Iterator[dict[str, Any]]:
    for name, entry in in_order(layer["agreement"]):
        for by, facts in entry["by"].items():
            yield {
                "quantity": str(name),
                "math": mathml.quantity(str(name)),
                "by": by,
                "verdict": str(facts["verdict"]),
                "numbers": [(number(facts[key]), facts[key]) for key in ("absolute", "relative", "ulps", "envelope")],
                "used": percent(facts["fraction"]),
                "used_value": float("inf") if facts["fraction"] is None else float(facts["fraction"]),
                "worst": element.of(str(name), facts["worst"], list(facts["worst"]["index"]), 1.0),
                "left_out": int(facts["left_out"]),
            }


def _unchecked(facts: Json, layer: Json) -> Iterator[str]:
    for target, entry in in_order(layer["equations"]):
        for by, found in entry["by"].items():
            if found["vacuous"] and found["elements"]:
                share = percent(int(found["vacuous"]) / int(found["elements"]))
                yield f"{target} of {by}: {share} of the elements have operands all zero, and agree for nothing"
        for by, run in facts["implementations"].items():
            if count := run["unchecked"].get(target):
                yield f"{target} of {by}: not judged in {int(count)} steps, because it or an operand is unsound"
            if count := run["uncompared"].get(target):
                yield (
                    f"{target} of {by}: not compared end to end in {int(count)} steps: every sample lies on a kink, "
                    "or the float64 reference is not finite"
                )
