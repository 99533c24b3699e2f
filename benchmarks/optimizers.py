"""Are the units of the optimizers' equations right? Random updates by the libraries themselves; every alarm is false.

    python -m benchmarks.optimizers --seed 1 --count 2000

A case is one parameter of 7 x 9 elements, a random optimizer with random constants, three to six steps of random
gradients (from 1e-12 to 1e3 in size, some exactly zero, some repeated), float32 or float64. NumPy is the reference;
PyTorch is ``torch.optim`` plain, foreach and fused; JAX is optax, jitted with fusion and not. Each case is also judged
with one element of each quantity, the largest, off by 1e-5 (float64: 1e-12) of its size before or after the step: what
is not seen there is counted. A step as long as W itself leaves a difference that is smaller than what was rounded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from tabulate import tabulate

from backproof.equation_check import check_equation, context_of
from backproof.equations import Elementwise, equations
from backproof.network import Network
from backproof.operands import Operands
from backproof.optimizer import KEYS, Optimizer
from backproof.rounding import format_of
from backproof.verdict import Verdict
from reference.optimizers import update

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]
Steps = Iterator[Arrays]
"""``W1, dW1`` and the state, before and with ``_next`` after, of every step."""
SHAPE = (7, 9)
PLANTED = {"float32": 1e-5, "float64": 1e-12}


@dataclass(frozen=True)
class Case:
    """One parameter, its optimizer and the gradients that it is given."""

    seed: int
    network: Network
    W: Array
    gradients: list[Array]


def random_case(name: str, seed: int) -> Case:
    """The case of an optimizer and a seed."""
    draw = np.random.default_rng([seed, list(KEYS).index(name)])
    dtype = "float32" if draw.random() < 0.7 else "float64"
    said: dict[str, Any] = {}
    if "momentum" in KEYS[name]:
        said["momentum"] = float(draw.choice([0.5, 0.9, 0.99]))
    if "betas" in KEYS[name]:
        said["betas"] = float(draw.choice([0.3, 0.5, 0.9, 0.95])), float(draw.choice([0.9, 0.99, 0.999, 0.9999]))
    if name == "rmsprop":
        said["decay"] = float(draw.choice([0.9, 0.99]))
    if "epsilon" in KEYS[name]:
        said["epsilon"] = float(draw.choice([1e-10, 1e-8, 1e-7, 1e-3]))
    if draw.random() < 0.5:
        said["weight_decay"] = float(draw.choice([1e-4, 1e-2, 0.3]))
    network = Network(
        "case", SHAPE[::-1], ("identity",), "mse", "real", optimizer=Optimizer(name, **said),
        learning_rate=float(10 ** draw.uniform(-4, 0)),
    )  # fmt: skip
    W = draw.standard_normal(SHAPE) * 10 ** draw.uniform(-3, 1)
    scale = 10 ** draw.uniform(-12, 3)
    gradients = [draw.standard_normal(SHAPE) * scale for _ in range(int(draw.integers(3, 7)))]
    if draw.random() < 0.3:
        gradients = [gradients[0]] * len(gradients)
    dead = draw.random(SHAPE) < 0.1
    return Case(seed, network, W.astype(dtype), [np.where(dead, 0, g).astype(dtype) for g in gradients])


def numpy_steps(case: Case) -> Steps:
    """By the reference."""
    optimizer = case.network.optimizer
    now: Arrays = {"W1": case.W, **{name: np.zeros_like(case.W) for name in optimizer.state("W1")}}
    for index, g in enumerate(case.gradients):
        alpha = case.W.dtype.type(case.network.step_size(1, index))
        after = update(optimizer, now, {"dW1": g}, alpha, index + 1)
        yield {**now, "dW1": g, **{f"{name}_next": array for name, array in after.items()}}
        now = after


def torch_steps(case: Case) -> Steps:
    """By ``torch.optim``: plain, foreach or fused."""
    import torch

    from implementations.torch_optimizers import kept, optimizer_of

    W = torch.nn.Parameter(torch.from_numpy(case.W.copy()))
    optimizer = optimizer_of(case.network, [W])
    way = case.seed % 3
    for group in optimizer.param_groups:
        group["foreach"], group["fused"] = way == 1, way == 2 and case.network.optimizer.name != "rmsprop"
    now = {"W1": W.detach().numpy().copy(), **_copied(kept(case.network, optimizer, {"W1": W}))}
    for g in case.gradients:
        W.grad = torch.from_numpy(g.copy())
        optimizer.step()
        after = {"W1": W.detach().numpy().copy(), **_copied(kept(case.network, optimizer, {"W1": W}))}
        yield {**now, "dW1": g, **{f"{name}_next": array for name, array in after.items()}}
        now = after


def _copied(tensors: Any) -> Arrays:
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def jax_steps(case: Case) -> Steps:
    """By optax, in every twentieth case in a jitted function with XLA's fusion, which compiles for a second."""
    import jax
    import jax.numpy as jnp
    import optax

    from implementations.jax_optimizers import kept, transformation

    def stepped(parameters: Any, state: Any, gradients: Any, alpha: Any) -> Any:
        updates, state = transformation(case.network, alpha).update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state

    way = jax.jit(stepped) if case.seed % 20 == 0 else stepped
    parameters: Any = {"W1": jnp.asarray(case.W)}
    state = transformation(case.network, 0.0).init(parameters)
    for index, g in enumerate(case.gradients):
        before = parameters | kept(case.network, state)
        alpha = jnp.asarray(case.network.step_size(1, index), case.W.dtype)
        parameters, state = way(parameters, state, {"W1": jnp.asarray(g)}, alpha)
        after = parameters | kept(case.network, state)
        arrays = {**before, "dW1": g, **{f"{name}_next": array for name, array in after.items()}}
        yield {name: np.asarray(array) for name, array in arrays.items()}


