"""Mini-batches in one long loop: whose labels, whose weights, and one name for the deltas of every layer."""

from __future__ import annotations

import pytest

from tests.tracing_support import failed, judged

LOOP = """\
import numpy as np

rng = np.random.default_rng(0)
data, labels = rng.normal(size=(90, 7)), rng.integers(0, 4, 90)
w1, b1 = rng.normal(size=(7, 6)), np.zeros(6)
w2, b2 = rng.normal(size=(6, 5)), np.zeros(5)
w3, b3 = rng.normal(size=(5, 4)), np.zeros(4)
batch, lr, lam = 15, 0.1, 1e-3
for epoch in range(3):
    order = rng.permutation(len(data))
    for start in range(0, len(data), batch):
        idx = order[start:start + batch]
        xb, yb = data[idx], labels[idx]
        n = xb.shape[0]
        z1 = xb.dot(w1) + b1
        a1 = z1 * (z1 > 0)
        z2 = a1.dot(w2) + b2
        a2 = z2 * (z2 > 0)
        scores = a2.dot(w3) + b3
        probs = np.exp(scores - scores.max(1, keepdims=True))
        probs /= probs.sum(1, keepdims=True)
        loss = -np.log(probs[np.arange(n), yb]).mean()
        DELTA = probs.copy()
        DELTA[np.arange(n), yb] -= 1
        DELTA /= n
        gw3 = a2.T.dot(DELTA)
        gb3 = DELTA.sum(0)
        DELTA = DELTA.dot(w3.T)
        DELTA[z2 <= 0] = 0
        gw2 = a1.T.dot(DELTA)
        gb2 = DELTA.sum(0)
        DELTA = DELTA.dot(w2.T)
        DELTA[z1 <= 0] = 0
        gw1 = xb.T.dot(DELTA)
        gb1 = DELTA.sum(0)
        w1 -= lr * gw1; b1 -= lr * gb1
        w2 -= lr * gw2; b2 -= lr * gb2
        w3 -= lr * gw3; b3 -= lr * gb3
"""
INLINE = [(f"        g{kind}{n} = ", f"        q{kind}{n} = ") for n in (1, 2, 3) for kind in "wb"]
INLINE += [(f"lr * g{kind}{n}", f"lr * q{kind}{n}") for n in (1, 2, 3) for kind in "wb"]


def script(delta: str, *changes: tuple[str, str]) -> str:
    text = LOOP.replace("DELTA", delta)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("delta", ["d", "delta", "dZ", "grad", "error", "dscores"])
@pytest.mark.parametrize("changes", [[], INLINE], ids=["gradients", "no gradients"])
def test_the_labels_are_those_of_the_step(tmp_path, delta, changes):
    facts = judged(tmp_path, script(delta, *changes), "--steps", 4)
    assert facts["verdict"] == "rounding", failed(facts)


@pytest.mark.parametrize("delta", ["d", "delta"])
def test_labels_of_another_batch_are_found(tmp_path, delta):
    """The script itself takes the labels of the batch before."""
    change = ("xb, yb = data[idx], labels[idx]", "xb, yb = data[idx], labels[np.roll(idx, 1)]")
    wrong = ("[np.arange(n), yb] -= 1", "[np.arange(n), labels[idx]] -= 1")
    facts = judged(tmp_path, script(delta, change, wrong), "--steps", 2)
    assert facts["verdict"] == "bug"
    # The loss says one thing of the labels and the delta, by whatever name, another.
    assert all({equation for equation, _ in step} & {"loss", "dZ3"} for step in failed(facts))


@pytest.mark.parametrize("delta", ["d", "delta"])
def test_a_missing_mask_is_found(tmp_path, delta):
    facts = judged(tmp_path, script(delta, (f"        {delta}[z1 <= 0] = 0\n", "")), "--steps", 2)
    assert facts["verdict"] == "bug"
    for step in failed(facts):
        assert step[0] == (("dZ1", "mask-missing") if delta == "delta" else step[0]) and step[0][0] in ("dZ1", "dW1")


