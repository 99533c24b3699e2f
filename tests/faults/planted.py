"""A planted fault as data, and how it is planted: written once, in columns, whatever the layout of the case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.random_steps import Arrays, Case, arrays_of, random_case

Array = np.ndarray[Any, np.dtype[Any]]
Make = Callable[[Case, Mapping[str, Array], Array], Any]
"""(case, the quantities so far, the right value), all in columns and W out x in -> the wrong value."""


def any_case(case: Case) -> Case:
    """No condition."""
    return case


@dataclass(frozen=True)
class Planted:
    """One fault.

    Attributes:
        id: of the list of mistakes.
        what: a few words.
        target: the quantity that it replaces; ``{L}`` stands for the last layer.
        make: the wrong value.
        names: explanations of which one must come first; empty where no single step can tell.
        fit: makes a random case one that shows the fault.
        prepare: changes data and parameters before the step.
        kink: no failure but a note.
        previous: what the step before left in the target, in columns.
        late: the array is spoilt after the step, which went on with the right one.
    """

    id: str
    what: str
    target: str
    make: Make
    names: tuple[str, ...]
    fit: Callable[[Case], Case] = any_case
    prepare: Callable[[Case, Arrays], None] | None = None
    kink: bool = False
    late: bool = False
    previous: Callable[[Case], Array] | None = None

    def target_of(self, case: Case) -> str:
        """The quantity's name in a case."""
        return self.target.format(L=case.depth)

    def case(self, seed: int) -> Case:
        """A random case that shows it."""
        return self.fit(random_case(seed))


def arrays(case: Case, faults: list[Planted]) -> Arrays:
    """The arrays of a step with the faults in it; of one target they act one after the other."""
    planted: dict[str, Callable[[Case, Arrays, Array], Array]] = {}
    late: Arrays = {}
    for fault in faults:
        target = fault.target_of(case)
        planted[target] = _after(planted.get(target), _in_columns(target, fault, late))
    prepare = next((fault.prepare for fault in faults if fault.prepare), None)
    with np.errstate(all="ignore"):
        return {**arrays_of(case, planted, prepare), **late}


def before(case: Case, faults: list[Planted]) -> Arrays:
    """The arrays of the step before that the faults need."""
    return {
        name: turn(case, name, fault.previous(case).astype(case.dtype), back=True)
        for fault in faults
        if fault.previous is not None
        for name in [fault.target_of(case)]
    }


def _after(first: Any, second: Any) -> Any:
    return second if first is None else lambda case, q, right: second(case, q, first(case, q, right))


def _in_columns(target: str, planted: Planted, late: Arrays) -> Any:
    """What has another shape is shown at the end; the right value goes on, or the step would not."""
    make = planted.make

    def fault(case: Case, q: Arrays, right: Array) -> Array:
        turned = {name: turn(case, name, array) for name, array in q.items() if name != "Y"}
        wrong = np.asarray(make(case, {**turned, "Y": turned["_Y"]}, turn(case, target, right)))
        dtype = wrong.dtype if wrong.dtype.kind == "f" and getattr(make, "keeps_dtype", False) else case.dtype
        back = turn(case, target, wrong, back=True)
        value = np.ascontiguousarray(back, dtype) if back.ndim else np.asarray(back, dtype)
        if planted.late or value.shape != right.shape:
            late[target] = value
            return right
        return value

    return fault


def turn(case: Case, name: str, array: Array, back: bool = False) -> Array:
    """Between the case's own layout and columns."""
    kind = name.removesuffix("_next").rstrip("0123456789")
    if not case.rows or array.ndim == 0:
        return array
    if kind in ("b", "db"):
        return (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array.T) if back else array[:, None]
    if kind in ("W", "dW"):
        return array if case.torch_like else array.T
    return array.T


def said(case: Case) -> dict[str, Any]:
    """Everything that a caller can say."""
    reduction = "mean" if case.loss == "cross_entropy" and case.reduction != "sum" else case.reduction
    conventions = {"reduction": reduction, "averaged_in": case.averaged_in}
    half = {"half": case.half} if case.loss == "mse" else {}
    weights = "in_out" if case.rows and not case.torch_like else "out_in"
    return case.said | conventions | half | {"layout": "rows" if case.rows else "columns", "weights": weights}


def deep(case: Case, activation: str | None = None, at_least: int = 2) -> Case:
    """With so many layers, the first of them with this activation."""
    sizes, kinds = case.sizes, case.activations
    while len(kinds) < at_least:
        sizes, kinds = (sizes[0], max(sizes) + 3, *sizes[1:]), ("relu", *kinds)
    case = replace(case, sizes=sizes, activations=kinds)
    if case.m in case.sizes:
        case = replace(case, m=max(case.sizes) + 2)
    return case if activation is None else replace(case, activations=(activation, *kinds[1:]))


def output(case: Case, activation: str, loss: str, units: int | None = None) -> Case:
    """With this output and loss."""
    n = units or (case.sizes[-1] if case.sizes[-1] > 1 else 4)
    while not units and n in (*case.sizes[:-1], case.m):
        n += 1
    reduction = case.reduction if loss != "cross_entropy" or case.reduction == "sum" else "mean_over_samples"
    return replace(
        case, sizes=(*case.sizes[:-1], n), activations=(*case.activations[:-1], activation), loss=loss,
        integer_labels=loss == "cross_entropy" and case.integer_labels, reduction=reduction,
        half=case.half and loss == "mse",
    )  # fmt: skip


def classes(case: Case) -> Case:
    """Softmax and cross-entropy."""
    return output(case, "softmax", "cross_entropy")


def binary(case: Case) -> Case:
    """Sigmoid and binary cross-entropy."""
    return output(case, "sigmoid", "binary_cross_entropy")


def mean(case: Case) -> Case:
    """A mean over the samples, 1/m in the delta."""
    return replace(case, reduction="mean_over_samples", averaged_in="delta")
