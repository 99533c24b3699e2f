"""Mistakes of the update ``W_next = W − α dW``."""

from __future__ import annotations

from collections.abc import Iterator

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import combination, ratio, recognise


def candidates(case: Case) -> Iterator[Candidate]:
    """Of plain gradient descent."""
    name = case.equation.target.removesuffix("_next")
    W, dW, alpha = case[name], case[f"d{name}"], case.context.step_size
    yield Candidate("not-updated", f"{name} is not updated", W)
    yield Candidate("sign", f"the step has the wrong sign: {name} + α·d{name}", W + alpha * dW)
    yield Candidate("learning-rate-missing", f"the learning rate is missing: {name} − d{name}", W - dW)
    yield Candidate("only-the-step", f"{name} itself is missing: −α·d{name}", -alpha * dW)
    yield Candidate("no-gradient", f"{name}·(1 − α): the step is along {name}, not along d{name}", W - alpha * W)
    if W.shape[0] == W.shape[1] > 1:
        yield Candidate("gradient-transposed", f"the gradient is transposed: {name} − α·d{name}ᵀ", W - alpha * dW.T)
    for word, factor in (("divided by m", 1 / case.m), ("times m", float(case.m)), ("doubled", 2.0), ("halved", 0.5)):
        yield Candidate("step-scaled", f"the step is {word}: {name} − ({word}) α·d{name}", W - factor * alpha * dW)
    step = ratio(W - case.recorded, dW)
    if step is not None:
        factor, constant = recognise(step / alpha, case)
        yield Candidate(
            "learning-rate", f"the learning rate is {step:.6g}, {constant} times α = {alpha:.6g}", W - step * dW, free=1
        )
    fitted = combination(W - case.recorded, dW, W)
    if fitted is not None:
        rate, decay = fitted
        if abs(rate / alpha - 1) < 1e-3:
            sentence = f"weight decay: {name} − α·d{name} − {decay:.3g}·{name} (λ = {decay / alpha:.3g} when times α)"
            yield Candidate("weight-decay", sentence, W - alpha * dW - decay * W, free=1)
