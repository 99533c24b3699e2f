"""L2 weight decay as scripts have it: λ·W in the gradients or in the update, with a penalty in the loss or without.

gradient   dW = dZ·Aᵀ + λ·W
update     W_next = W − α (dW + λ·W), the gradients being those of the data alone
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from backproof.equations import Elementwise, Equation
from backproof.evaluation import Context


@dataclass(frozen=True)
class Decay:
    """One λ for every layer.

    Attributes:
        rate: λ of ``λ·W``, beside the gradient as the arrays have it: that of a sum where the update has the 1/m.
        place: ``gradient`` or ``update``.
        penalty: λ of ``λ/2 Σ W²`` in the loss; 0 where the loss is that of the data alone.
        written, in_loss: λ and its penalty as somebody wrote them down, ``0.7/m`` and ``λ/2·Σ W²``.
    """

    rate: float
    place: str
    penalty: float
    written: str
    in_loss: str

    def said(self, with_loss: bool) -> str:
        """One sentence for the notes."""
        where = "dW" if self.place == "gradient" else "the update"
        text = f"L2 weight decay λ = {self.written} was inferred: λ·W is in {where} of the layers"
        if not with_loss:
            return text
        if not self.penalty:
            return f"{text}, and no penalty in the loss"
        return f"{text}, and {self.in_loss} in the loss"

    def within(self, context: Context, target: str) -> Context:
        """The numbers of one target's equation."""
        at = {"loss": self.penalty}.get(target, self.rate if self._holds(target) else 0.0)
        return replace(context, weight_decay=at)

    def of(self, target: str) -> bool:
        """Whether the target's equation has the decay."""
        return bool(self.penalty) if target == "loss" else self._holds(target)

    def _holds(self, target: str) -> bool:
        updated = target.startswith("W") and target.endswith("_next")
        return updated if self.place == "update" else target.startswith("dW")


def decayed_update(equation: Equation) -> Equation:
    """``W_next = W − α (dW + λ W)``, from the equation of plain gradient descent."""
    name = equation.target.removesuffix("_next")
    rule = Elementwise("decayed_descent", equation.rule.operands)
    return replace(equation, rule=rule, text=f"{equation.text} − αλ·{name}")
