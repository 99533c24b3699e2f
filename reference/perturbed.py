"""The loss with one parameter changed, for many parameters at once.

A weight or bias of layer l and unit i moves one row of ``Z_l`` and nothing else of that layer:

    W_l[i, j] + s        Z_l[i] + s A_{l-1}[j]
    b_l[i] + s           Z_l[i] + s
    layer l + 1          Z_{l+1} + W_{l+1}[:, i] (g(Z_l'[i]) - g(Z_l[i]))        a rank-one update
    above                Z = W A + b                                             as in any forward pass

Every pair of a perturbation and a sample is a column of its own, so all parameters of a unit go through the layers
above in a few large products. A sample whose activation does not move (a unit that is off, a pixel that is 0) keeps its
loss. What comes out is the loss function of the exact parameter plus s, evaluated with roundings that
:func:`reference.gradient_check.loss_rounding` bounds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.network import KINKED, Network
from reference.activations import activate
from reference.layouts import LAYOUTS
from reference.network import forward
from reference.output import output, sample_losses

Array = NDArray[Any]

COLUMNS = 2048
"""Pairs that are propagated at once: 128 units of them are 2 MiB."""


class Unit(NamedTuple):
    """Row ``row`` of a layer."""

    layer: int
    row: int


class Around:
    """A network at its parameters, in float64 and canonical form, and the losses near by."""

    def __init__(self, network: Network, parameters: dict[str, Array], X: Array, Y: Array) -> None:
        self.network, self.parameters, self.Y = network, parameters, Y
        observed: dict[str, Array] = {"A0": X}
        forward(network, parameters, X, LAYOUTS["columns"], observed)
        self.observed = observed
        self.sample_losses = self._sample_losses(observed[f"Z{network.depth}"], Y)

    def units(self) -> list[Unit]:
        """Every unit of every layer."""
        return [Unit(layer, row) for layer in range(1, self.network.depth + 1) for row in range(self._size(layer))]

    def losses(self, unit: Unit, steps: Array) -> Array:
        """The loss at each step from each parameter of a unit.

        Args:
            steps: (s, fan_in + 1), each row a step for every weight of the unit and, last, for its bias.

        Returns:
            (s, fan_in + 1).

        Raises:
            BackproofError: when a Z changes the side of a kink.
        """
        network, (layer, row) = self.network, unit
        A = self.observed[f"A{layer - 1}"]
        Z, m = self.observed[f"Z{layer}"][row], A.shape[1]
        inputs = np.vstack([A, np.ones(m)])
        moved = Z + steps[:, :, None] * inputs  # (s, fan_in + 1, m)
        if layer < network.depth:
            changes = activate(network.activations[layer - 1], moved, network.slope) - self.observed[f"A{layer}"][row]
        else:
            changes = moved - Z
        self._refuse_crossed(unit, layer, row, Z, moved)
        terms = np.broadcast_to(self.sample_losses, moved.shape).copy()
        pairs = np.flatnonzero(changes)
        check = self._within_reach(unit, np.abs(moved - Z).max(axis=(0, 1)))
        for start in range(0, pairs.size, COLUMNS):
            some = pairs[start : start + COLUMNS]
            terms.flat[some] = self._propagated(unit, moved.ravel()[some], changes.ravel()[some], some, check)
        return self._total(unit, steps, terms)

    def _propagated(self, unit: Unit, moved: Array, changes: Array, pairs: Array, check: set[int]) -> Array:
        network, (layer, row) = self.network, unit
        sample = pairs % self.Y.shape[1]
        if layer == network.depth:
            Z = self.observed[f"Z{layer}"][:, sample]
            Z[row] = moved
            return self._sample_losses(Z, self.Y[:, sample])
        Z = self.observed[f"Z{layer + 1}"][:, sample]
        Z += self.parameters[f"W{layer + 1}"][:, row, None] * changes
        for above in range(layer + 1, network.depth + 1):
            if above in check:
                self._refuse_above(unit, above, Z, pairs, sample)
            if above < network.depth:
                A = activate(network.activations[above - 1], Z, network.slope, out=Z)
                Z = self.parameters[f"W{above + 1}"] @ A
                Z += self.parameters[f"b{above + 1}"]
        return self._sample_losses(Z, self.Y[:, sample])

    def _sample_losses(self, Z: Array, Y: Array) -> Array:
        A = None if self.network.joint else output(self.network, Z, LAYOUTS["columns"])
        return sample_losses(self.network, Z, A, Y)

    def _total(self, unit: Unit, steps: Array, terms: Array) -> Array:
        """The mean or sum over the samples, and the penalty: all but the perturbed weight's own part is the same."""
        values = terms.sum(axis=-1) / self.network.divisor(terms.shape[-1])
        if self.network.weight_decay:
            W = self.parameters[f"W{unit.layer}"][unit.row]
            others = sum(np.square(self.parameters[f"W{n}"]).sum() for n in range(1, self.network.depth + 1))
            penalty = np.full(steps.shape, others)
            penalty[:, :-1] += np.square(W + steps[:, :-1]) - np.square(W)
            values = values + self.network.weight_decay / 2 * penalty
        return np.asarray(values)

    def _size(self, layer: int) -> int:
        return self.network.sizes[layer]

    # Kinks

    def _within_reach(self, unit: Unit, reach: Array) -> set[int]:
        """Layers above in which a Z is so near a kink that it might cross it.

        ``|g(z') - g(z)| <= |z' - z|`` for every hidden activation, so ``|W|`` carries a bound on the changes of one
        layer's Z to the next. Twice the bound is more than its rounding and that of Z.
        """
        bound = np.zeros((self._size(unit.layer), reach.size))
        bound[unit.row] = reach
        near = set()
        for above in range(unit.layer + 1, self.network.depth + 1):
            bound = np.abs(self.parameters[f"W{above}"]) @ bound
            kinked = self.network.activations[above - 1] in KINKED
            if kinked and (np.abs(self.observed[f"Z{above}"]) <= 2 * bound + 1e-12).any():
                near.add(above)
        return near

    def _refuse_crossed(self, unit: Unit, layer: int, row: int, Z: Array, moved: Array) -> None:
        if self.network.activations[layer - 1] in KINKED:
            crossed = (moved > 0) != (Z > 0)
            if crossed.any():
                parameter, sample = (int(i) for i in np.argwhere(crossed.any(axis=0))[0])
                self._refuse(unit, parameter, layer, row, sample)

    def _refuse_above(self, unit: Unit, layer: int, Z: Array, pairs: Array, sample: Array) -> None:
        crossed = (Z > 0) != (self.observed[f"Z{layer}"][:, sample] > 0)
        if crossed.any():
            row, at = (int(i) for i in np.argwhere(crossed)[0])
            parameter = int(pairs[at]) // self.Y.shape[1] % (self._size(unit.layer - 1) + 1)
            self._refuse(unit, parameter, layer, row, int(sample[at]))

    def _refuse(self, unit: Unit, parameter: int, layer: int, row: int, sample: int) -> None:
        weight = parameter < self._size(unit.layer - 1)
        name = f"W{unit.layer}[{unit.row}, {parameter}]" if weight else f"b{unit.layer}[{unit.row}, 0]"
        raise BackproofError(
            f"{self.network.name}: perturbing {name} carries Z{layer} of unit {row}, sample {sample} across "
            "the kink at 0, where no difference approximates a derivative; change the data or the seed"
        )
