"""The specification of an optimizer: its rule, its constants, the state that it keeps. It knows no arrays.

With ``g`` the gradient (``dW + λ W`` where the decay is coupled), ``α`` the learning rate and ``t`` the step, from 1:

    sgd         W ← W − α g
    momentum    v ← μ v + g                    W ← W − α v
    nesterov    v ← μ v + g                    W ← W − α (g + μ v)
    adam        m ← β₁ m + (1 − β₁) g          s ← β₂ s + (1 − β₂) g²
                W ← W − α m/(1 − β₁ᵗ) / (√(s/(1 − β₂ᵗ)) + ε)
    adamw       as adam of the bare gradient, and also W ← W − α λ W
    rmsprop     s ← ρ s + (1 − ρ) g²           W ← W − α g / (√s + ε)

The state is recorded as ``vW1``, ``mW1``, ``sW1`` (and of each bias), before the step and, with ``_next``, after it; it
starts at zero. ``docs/optimizers.md`` has the sources, and what PyTorch and optax have instead by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from backproof.errors import BackproofError

KEYS: dict[str, tuple[str, ...]] = {
    "sgd": ("weight_decay",),
    "momentum": ("momentum", "weight_decay"),
    "nesterov": ("momentum", "weight_decay"),
    "adam": ("betas", "epsilon", "epsilon_inside", "weight_decay"),
    "adamw": ("betas", "epsilon", "epsilon_inside", "weight_decay"),
    "rmsprop": ("decay", "epsilon", "epsilon_inside", "weight_decay"),
}
"""Optimizer -> the constants that it has."""
STATE = {"sgd": "", "momentum": "v", "nesterov": "v", "adam": "ms", "adamw": "ms", "rmsprop": "s"}
"""Optimizer -> a letter for each array that it keeps of a parameter: velocity, first moment, second moment."""
DECOUPLED_DECAY = 1e-2
"""λ of AdamW where none is said, as in PyTorch; optax has 1e-4."""
SMALLEST_EPSILON = 1e-30
"""Below it ε is nothing in float32, and 0/0 where a gradient is 0."""


@dataclass(frozen=True)
class Optimizer:
    """A rule of update and its constants; the learning rate is the network's.

    Attributes:
        name: one of :data:`KEYS`.
        momentum: μ of momentum and nesterov, above 0; no dampening.
        betas: β₁ and β₂ of adam and adamw.
        decay: ρ of rmsprop (``alpha`` in PyTorch, ``decay`` in optax).
        epsilon: ε of adam, adamw and rmsprop; at least 1e-30.
        epsilon_inside: ``√(s + ε)`` and not ``√s + ε``.
        weight_decay: λ. Of adamw it is decoupled: ``α λ W`` is taken from W (1e-2 where none is said). Of every other
            it is coupled: ``λ W`` is added to the gradient, inside the optimizer. Biases decay too, as in both
            libraries. A penalty in the loss, on weights only, is :attr:`Network.weight_decay`.

    Raises:
        BackproofError: for a value outside these, and for a constant that the optimizer has not.
    """

    name: str = "sgd"
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.99
    epsilon: float = 1e-8
    epsilon_inside: bool = False
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        if self.name not in KEYS:
            raise BackproofError(f"unknown optimizer {self.name!r}; choose from {', '.join(KEYS)}")
        for field in fields(self)[1:]:
            if field.name not in KEYS[self.name] and getattr(self, field.name) != field.default:
                self._fail(f"it has no {field.name}; it has {', '.join(KEYS[self.name])}")
        if len(self.betas) != 2:
            self._fail(f"betas must be two numbers, not {list(self.betas)}")
        for key, rate in (("momentum", self.momentum), ("decay", self.decay), *(("beta", b) for b in self.betas)):
            if not 0 <= rate < 1:
                self._fail(f"{key} must be at least 0 and below 1, not {rate}")
        if "momentum" in KEYS[self.name] and not self.momentum:
            self._fail("momentum must be above 0; without it the optimizer is sgd")  # PyTorch then keeps no velocity
        if not SMALLEST_EPSILON <= self.epsilon < 1:
            self._fail(f"epsilon must be at least {SMALLEST_EPSILON:g} and below 1, not {self.epsilon}")
        if self.weight_decay is not None and not 0 <= self.weight_decay < float("inf"):
            self._fail(f"weight_decay must be finite and not negative, not {self.weight_decay}")

    def _fail(self, message: str) -> None:
        raise BackproofError(f"optimizer {self.name!r}: {message}")

    @property
    def plain(self) -> bool:
        """Whether it is gradient descent and nothing else."""
        return self.name == "sgd" and not self.coupled

    @property
    def coupled(self) -> float:
        """λ of ``g = dW + λ W``."""
        return 0.0 if self.name == "adamw" else self.weight_decay or 0.0

    @property
    def decoupled(self) -> float:
        """λ of ``W ← W − α λ W``."""
        if self.name != "adamw":
            return 0.0
        return DECOUPLED_DECAY if self.weight_decay is None else self.weight_decay

    @property
    def second(self) -> float:
        """The rate at which the second moment forgets: β₂, or rmsprop's ρ."""
        return self.decay if self.name == "rmsprop" else self.betas[1]

    def corrections(self, t: int) -> tuple[float, float]:
        """``1 − β₁ᵗ`` and ``1 − β₂ᵗ`` of step ``t``, counted from 1."""
        return 1 - self.betas[0] ** t, 1 - self.betas[1] ** t

    def state(self, parameter: str) -> tuple[str, ...]:
        """Names of the arrays that it keeps of a parameter: ``mW1``, ``sW1``."""
        return tuple(f"{kind}{parameter}" for kind in STATE[self.name])

    def to_dict(self) -> dict[str, Any]:
        """Its name and the constants that it has; :meth:`from_dict` undoes it."""
        values = {key: getattr(self, key) for key in KEYS[self.name]}
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {"name": self.name, **{key: value for key, value in values.items() if value is not None}}

    @classmethod
    def from_dict(cls, values: object) -> Optimizer:
        """An optimizer from its name, or from a table with a name and constants.

        Raises:
            BackproofError: for an unknown key, one that the optimizer has not, or a value of the wrong type.
        """
        table = {"name": values} if isinstance(values, str) else values
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            raise BackproofError(f"optimizer must be a name or a table with a name, not {values!r}")
        name = table["name"]
        for key, value in table.items():
            if key != "name" and key not in KEYS.get(name, (key,)):
                raise BackproofError(f"optimizer {name!r}: it has no {key}; it has {', '.join(KEYS[name])}")
            if key not in ("name", "betas", "epsilon_inside") and not _number(value):
                raise BackproofError(f"optimizer {name!r}: {key} must be a number, not {value!r}")
        if not isinstance(table.get("epsilon_inside", False), bool):
            raise BackproofError(f"optimizer {name!r}: epsilon_inside must be true or false")
        betas = table.get("betas", (0.9, 0.999))
        if not isinstance(betas, list | tuple) or not all(map(_number, betas)):
            raise BackproofError(f"optimizer {name!r}: betas must be two numbers, not {betas!r}")
        known = {key: value for key, value in table.items() if key in {field.name for field in fields(cls)}}
        return cls(**{**known, **({"betas": tuple(betas)} if "betas" in known else {})})


SGD = Optimizer()
"""Plain gradient descent."""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_state(quantity: str) -> bool:
    """Whether a quantity is an optimizer's: ``vW1``, ``sb2_next``."""
    return quantity[:1] in ("v", "m", "s") and quantity[1:2] in ("W", "b")
