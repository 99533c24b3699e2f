"""The equations of a step that was not recorded by a suite: some have more than one honest form.

A loss and an output delta may be computed from the logits (as frameworks do) or from the recorded output A (as
textbooks do); each is judged by the form that it keeps, so that what follows correctly from a wrong A is no second
mistake.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from backproof.backprop.decay import Decay, decayed_update
from backproof.equations import OF_OUTPUT, Elementwise, Equation, equations, output_gradient, through
from backproof.network import Network


def alternatives(
    network: Network, averaged_in: str, recorded: Container[str], decay: Decay | None = None
) -> dict[str, tuple[Equation, ...]]:
    """Target -> its forms, the first preferred, in the order of computation.

    Args:
        recorded: names of the arrays that were given: ``dA_L`` of a joint output is an equation only if it is there.
        decay: where the network's weight decay stands, if that was inferred: else in dW and in the loss.
    """
    L = network.depth
    found: dict[str, tuple[Equation, ...]] = {}
    for equation in equations(network, averaged_in) if decay is None else _decayed(network, averaged_in, decay):
        forms = [equation]
        if network.joint and equation.target == "loss":
            forms.append(_reworked(equation, f"Z{L}", f"A{L}", OF_OUTPUT[network.loss]))
        if network.joint and equation.target == f"dZ{L}":
            formula = "output_minus_labels" if f"Z{L}" in recorded else "rounded_output_minus_labels"
            forms.append(_reworked(equation, f"softmax(Z{L})", f"A{L}", formula))
            if f"dA{L}" in recorded:
                found[f"dA{L}"] = (output_gradient(network, averaged_in),)
                forms.append(through(network, L))
        found[equation.target] = tuple(forms)
    return found


def _decayed(network: Network, averaged_in: str, decay: Decay) -> Iterator[Equation]:
    """Each equation with the decay where it has it, and without where it has not."""
    plain = equations(replace(network, weight_decay=0.0), averaged_in)
    for without, within in zip(plain, equations(network, averaged_in), strict=True):
        if not decay.of(without.target):
            yield without
        else:
            yield decayed_update(without) if without.target.endswith("_next") else within


def _reworked(equation: Equation, old: str, A: str, formula: str) -> Equation:
    """The same equation as a function of the output A."""
    weights = equation.rule.operands[2:]
    text = equation.text.replace(old, A).replace(f"sigmoid({old[-3:-1]})", A)
    return replace(equation, rule=Elementwise(formula, (A, "Y", *weights)), text=text)
