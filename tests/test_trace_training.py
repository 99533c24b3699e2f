"""What training has beside plain backpropagation: dropout, clipped gradients, schedules. None of it is a mistake."""

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
W1, b1 = rng.normal(size=(6, 5)) * 0.5, rng.normal(size=5) * 0.1
W2, b2 = rng.normal(size=(5, 4)) * 0.5, rng.normal(size=4) * 0.1
lr = 0.1
for t in range(4):
    Z1 = X @ W1 + b1
    A1 = np.maximum(Z1, 0)
    # dropped
    Z2 = A1 @ W2 + b2
    A2 = np.exp(Z2) / np.exp(Z2).sum(axis=1, keepdims=True)
    dZ2 = (A2 - Y) / 20
    dW2 = A1.T @ dZ2
    db2 = dZ2.sum(axis=0)
    dA1 = dZ2 @ W2.T
    # dropped on the way back
    dZ1 = dA1 * (Z1 > 0)
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(axis=0)
    # clipped
    W1 -= lr * dW1
    b1 -= lr * db1
    W2 -= lr * dW2
    b2 -= lr * db2
"""
COURSE = """D1 = rng.random(A1.shape)
    D1 = D1 < 0.8
    A1 = A1 * D1
    A1 = A1 / 0.8"""
COURSE_BACK = "dA1 = dA1 * D1\n    dA1 = dA1 / 0.8"
DROPOUTS = {
    "mask": ("mask = (rng.random(A1.shape) < 0.8) / 0.8\n    A1 *= mask", "dA1 *= mask"),
    "of the course": (COURSE, COURSE_BACK),
    "not scaled": ("keep = rng.random(A1.shape) < 0.5\n    A1 = A1 * keep", "dA1 = dA1 * keep"),
}
CLIPS = {
    "elements": "for g in (dW1, dW2, db1, db2):\n        np.clip(g, -0.01, 0.01, out=g)",
    "some elements": "dW1 = np.clip(dW1, -0.02, 0.02)\n    dW2 = np.clip(dW2, -0.02, 0.02)",
    "norm": "total = np.sqrt(sum((g**2).sum() for g in (dW1, dW2, db1, db2)))\n    scale = 0.1 / (total + 1e-6)\n"
    + "".join(f"    {name} *= scale\n" for name in ("dW1", "dW2", "db1", "db2")),
    "norm of each": "dW1 = dW1 * (0.1 / np.linalg.norm(dW1))\n    dW2 = dW2 * (0.1 / np.linalg.norm(dW2))",
}


def dropped(name):
    forward, back = DROPOUTS[name]
    return ("# dropped\n", f"{forward}\n"), ("# dropped on the way back", back)


def check(folder, *changes):
    facts = judged(folder, changed(PLAIN, *changes))
    return facts, failed(facts)


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_is_said_and_not_checked(tmp_path, name):
    facts, failures = check(tmp_path, *dropped(name))
    assert facts["verdict"] == "rounding", failures
    for step in facts["steps"]:
        assert {"A1", "dA1", "dZ1"} <= step["result"]["coverage"]["unchecked"].keys()
        assert any("layer 1 has dropout" in said for said in step["result"]["inferred"])


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_that_is_forgotten_on_the_way_back_is_a_mistake(tmp_path, name):
    _, failures = check(tmp_path, dropped(name)[0])
    assert all(("A1", "dropout") in step for step in failures)


@pytest.mark.parametrize("name", DROPOUTS)
def test_beside_dropout_a_mistake_is_named(tmp_path, name):
    _, failures = check(tmp_path, *dropped(name), ("db1 = dZ1.sum(axis=0)", "db1 = dZ1.sum(axis=0) / 20"))
    assert failures == [[("db1", "factor")]] * 3


@pytest.mark.parametrize("name", CLIPS)
def test_clipped_gradients_are_judged_as_they_were_made(tmp_path, name):
    facts, failures = check(tmp_path, ("# clipped", CLIPS[name]))
    assert facts["verdict"] == "rounding", failures
    for step in facts["steps"]:
        assert "dW1" in step["result"]["coverage"]["checked"]
        assert any("gradients are clipped" in note for note in step["notes"])


@pytest.mark.parametrize("name", CLIPS)
def test_a_clipped_gradient_that_is_wrong_is_named(tmp_path, name):
    _, failures = check(tmp_path, ("# clipped", CLIPS[name]), ("dW1 = X.T @ dZ1", "dW1 = 2 * X.T @ dZ1"))
    assert failures == [[("dW1", "factor")]] * 3


@pytest.mark.parametrize("factor", ["0.5 * ", "1 / 3 * "])
def test_a_gradient_that_is_scaled_is_not_clipped(tmp_path, factor):
    _, failures = check(tmp_path, ("# clipped", f"dW1 = {factor}dW1"))
    assert all([equation for equation, _ in step] == ["dW1"] for step in failures)


def scheduled(rate):
    return [(f"lr * d{name}", f"{rate} * d{name}") for name in ("W1", "b1", "W2", "b2")]


@pytest.mark.parametrize("rate", ["lr / (1 + 0.3 * t)", "lr * 0.93**t"])
def test_a_schedule_inside_of_the_update(tmp_path, rate):
    facts, failures = check(tmp_path, *scheduled(rate))
    assert facts["verdict"] == "rounding", failures
    assert all("W1_next" in step["result"]["coverage"]["checked"] for step in facts["steps"])
    assert any("the update takes the rate" in note for note in facts["steps"][1]["notes"])


@pytest.mark.parametrize("rate", ["lr * 2", "-lr"])
def test_a_rate_that_a_mistake_makes_is_one(tmp_path, rate):
    _, failures = check(tmp_path, *scheduled(rate))
    assert all({equation for equation, _ in step} >= {"W1_next", "W2_next"} for step in failures)


def test_a_rate_of_one_layer_alone_is_a_mistake(tmp_path):
    _, failures = check(tmp_path, *scheduled("lr")[:3], ("b2 -= lr * db2", "b2 -= 1.3 * lr * db2"))
    assert [equation for equation, _ in failures[0]] == ["b2_next"]
