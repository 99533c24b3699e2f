"""``check_backprop``: are the arrays of one training step what backpropagation makes of their operands?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.backprop import activations as names
from backproof.backprop import said
from backproof.backprop.arrays import taken
from backproof.backprop.checks import Memory
from backproof.backprop.convention import Convention, Wanted, candidates, dependents, failing, nearest
from backproof.backprop.given import Given, fill_forward, given
from backproof.backprop.judged import StepJudge
from backproof.backprop.rate import fitted_rate, with_rate
from backproof.backprop.result import BackpropResult
from backproof.backprop.undeclared import undeclared
from backproof.errors import BackproofError

Array = NDArray[Any]


def check_backprop(
    arrays: Mapping[str, Any],
    activations: Sequence[str] | None = None,
    loss: str | None = None,
    *,
    layout: str | None = None,
    weights: str | None = None,
    reduction: str | None = None,
    averaged_in: str | None = None,
    half: bool | None = None,
    slope: float | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    places: Mapping[str, str] | None = None,
    previous: Mapping[str, Any] | None = None,
) -> BackpropResult:
    """Check the arrays of one step of training a dense network, each against its equation on the others.

    ``Z_l = W_l A_{l-1} + b_l``, ``A_l = g(Z_l)``, the loss, ``dZ_L``, ``dA_{l-1} = W_l^T dZ_l``,
    ``dZ_l = dA_l * g'(Z_l)``, ``dW_l = dZ_l A_{l-1}^T``, ``db_l = sum dZ_l``, and the update.

    Args:
        arrays: NumPy, PyTorch or JAX arrays under the keys ``X Y loss`` and, for a layer n, ``Wn bn Zn An dZn dAn
            dWn dbn Wn_next bn_next``. What is absent lowers the coverage: it is recomputed from what is there, or what
            needs it is reported as not checked.
        activations: one for each layer: ``relu leaky_relu tanh sigmoid identity``, ``softmax`` at the output.
        loss: ``cross_entropy``, ``binary_cross_entropy`` or ``mse``.
        layout: ``columns`` (features x samples) or ``rows``.
        weights: ``out_in`` (W is out x in) or ``in_out``.
        reduction: ``mean`` (of mean squared error and binary cross-entropy: over samples and units),
            ``mean_over_samples`` or ``sum``.
        averaged_in: where 1/m stands: ``delta`` (every dZ is the derivative of the loss), ``gradient`` (dW and db have
            it, the dZ have not) or ``update``.
        half: mean squared error has a factor 1/2.
        slope: of leaky ReLU.
        learning_rate: of plain gradient descent; with parameters after the update and without it, it is fitted.
        weight_decay: lambda of a penalty ``lambda/2 sum W^2`` in the loss; 0 for none. Without it, one is inferred
            where it mends several equations at once, in the gradients or in the update, and that is a note.
        places: key -> where the array was made (``file.py:42``), shown beside a failure.
        previous: the arrays of the step before, under the same keys, lying the same way. Only its dW and db are used,
            to name gradients that were never reset; those of another shape than this step's are not.

    Returns:
        verdict, failures with their explanations, coverage, and what was inferred of all that is None above.

    Raises:
        BackproofError: for input from which no network can be inferred, unknown names, values of a wrong type or out of
            range, and where nothing can be checked.
    """
    said.numbers(slope=slope, learning_rate=learning_rate, weight_decay=weight_decay)
    said.names(loss=loss, layout=layout, weights=weights, reduction=reduction, averaged_in=averaged_in)
    said.truth(half=half)
    made, earlier = said.places(places), said.previous(previous)
    wanted = Wanted(loss, reduction, averaged_in, half)
    step = given(taken(arrays), layout, weights)
    # What overflows is found in the values, not in warnings.
    with np.errstate(all="ignore"):
        choice = _conventions(step, wanted, activations, slope, learning_rate, weight_decay)
        judge = partial(StepJudge, places=made, earlier=_gradients(step, earlier), memory=Memory())
        result = _under_the_likeliest(step, choice, weight_decay is None, judge)
    if not result.coverage.checked and not result.failures:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(result.coverage.unchecked.items())[:3])
        raise BackproofError(f"nothing could be checked ({reasons}); give the operands of at least one equation")
    return result


Judge = Callable[[Given, Convention], StepJudge]


def _under_the_likeliest(step: Given, choice: Sequence[Convention], open_decay: bool, judge: Judge) -> BackpropResult:
    """The result under the preferred convention where nothing fails, else under the nearest.

    Args:
        open_decay: nothing was said of a weight decay, so that one may be inferred.
    """
    preferred = judge(_under(step, choice[0], choice), choice[0])
    if preferred.passes():
        return preferred.result()
    best = nearest(choice, step)
    if open_decay and failing(best[0], step):
        best = undeclared(choice, step) or best
    return _under_the_simplest(step, best, choice, judge)


def _under(step: Given, convention: Convention, choice: Sequence[Convention]) -> Given:
    """The arrays once more, and what is said of the convention where there was a choice."""
    here = step.copy()
    here.said += [str(convention)] if len(choice) > 1 else []
    return here


def _under_the_simplest(
    step: Given, conventions: Sequence[Convention], choice: Sequence[Convention], judge: Judge
) -> BackpropResult:
    """The result under the first of the conventions; where something fails that depends on which, under the one that
    has to assume the least to explain it.
    """
    found: list[BackpropResult] = []
    for convention in conventions:
        result = judge(_under(step, convention, choice), convention).result()
        found.append(result)
        # A tie is worth breaking only where another convention could explain more with less.
        told = dependents(convention, step)
        if result.explained or told.isdisjoint(failure.equation for failure in result.failures):
            break
    return min(found, key=lambda result: result.burden)


def _gradients(step: Given, previous: Mapping[str, Any]) -> dict[str, Array]:
    """The finite gradients of an earlier step, in canonical form."""
    lying = {name: array for name, array in previous.items() if str(name)[:2] in ("dW", "db")}
    turned = {name: step.orientation.canonical(name, array) for name, array in (taken(lying) if lying else {}).items()}
    return {
        name: array
        for name, array in turned.items()
        if name in step.recorded and array.shape == step.recorded[name].shape and np.isfinite(array).all()
    }


def _conventions(
    step: Given,
    wanted: Wanted,
    activations: Sequence[str] | None,
    slope: float | None,
    learning_rate: float | None,
    weight_decay: float | None,
) -> list[Convention]:
    """The network under every convention that agrees with what the caller said, the preferred first; what the arrays
    tell of the network is said.
    """
    told = None if activations is None else names.checked(activations, step.depth)
    step.slope = slope if slope is not None else names.slope_of(step.known, step.depth, told)
    found = names.SLOPE if step.slope is None else step.slope
    kinds = told or names.inferred(step, found, wanted.loss)
    if told is None:
        step.said.append(f"activations {', '.join(step.named(kinds))}")
    if slope is None and step.slope is not None and "leaky_relu" in kinds:
        step.said.append(f"slope {found:g}")
    step.rate = rate = learning_rate if learning_rate is not None else fitted_rate(step)
    said.labels(step, kinds[-1], wanted.loss)
    labels = step.labels or ("binary" if kinds[-1] == "sigmoid" else "one_hot" if kinds[-1] == "softmax" else "real")
    others = {"slope": found, "learning_rate": rate or 1.0, "weight_decay": weight_decay or 0.0}
    choice = list(candidates(wanted, step.orientation.sizes, kinds, labels, **others))
    if not choice:
        raise BackproofError("no convention agrees with what was said of loss, reduction, averaged_in and half")
    if learning_rate is None and rate is not None:
        step.said.append(f"learning rate {rate:.6g}")
        choice = [with_rate(convention, step) for convention in choice]
    fill_forward(step, choice[0].network)
    return choice