WAYS: dict[str, Callable[[Case], Steps]] = {"numpy": numpy_steps, "torch": torch_steps, "jax": jax_steps}


@dataclass
class Line:
    """What is counted of one equation, implementation and format."""

    checks: int = 0
    fraction: float = 0.0
    alarms: int = 0
    planted: int = 0
    missed: int = 0


def judged(case: Case, who: str, steps: Steps, lines: dict[tuple[str, str, str], Line]) -> None:
    """Count every equation of the update in every step, as it is and with an error in it."""
    fmt = format_of(case.W.dtype)
    update_of_w = [e for e in equations(case.network) if e.target.endswith("W1_next")]
    for index, tensors in enumerate(steps):
        context = context_of(case.network, case.W.dtype, 1, step=index)
        data = {**tensors, "X": np.ones((1, 1)), "Y": np.ones((1, 1))}
        for equation in update_of_w:
            assert isinstance(equation.rule, Elementwise)
            line = lines.setdefault((equation.rule.formula, who, fmt.name), Line())
            check = check_equation(equation, Operands(data), fmt, context, index)
            line.checks += 1
            line.fraction = max(line.fraction, check.residuals.fraction)
            if check.verdict is not Verdict.ROUNDING:
                line.alarms += 1
                print(
                    f"ALARM {who} seed {case.seed} {case.network.optimizer} step {index}: {check.message}", flush=True
                )
            wrong = data[equation.target].copy()
            place = np.unravel_index(int(np.abs(wrong).argmax()), wrong.shape)
            wrong[place] += PLANTED[fmt.name] * max(abs(wrong[place]), abs(data[equation.target[:-5]][place]))
            planted = check_equation(equation, Operands({**data, equation.target: wrong}), fmt, context, index)
            line.planted += 1
            line.missed += planted.verdict is Verdict.ROUNDING


def main() -> int:
    """0 when no honest update alarmed and every planted error was seen, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100, help="cases of each optimizer and implementation")
    parser.add_argument("--optimizer", nargs="+", default=list(KEYS))
    arguments = parser.parse_args()
    lines: dict[tuple[str, str, str], Line] = {}
    if find_spec("jax") is not None:
        import jax

        jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
    ways = {name: way for name, way in WAYS.items() if name == "numpy" or find_spec(name) is not None}
    with np.errstate(all="ignore"):
        for name in arguments.optimizer:
            for seed in range(arguments.seed, arguments.seed + arguments.count):
                for who, way in ways.items():
                    case = random_case(name, seed)
                    if who == "jax" and seed % 2:
                        case = _inside(case)
                    judged(case, who, way(case), lines)
    rows = [(*key, x.checks, f"{x.fraction:.3g}", x.alarms, x.planted, x.missed) for key, x in sorted(lines.items())]
    headers = ("formula", "implementation", "format", "checks", "part of the budget", "alarms", "planted", "missed")
    print(tabulate(rows, headers, disable_numparse=True))
    return int(any(line.alarms or line.missed for line in lines.values()))


def _inside(case: Case) -> Case:
    """With ε inside the root where the optimizer has one: optax can."""
    optimizer = case.network.optimizer
    if "epsilon_inside" not in KEYS[optimizer.name]:
        return case
    return replace(case, network=replace(case.network, optimizer=replace(optimizer, epsilon_inside=True)))


if __name__ == "__main__":
    sys.exit(main())
