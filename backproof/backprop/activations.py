"""Which activations the arrays follow, where the caller did not say: the ones under which they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.backprop.behind import behind_the_delta
from backproof.backprop.chain import led_there
from backproof.backprop.dropouts import dropout_of
from backproof.backprop.excerpt import SAMPLES, holds
from backproof.backprop.given import Given
from backproof.backprop.own_derivative import own_derivative
from backproof.backprop.skips import skip_of
from backproof.diagnosis import functions
from backproof.equations import Elementwise, Equation, Product
from backproof.errors import BackproofError
from backproof.evaluation import Context
from backproof.network import HIDDEN_ACTIVATIONS, OUTPUT_ACTIVATIONS
from backproof.operands import Operands
from backproof.rounding import Format, format_of

Array = NDArray[Any]
Tensors = Mapping[str, Array]

OUTPUT_ORDER = ("softmax", "sigmoid", "identity", "tanh", "relu", "leaky_relu")
ERRORS = 6.0
"""Standard errors of a fitted slope within which a shorter number is taken for it."""
ALIKE = 1e-5
"""Relative distance up to which A is some activation of Z: float32's rounding."""
DOUBT = 100.0
"""Times that at which A may be one of the network's, a little wrong, and is taken for no other."""
SLOPE = 0.01
"""Of leaky ReLU, where none was given and none shows in the arrays."""


def checked(activations: Sequence[str], depth: int) -> tuple[str, ...]:
    """The caller's activations.

    Raises:
        BackproofError: when they are no list of known names, one for each layer.
    """
    if (
        isinstance(activations, str)
        or not isinstance(activations, Sequence)
        or not all(isinstance(name, str) for name in activations)
    ):
        raise BackproofError(f"activations must be a list of names, one for each layer, not {activations!r}")
    for place, name in enumerate(activations, 1):
        known = OUTPUT_ACTIVATIONS if place == len(activations) else HIDDEN_ACTIVATIONS
        if name not in known:
            raise BackproofError(f"unknown activation {name!r} of layer {place}; choose from {', '.join(known)}")
    if len(activations) != depth:
        raise BackproofError(f"{len(activations)} activations were given for {depth} layers; one for each is needed")
    return tuple(activations)


def slope_of(tensors: Tensors, depth: int, said: Sequence[str] | None) -> float | None:
    """The slope below 0 that some layer has, if it is between 0 and 1: that of a leaky ReLU. It shows in A over Z, in
    dZ over dA, and in the layer above, whose Z is linear in it; None where it shows nowhere.

    Args:
        said: the activations, where the caller said them: then the leaky ones alone tell it, and there is none without.
    """
    leaky = [layer for layer, name in enumerate(said or (), 1) if name == "leaky_relu"]
    if said is not None and not leaky:
        return None
    each = [_between_0_and_1(_slopes(tensors, layer)) for layer in leaky or range(1, depth + 1)]
    # Of few elements any ratio may be nearly one number: what a layer shows twice is no chance.
    agreed = (slopes[0] for slopes in each if len(slopes) > 1 and len(set(slopes)) == 1)
    return next(agreed, next((slope for slopes in each for slope in slopes), None))


def _between_0_and_1(slopes: Iterator[float | None]) -> list[float]:
    """Six digits: what remains of an identity's 1 is 1."""
    short = (float(f"{slope:.6g}") for slope in slopes if slope is not None)
    return [slope for slope in short if 0 < slope < 1]


def _slopes(tensors: Tensors, layer: int) -> Iterator[float | None]:
    Z = _thinned(tensors, f"Z{layer}")
    if Z is None or not np.isfinite(Z).all() or not (below := Z < 0).any():
        return
    for names in ((f"A{layer}", f"Z{layer}"), (f"dZ{layer}", f"dA{layer}")):
        over, under = (_thinned(tensors, name) for name in names)
        if over is not None and under is not None and over.shape == under.shape == Z.shape:
            yield _constant(over[below], under[below])
    above = layer + 1
    W, b, Z_above = tensors.get(f"W{above}"), tensors.get(f"b{above}"), _thinned(tensors, f"Z{above}")
    if W is not None and b is not None and Z_above is not None:
        W, Z = W.astype(np.float64), Z.astype(np.float64)
        negative, rest = W @ np.minimum(Z, 0), Z_above - b - W @ np.maximum(Z, 0)
        yield _constant(rest, negative)


