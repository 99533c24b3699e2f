"""Mistakes of the output's delta ``dZ_L``; a wrong constant (−1, 2, m, 1/m, the classes) is found as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case, Part, crossed
from backproof.diagnosis.classes import weighted
from backproof.diagnosis.functions import derived, softmax
from backproof.diagnosis.hidden_delta import derivative_parts
from backproof.diagnosis.labels import LOSSES, coefficient, gradient, labels, outputs, through_output

Array = NDArray[Any]
Form = tuple[str, str, Callable[[Array, Array], Array]]
"""Name, sentence, and dZ as a function of the output and the labels."""


def candidates(case: Case) -> Iterator[Candidate]:
    """Wrong labels, a wrong output, another form of the derivative."""
    own = _joint if case.network.joint else _separate
    forms = [*own(case), *_other_losses(case)]
    chosen = [Part(name, text, np.array(place)) for place, (name, text, _) in enumerate(forms)]
    functions = [function for *_, function in forms]

    def delta(A: Array, Y: Array, form: Array) -> Array:
        return functions[int(form)](A, Y)

    yield from crossed(delta, list(outputs(case, case.target)), list(labels(case, case.target)), chosen, most=case.most)
    if not case.network.joint:
        yield from _from_gradient(case)
    yield from weighted(case)


def _joint(case: Case) -> Iterator[Form]:
    """Softmax with cross-entropy, sigmoid with the binary one: ``A − Y``."""
    loss, dZ, scale = case.network.loss, case.target, coefficient(case)
    yield "", "", lambda A, Y: scale * (A - Y)
    text = f"{dZ} = ∂loss/∂A: the output activation's derivative is missing"
    yield "derivative-missing", text, lambda A, Y: scale * gradient(loss, A, Y)
    if loss == "cross_entropy":
        text = f"only the diagonal of the softmax Jacobian is used: {dZ} = −Y ⊙ (1 − A)"
        yield "jacobian-diagonal", text, lambda A, Y: scale * -Y * (1 - A)
        text = f"each row of the softmax Jacobian times −Y/A loses its own term a·y: {dZ} = A ⊙ (1 − Y) − Y"
        yield "jacobian-row", text, lambda A, Y: scale * (A * (1 - Y) - Y)
        text = f"only the true class has a delta: {dZ} = A − 1 where Y is 1, else 0"
        yield "true-class-only", text, lambda A, Y: scale * (A - 1) * Y

        def twice(A: Array, Y: Array) -> Array:
            return scale * through_output("softmax", softmax(A) - Y, A, None)

        yield "softmax-twice-differentiated", f"{dZ} is the derivative of a loss that takes softmax twice", twice


def _separate(case: Case) -> Iterator[Form]:
    """``dA`` through the activation, from the recorded output."""
    loss, own, dZ, scale = case.network.loss, case.network.activations[-1], case.target, coefficient(case)
    yield "", "", lambda A, Y: scale * through_output(own, gradient(loss, A, Y), A, slope_of(case, A))
    if own == "identity":
        return
    text = f"{dZ} = ∂loss/∂A: the output activation's derivative is missing"
    yield "derivative-missing", text, lambda A, Y: scale * gradient(loss, A, Y)
    if own == "softmax":
        text = f"only the diagonal of the softmax Jacobian is used: {dZ} = dA ⊙ A ⊙ (1 − A)"
        yield "jacobian-diagonal", text, lambda A, Y: scale * gradient(loss, A, Y) * A * (1 - A)


def _other_losses(case: Case) -> Iterator[Form]:
    own, activation, dZ = case.network.loss, case.network.activations[-1], case.target
    for other, word in LOSSES.items():
        scale = coefficient(case, other)
        if other == own or (other != "mse" and activation not in ("softmax", "sigmoid")):
            continue

        def delta(A: Array, Y: Array, other: str = other, scale: float = scale) -> Array:
            return scale * through_output(activation, gradient(other, A, Y), A, slope_of(case, A))

        yield "other-loss", f"{dZ} is the derivative of {word} through {activation}", delta
        if activation == "softmax":
            text = f"{dZ} is the derivative of {word} times A ⊙ (1 − A)"
            yield "other-loss", text, partial(_diagonal, other, scale)
    if not case.network.joint and activation in ("softmax", "sigmoid"):
        yield (
            "other-loss",
            f"{dZ} = A − Y, which is a cross-entropy's",
            lambda A, Y: (A - Y) / case.context.delta_divisor,
        )


def _diagonal(loss: str, scale: float, A: Array, Y: Array) -> Array:
    return np.asarray(scale * gradient(loss, A, Y) * A * (1 - A))


def slope_of(case: Case, A: Array) -> Array | None:
    """The output activation's elementwise derivative: of A where it is a function of A, else of Z."""
    own, L = case.network.activations[-1], case.network.depth
    if own == "softmax":
        return None
    if own in ("tanh", "sigmoid"):
        return 1 - A * A if own == "tanh" else A * (1 - A)
    return derived(own, case[f"Z{L}"], case.context.slope)


def _from_gradient(case: Case) -> Iterator[Candidate]:
    """The recorded dA through another derivative."""
    dA = case.get(f"dA{case.layer}")
    if dA is None:
        return
    own, A = case.network.activations[-1], case[f"A{case.layer}"]
    if own == "softmax":
        yield Candidate("derivative-missing", f"{case.target} = dA{case.layer}: the softmax Jacobian is missing", dA)
        text = f"only the diagonal of the softmax Jacobian is used: {case.target} = dA ⊙ A ⊙ (1 − A)"
        yield Candidate("jacobian-diagonal", text, dA * A * (1 - A))
        return
    for part in derivative_parts(case):
        yield Candidate(part.name, part.text, dA * part.array)
