"""The specification of a network: sizes, activations, loss, layout, reduction. It knows no arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from backproof.errors import BackproofError
from backproof.optimizer import SGD, Optimizer
from backproof.schedule import CONSTANT, Schedule

HIDDEN_ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "identity")
LARGEST_SIZE = 10_000_000
LARGEST_RATE = 1e300
KINKED = ("relu", "leaky_relu")
"""Activations whose derivative jumps at 0."""

OUTPUT_ACTIVATIONS = (*HIDDEN_ACTIVATIONS, "softmax")
JOINT = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
"""Loss -> the output activation with which it is one function of the logits (their joint delta is ``A - Y``)."""

CHOICES = {
    "loss": (*JOINT, "mse"),
    "labels": ("one_hot", "integer", "binary", "real"),
    "layout": ("columns", "rows"),
    "reduction": ("mean", "mean_over_samples", "sum"),
    "initialisation": ("he", "xavier"),
}
LABELS = {
    "cross_entropy": ("one_hot", "integer", "real"),
    "binary_cross_entropy": ("binary", "real"),
    "mse": ("one_hot", "binary", "real"),
}
"""Loss -> the labels that go with it."""


@dataclass(frozen=True)
class Network:
    """A dense network ``A_l = g_l(W_l A_{l-1} + b_l)``, ``A_0 = X``, with a loss on ``A_L``.

    Layers are numbered from 1 to ``depth``; ``sizes[0]`` is the number of input features.

    Attributes:
        name: what reports and the command line call it.
        sizes: features, units of layer 1, ..., units of layer L; each at most 10,000,000.
        activations: one for each layer, the output's last; softmax at the output only.
        loss: ``cross_entropy``, ``binary_cross_entropy`` (both of softmax or sigmoid), or ``mse`` (mean
            squared error, of any output activation).
        labels: ``one_hot`` (Y is classes x m), ``integer`` (1 x m), ``binary`` (units x m of 0 and 1) or ``real``
            (units x m; of a cross-entropy, probabilities).
        layout: how the reference holds samples: ``columns`` (``W X``) or ``rows`` (``X W``). Recordings
            are always features x samples, whatever the layout.
        reduction: ``mean`` divides the loss by m (binary cross-entropy and mean squared error: by m times the output
            units, as ``torch.nn.BCEWithLogitsLoss`` and ``MSELoss`` do), ``mean_over_samples`` divides by m whatever
            the loss, ``sum`` does not divide.
        half: of mean squared error: ½ (a − y)², whose derivative has no 2.
        weight_decay: λ of the penalty ``λ/2 Σ W²`` on all weights, which adds ``λ W`` to each dW; biases are spared.
        slope: the leaky ReLU's.
        initialisation: ``he`` (variance 2/fan_in) or ``xavier`` (2/(fan_in + fan_out)).
        learning_rate: of the optimizer; positive and below 1e300.
        learning_rate_over_m: divide it by the number of samples (for summed losses).
        optimizer: the rule of update; plain gradient descent by default.
        schedule: what the learning rate is multiplied with, step by step.
        classes: the digits that the network tells apart; empty means all ten.
        note: the handwritten note that it comes from, if any.

    Raises:
        BackproofError: for a value outside these.
    """

    name: str
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str = "cross_entropy"
    labels: str = "one_hot"
    layout: str = "columns"
    reduction: str = "mean"
    half: bool = False
    weight_decay: float = 0.0
    slope: float = 0.01
    initialisation: str = "he"
    learning_rate: float = 0.1
    learning_rate_over_m: bool = False
    optimizer: Optimizer = SGD
    schedule: Schedule = CONSTANT
    classes: tuple[int, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        def fail(message: str) -> None:
            raise BackproofError(f"network {self.name!r}: {message}")

        if not self.name or self.name.startswith(".") or any(c in self.name for c in "/\\\0\n"):
            fail("a name is also a folder's: not empty, no leading dot, no slash or line break")
        if len(self.sizes) < 2 or any(type(n) is not int or n < 1 for n in self.sizes):
            fail(f"sizes must be two or more positive integers, not {list(self.sizes)}")
        if max(self.sizes) > LARGEST_SIZE:
            fail(f"sizes must be at most {LARGEST_SIZE:,} each")
        if len(self.activations) != self.depth:
            fail(f"{self.depth} layers need {self.depth} activations, not {len(self.activations)}")
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                fail(f"unknown {key} {getattr(self, key)!r}; choose from {', '.join(allowed)}")
        for activation in self.activations[:-1]:
            if activation not in HIDDEN_ACTIVATIONS:
                fail(f"unknown hidden activation {activation!r}; choose from {', '.join(HIDDEN_ACTIVATIONS)}")
        if self.activations[-1] not in OUTPUT_ACTIVATIONS:
            fail(f"unknown output activation {self.activations[-1]!r}; choose from {', '.join(OUTPUT_ACTIVATIONS)}")
        if self.loss != "mse" and self.activations[-1] not in JOINT.values():
            fail(f"{self.loss} takes probabilities: softmax or sigmoid at the output, not {self.activations[-1]!r}")
        if self.labels not in LABELS[self.loss]:
            fail(f"labels {self.labels!r} do not go with {self.loss}; choose from {', '.join(LABELS[self.loss])}")
        if self.half and self.loss != "mse":
            fail(f"half is for mse, not for {self.loss}")
        if not 0 <= self.weight_decay < LARGEST_RATE:
            fail(f"weight_decay must be finite and not negative, not {self.weight_decay}")
        if not self.learning_rate > 0:
            fail(f"learning_rate must be positive, not {self.learning_rate}")
        if not self.learning_rate < LARGEST_RATE:
            fail(f"learning_rate must be finite and below {LARGEST_RATE:g}")
        if not 0 < self.slope < 1:
            fail(f"slope must lie between 0 and 1, not {self.slope}")

    @property
    def depth(self) -> int:
        """Number of layers L (of weight matrices)."""
        return len(self.sizes) - 1

    @property
    def architecture(self) -> str:
        """``784-128-10`` and the like."""
        return "-".join(map(str, self.sizes))

    @property
    def joint(self) -> bool:
        """Whether output activation and loss are one function of the logits, with the delta ``A - Y``."""
        return JOINT.get(self.loss) == self.activations[-1]

    @property
    def kinked(self) -> tuple[int, ...]:
        """Layers whose activation has a derivative that jumps at 0."""
        return tuple(n for n, activation in enumerate(self.activations, 1) if activation in KINKED)

    def divisor(self, m: int) -> int:
        """What the reduction divides the summed loss of ``m`` samples by."""
        if self.reduction == "sum":
            return 1
        each = self.reduction == "mean" and self.loss != "cross_entropy"
        return m * self.sizes[-1] if each else m

    def step_size(self, m: int, step: int = 0) -> float:
        """The learning rate of a batch of ``m`` samples in step ``step``, counted from 0."""
        rate = self.learning_rate * self.schedule.at(step)
        return rate / m if self.learning_rate_over_m else rate

    def label_shape(self, m: int) -> tuple[int, int]:
        """Shape of Y: 1 x m for integer labels, else output units x m."""
        return (1, m) if self.labels == "integer" else (self.sizes[-1], m)

    def parameter_shapes(self) -> dict[str, tuple[int, int]]:
        """``W1`` (out x in), ``b1`` (out x 1), ``W2``, ... in layer order."""
        shapes = {}
        for layer in range(1, self.depth + 1):
            fan_in, fan_out = self.sizes[layer - 1], self.sizes[layer]
            shapes[f"W{layer}"] = (fan_out, fan_in)
            shapes[f"b{layer}"] = (fan_out, 1)
        return shapes

    def state_shapes(self) -> dict[str, tuple[int, int]]:
        """``mW1``, ``sW1``, ``mb1``, ...: what the optimizer keeps; each of its parameter's shape."""
        return {
            name: shape
            for parameter, shape in self.parameter_shapes().items()
            for name in self.optimizer.state(parameter)
        }

    def shapes(self, m: int) -> dict[str, tuple[int, ...]]:
        """Shape of every quantity that a step of ``m`` samples records (X and Y stand apart).

        The output has a dA only where its activation and the loss are two functions.
        """
        parameters, state = self.parameter_shapes(), self.state_shapes()
        shapes: dict[str, tuple[int, ...]] = {**parameters, **state}
        shapes["loss"] = ()
        for layer in range(1, self.depth + 1):
            names = ("Z", "A", "dZ") if layer == self.depth and self.joint else ("Z", "A", "dA", "dZ")
            shapes |= {f"{name}{layer}": (self.sizes[layer], m) for name in names}
        shapes |= {f"d{name}": shape for name, shape in parameters.items()}
        shapes |= {f"{name}_next": shape for name, shape in (state | parameters).items()}
        return shapes

    def layer_of(self, quantity: str) -> int:
        """The layer of ``dW3`` or ``Z3`` is 3, the loss belongs to the output's; 0 for what is no layer's."""
        if quantity == "loss":
            return self.depth
        digits = quantity.removesuffix("_next").lstrip("dvmsWbZA")
        return int(digits) if digits.isdecimal() and int(digits) <= self.depth else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values; ``from_dict`` undoes it. Plain gradient descent at a constant rate goes unsaid."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        for key, usual in (("optimizer", SGD), ("schedule", CONSTANT)):
            if getattr(self, key) == usual:
                del values[key]
            else:
                values[key] = getattr(self, key).to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Network:
        """A network from a table of ``pyproject.toml`` or a manifest.

        Raises:
            BackproofError: for an unknown or missing key, or a value of the wrong type.
        """
        name = str(values.get("name", "?"))
        known = {field.name: field for field in fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise BackproofError(f"network {name!r}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
        if missing := [key for key in ("name", "sizes", "activations") if key not in values]:
            raise BackproofError(f"network {name!r}: {missing[0]!r} is missing")
        tables = _tables(name, values)
        for key, value in values.items():
            if key in tables:
                continue
            kind = str(known[key].type).partition("[")[0]
            accepted = {"tuple": (list, tuple), "float": (int, float), "bool": (bool,), "str": (str,)}[kind]
            if not isinstance(value, accepted) or (kind == "float" and isinstance(value, bool)):
                raise BackproofError(f"network {name!r}: {key} has the wrong type: {value!r}")
        try:
            converted: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
            }
            return cls(**converted | tables)
        except TypeError as error:
            raise BackproofError(f"network {name!r}: {error}") from error


def _tables(network: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer and the schedule of a network's table, where it has them."""
    made = {"optimizer": Optimizer.from_dict, "schedule": Schedule.from_dict}
    try:
        return {key: make(values[key]) for key, make in made.items() if key in values}
    except BackproofError as error:
        raise BackproofError(f"network {network!r}: {error}") from error
