"""Optimizers whose state has any name: the update is not checked, and what is before it all the same."""

from __future__ import annotations

import pytest

from tests.test_trace_readings import changed
from tests.tracing_support import failed, judged

PLAIN = """
import numpy as np
rng = np.random.default_rng(3)
X = rng.normal(size=(20, 6))
labels = rng.integers(0, 4, 20)
Y = np.eye(4)[labels]
lr = 0.1
W1, b1 = rng.normal(size=(6, 5)) * 0.5, rng.normal(size=5) * 0.1
W2, b2 = rng.normal(size=(5, 4)) * 0.5, rng.normal(size=4) * 0.1
params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
# state
for t in range(1, 5):
    Z1 = X @ params["W1"] + params["b1"]
    A1 = np.tanh(Z1)
    Z2 = A1 @ params["W2"] + params["b2"]
    A2 = np.exp(Z2) / np.exp(Z2).sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(A2[np.arange(20), labels]))
    dZ2 = (A2 - Y) / 20
    dZ1 = dZ2 @ params["W2"].T * (1 - A1**2)
    grads = {"W1": X.T @ dZ1, "b1": dZ1.sum(axis=0), "W2": A1.T @ dZ2, "b2": dZ2.sum(axis=0)}
    for k in params:
        params[k] = params[k] - lr * grads[k]
"""
STEP = "        params[k] = params[k] - lr * grads[k]\n"
ADAM = """
class Optimizer:
    def __init__(self):
        self.q = {}
    def apply(self, name, p, g):
        a, c = self.q.get(name, (np.zeros_like(p), np.zeros_like(p)))
        a = 0.9 * a + 0.1 * g
        c = 0.999 * c + 0.001 * g**2
        self.q[name] = a, c
        return p - 0.01 * (a / (1 - 0.9**t)) / (np.sqrt(c / (1 - 0.999**t)) + 1e-8)
opt = Optimizer()
"""
LISTS = """
first, second = [0 * p for p in params.values()], [0 * p for p in params.values()]
"""
IN_LISTS = """    for i, (p, g) in enumerate(zip(params.values(), grads.values())):
        first[i] = 0.9 * first[i] + 0.1 * g
        second[i] = 0.999 * second[i] + 0.001 * g * g
        p -= lr * first[i] / (np.sqrt(second[i]) + 1e-8)
"""
ZEROS = "G = {k: np.zeros_like(v) for k, v in params.items()}"
SQUARES = """        G[k] += grads[k]**2
        params[k] -= lr * grads[k] / (np.sqrt(G[k]) + 1e-8)
"""
AFTER = """        params[k] = params[k] - lr * grads[k] / np.sqrt(G[k] + grads[k]**2 + 1e-8)
        G[k] = G[k] + grads[k]**2
"""
NESTEROV = """        G[k] = 0.9 * G[k] - lr * grads[k]
        params[k] = params[k] + 0.9 * G[k] - lr * grads[k]
"""
RULES = {
    "Adam in a class": (("# state", ADAM), (STEP, "        params[k] = opt.apply(k, params[k], grads[k])\n")),
    "Adam in lists": (("# state", LISTS), ("    for k in params:\n" + STEP, IN_LISTS)),
    "Adagrad under the parameters' names": (("# state", ZEROS), (STEP, SQUARES)),
    "a state that is changed after the parameters": (("# state", ZEROS), (STEP, AFTER)),
    "Nesterov": (("# state", ZEROS), (STEP, NESTEROV)),
    "the gradient's sign": ((STEP, "        params[k] = params[k] - lr * np.sign(grads[k])\n"),),
}


@pytest.mark.parametrize("name", RULES)
def test_the_update_is_not_checked_in_any_step(tmp_path, name):
    facts = judged(tmp_path, changed(PLAIN, *RULES[name]))
    assert facts["verdict"] == "rounding", failed(facts)
    assert len(facts["steps"]) == 3
    for step in facts["steps"]:
        assert {"dW1", "db1", "Z1"} <= set(step["result"]["coverage"]["checked"])
        assert "W1_next" not in step["result"]["coverage"]["checked"]
        assert any(note.startswith("the update was not taken") for note in step["notes"])


@pytest.mark.parametrize("name", RULES)
def test_a_mistake_before_it_is_named(tmp_path, name):
    facts = judged(tmp_path, changed(PLAIN, *RULES[name], ('"b1": dZ1.sum(axis=0)', '"b1": 2 * dZ1.sum(axis=0)')))
    assert failed(facts) == [[("db1", "factor")]] * 3


@pytest.mark.parametrize(
    ("update", "name"),
    [("params[k] + lr * grads[k]", "sign"), ("params[k] - 2 * lr * grads[k]", "")],
    ids=["uphill", "twice"],
)
def test_squares_that_are_only_looked_at_are_no_state(tmp_path, update, name):
    looked = f"        squares = grads[k]**2\n        params[k] = {update}\n"
    facts = judged(tmp_path, changed(PLAIN, (STEP, looked)))
    found = failed(facts)
    assert all({equation for equation, _ in step} >= {"W1_next", "b1_next"} for step in found)
    assert all(name in because for step in found for _, because in step)


def test_a_dict_of_the_parameters_after_the_update_is_no_state(tmp_path):
    renewed = (
        "    renewed = {}\n    for k in params:\n        renewed[k] = params[k] - lr * grads[k]\n    params = renewed\n"
    )
    facts = judged(tmp_path, changed(PLAIN, ("    for k in params:\n" + STEP, renewed)))
    assert facts["verdict"] == "rounding"
    assert all("W2_next" in step["result"]["coverage"]["checked"] for step in facts["steps"])