def _thinned(tensors: Tensors, name: str) -> Array | None:
    """An array with a column for each sample, of every k-th sample: one slope shows in any of them."""
    array = tensors.get(name)
    return None if array is None else array[:, :: max(1, array.shape[1] // SAMPLES)]


def _constant(over: Array, under: Array) -> float | None:
    """Least-squares ``over = constant · under``, where that leaves less than a hundredth; the shortest decimal number
    within the fit's error, for somebody wrote it down.
    """
    over, under = over.astype(np.float64).ravel(), under.astype(np.float64).ravel()
    square = float(under @ under)
    if over.size < 2 or not square or not np.isfinite(square):
        return None  # one number is always some multiple of another
    constant = float(over @ under) / square
    left = over - constant * under
    if float(left @ left) > 1e-4 * constant * constant * square:
        return None
    error = ERRORS * float(np.sqrt(left @ left / square / left.size))
    shorter = (float(f"{constant:.{digits}g}") for digits in range(1, 7))
    return next((short for short in shorter if abs(short - constant) <= error), constant)


def inferred(step: Given, slope: float, loss: str | None = None) -> tuple[str, ...]:
    """One activation for each layer: that under which A (or, without A, the next layer's Z) holds on an excerpt; where
    none does, the nearest to A, of the output the one that goes with the labels. Where neither was given, that which
    leads to the next Z or A that was.
    """
    # The coarsest that a Z or an A is held in: one that was held in float32 by mistake is still a ReLU's.
    dtypes = [step.dtype, *(array.dtype for name, array in step.recorded.items() if name[0] in "ZA")]
    fmt = max(map(format_of, dtypes), key=lambda fmt: fmt.unit_roundoff)
    context = Context(1, float(slope), 0.0, fmt.smallest_normal)
    found: dict[int, str] = {}
    for layer in range(1, step.depth + 1):
        if layer not in found:
            found |= _of_layers(step, layer, fmt, context, loss)
    return tuple(found[layer] for layer in range(1, step.depth + 1))


def _of_layers(step: Given, layer: int, fmt: Format, context: Context, loss: str | None) -> dict[int, str]:
    """Of a layer, and of those after it that are found with it; what shows nowhere is noted as untold."""
    if (kind := _of_layer(step, layer, fmt, context, loss)) is not None:
        return {layer: kind}
    if found := led_there(step.known, layer, step.depth, OUTPUT_ORDER, context):
        return found
    step.untold[layer] = "was not given and shows nowhere"
    return {layer: "relu"}


def _of_layer(step: Given, layer: int, fmt: Format, context: Context, loss: str | None) -> str | None:
    """None of a hidden layer whose Z is known, where neither its A nor the next Z tells.

    The output of class labels has the activation that goes with them, unless its A shows another or, without A, its
    delta another's under mean squared error. Real numbers go with any, and only mean squared error with them.
    """
    tensors, output = step.known, layer == step.depth
    names = OUTPUT_ORDER if output else HIDDEN_ACTIVATIONS
    Z, A = tensors.get(f"Z{layer}"), tensors.get(f"A{layer}")
    usual = _usual(step.labels) if output else "relu"
    if Z is None:
        return usual
    if A is None:
        if output:
            # Class labels may be taken for numbers: then a delta through the derivative shows what it went through.
            classes, order = step.labels in ("one_hot", "binary"), [usual, *names]
            made = behind_the_delta(tensors, layer, order, context.slope, joint=not classes)
            return next(made, usual) if loss in ("mse", None) else usual
        return next(_feeding(tensors, layer, names, fmt, context), None)
    if A.shape != Z.shape or not np.isfinite(A).all():
        return usual
    for name in names:
        equation = Equation(f"A{layer}", layer, Elementwise(name, (f"Z{layer}",)), "")
        # A Z that was recomputed is not the one that was used, to the last bit.
        given, _ = step.benefited(equation, Operands(step.tensors), fmt, context)
        if holds(equation, {**tensors, f"A{layer}": given.recorded(f"A{layer}")}, fmt, context):
            return name
    if (skip := skip_of(tensors, layer, names, context.slope, ALIKE)) is not None:
        step.untold[layer] = f"stands beside a skip connection ({skip.text}), which is not checked"
        step.passed[skip.source] = "a skip connection hands it another gradient as well"
        step.said.append(f"layer {layer} has a skip connection, {skip.text}, which is not checked")
        return skip.activation
    nearly = _nearly_known(Z, A, context)
    if not output and not nearly and (dropout := dropout_of(tensors, layer, names, context.slope, ALIKE)) is not None:
        step.untold[layer] = f"has dropout behind it ({dropout.text}), which is not checked"
        step.passed[layer] = "the mask of a dropout may stand in it"
        step.said.append(f"layer {layer} has dropout, {dropout.text}, which is not checked")
        return dropout.activation
    if output and step.labels in ("one_hot", "binary"):
        return usual
    if not nearly:
        if not output and (other := _another(Z, A, context)) is not None:
            step.untold[layer] = f"is {other}, which is not checked"
        elif own_derivative(tensors, layer):
            step.untold[layer] = "is none that is known here, and dZ over dA is the slope of A over Z"
        if layer in step.untold:
            step.said.append(f"the activation of layer {layer} {step.untold[layer]}")
    # Without a slope a leaky ReLU would not be checked: it is not what a wrong A is taken for, if a slope could show.
    sloped = step.slope is not None or np.count_nonzero(Z < 0) < 2
    return min((n for n in names if sloped or n != "leaky_relu"), key=lambda name: _distance(name, Z, A, context))


def _usual(labels: str | None) -> str:
    return {"one_hot": "softmax", "binary": "sigmoid", "real": "identity", None: "identity"}[labels]


def _feeding(tensors: Tensors, layer: int, names: Sequence[str], fmt: Format, context: Context) -> Iterator[str]:
    """Activations g under which ``Z_{l+1} = W g(Z_l) + b`` holds."""
    above = layer + 1
    needed = (f"Z{above}", f"W{above}", f"b{above}")
    if any(name not in tensors for name in needed):
        return
    product = Product(f"W{above}", f"A{layer}", bias=f"b{above}")
    for name in names:
        Z = tensors[f"Z{layer}"]
        A = elementwise.FORMULAS[name](Z, context, Z.astype(np.float64)).exact.astype(Z.dtype)
        if holds(Equation(f"Z{above}", above, product, ""), {**tensors, f"A{layer}": A}, fmt, context):
            yield name


def _nearly_known(Z: Array, A: Array, context: Context) -> bool:
    """Whether A is nearly one of the network's own activations: then what it is off by is wrong, and no other choice.

    Of ReLU6 and ReLU, which are one below 6, it is ReLU.
    """
    Z, A = _some(Z), _some(A)
    near = DOUBT * ALIKE * float(np.abs(A).max(initial=0.0))
    own = (functions.activated(name, Z, context.slope) for name in HIDDEN_ACTIVATIONS)
    return any(np.abs(value - A).max(initial=0.0) <= near for value in own)


def _another(Z: Array, A: Array, context: Context) -> str | None:
    """An activation that is none of the network's, and that A is: its user's choice."""
    Z, A = _some(Z), _some(A)
    near = ALIKE * float(np.abs(A).max(initial=0.0))
    others = (pair for pair in functions.activations(Z, context.slope) if not pair[0].startswith(HIDDEN_ACTIVATIONS))
    return next((name for name, value in others if np.abs(value - A).max(initial=0.0) <= near), None)


def _some(array: Array) -> Array:
    return np.asarray(array[:, :: max(1, array.shape[1] // SAMPLES)], np.float64)


def _distance(name: str, Z: Array, A: Array, context: Context) -> float:
    exact = elementwise.FORMULAS[name](A, context, Z.astype(np.float64)).exact
    return float(np.median(np.abs(A - exact)))