SHIFT = (
    "        probs = np.exp(scores - scores.max(1, keepdims=True))\n",
    "        scores -= scores.max(1, keepdims=True)\n        probs = np.exp(scores)\n",
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logits_that_are_shifted_in_place_are_judged_as_they_were_made(tmp_path, dtype):
    names = "data, w1, b1, w2, b2, w3, b3"
    cast = ("batch, lr, lam", f"{names} = (p.astype('{dtype}') for p in ({names}))\nbatch, lr, lam")
    facts = judged(tmp_path, script("d", cast, SHIFT), "--steps", 2)
    assert facts["verdict"] == "rounding" and facts["steps"][0]["found"]["Z3"]["name"] == "scores", failed(facts)


def test_logits_that_are_scaled_in_place_are_not(tmp_path):
    facts = judged(
        tmp_path, script("d", (SHIFT[0], SHIFT[1].replace("scores -= scores.max(1, keepdims=True)", "scores *= 2")))
    )
    assert all(step[0][0] == "Z3" for step in failed(facts))


def test_logits_shifted_along_the_samples_are_not(tmp_path):
    """What softmax does notice."""
    facts = judged(tmp_path, script("d", (SHIFT[0], SHIFT[1].replace("max(1, keepdims=True)", "max(0)"))))
    assert all(step[0][0] == "Z3" for step in failed(facts))


def test_logits_that_a_function_shifts_under_the_same_name(tmp_path):
    function = "def softmax(z):\n    z = z - z.max(axis=1, keepdims=True)\n"
    function += "    return np.exp(z) / np.exp(z).sum(1, keepdims=True)\n\n\n"
    changes = [("batch, lr", f"{function}batch, lr"), ("scores", "z3"), (SHIFT[0].replace("scores", "z3"), "")]
    changes += [("        probs /= probs.sum(1, keepdims=True)\n", "        probs = softmax(z3)\n")]
    facts = judged(tmp_path, script("d", *changes), "--steps", 2)
    assert facts["verdict"] == "rounding", failed(facts)
    wrong = judged(tmp_path, script("d", *changes, ("z = z - z", "z = 2 * z - z")), "--steps", 2)
    assert wrong["verdict"] == "bug"


def test_a_loss_that_is_made_before_the_output_is_handed_on(tmp_path):
    changes = [
        ("batch, lr", "def backward(AL, y):\n    return (AL - np.eye(4)[y]) / len(y)\n\n\nbatch, lr"),
        ("        DELTA = probs.copy()\n".replace("DELTA", "d"), "        d = backward(probs, yb)\n"),
        ("        d[np.arange(n), yb] -= 1\n        d /= n\n", ""),
    ]
    facts = judged(tmp_path, script("d", *changes), "--steps", 2)
    assert facts["verdict"] == "rounding" and "loss" in facts["steps"][0]["found"]
    wrong = judged(tmp_path, script("d", *changes, ("loss = -", "loss = -2 * ")), "--steps", 2)
    assert [step[0][0] for step in failed(wrong)] == ["loss", "loss"]


def test_a_long_evaluation_before_the_first_step(tmp_path):
    """Some thousand forward passes: the parameters that were made before them are those of the first step."""
    begin = "for epoch in range(3):\n"
    evaluation = (
        "for k in range(1200):\n"
        "    z1 = data[k % 90:k % 90 + 1].dot(w1) + b1\n"
        "    a1 = z1 * (z1 > 0)\n"
        "    z2 = a1.dot(w2) + b2\n"
        "    a2 = z2 * (z2 > 0)\n"
        "    scores = a2.dot(w3) + b3\n"
    )
    facts = judged(tmp_path, script("delta", (begin, evaluation + begin)), "--steps", 2)
    assert facts["verdict"] == "rounding", failed(facts)
