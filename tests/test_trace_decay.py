"""L2 regularisation as scripts have it is no alarm; where it is wrong, it is named."""

from __future__ import annotations

import pytest

from tests.test_trace_batches import script
from tests.tracing_support import failed, judged

PENALTY = (
    "        DELTA = probs.copy()",
    "        loss += 0.5 * LAM * ((w1 ** 2).sum() + (w2 ** 2).sum() + (w3 ** 2).sum())\n        DELTA = probs.copy()",
)
GRADIENTS = [
    (f"{left}.dot(DELTA)", f"{left}.dot(DELTA) + LAM * w{n}") for n, left in ((1, "xb.T"), (2, "a1.T"), (3, "a2.T"))
]
LATER = [
    (f"        gb{n} = DELTA.sum(0)\n", f"        gb{n} = DELTA.sum(0)\n        gw{n} += LAM * w{n}\n")
    for n in (1, 2, 3)
]
UPDATE = [(f"w{n} -= lr * gw{n}", f"w{n} = (1 - lr * 5.0 / 1347) * w{n} - lr * gw{n}") for n in (1, 2, 3)]


def regularised(*changes: tuple[str, str], lam: str = "lam", delta: str = "delta") -> str:
    told = [tuple(part.replace("DELTA", delta).replace("LAM", lam) for part in change) for change in changes]
    return script(delta, *told)


RIGHT = {
    "λ": regularised(PENALTY, *GRADIENTS),
    "λ, deltas without a name": regularised(PENALTY, *GRADIENTS, delta="d"),
    "λ/m": regularised(PENALTY, *GRADIENTS, lam="(0.7 / n)"),
    "λ, added later": regularised(PENALTY, *LATER),
    "the loss of the data alone": regularised(*GRADIENTS),
    "in the update": regularised(*UPDATE),
}


@pytest.mark.parametrize("way", RIGHT)
def test_a_correct_script_is_rounding(tmp_path, way):
    facts = judged(tmp_path, RIGHT[way], "--steps", 2)
    assert facts["verdict"] == "rounding", failed(facts)
    for step in facts["steps"]:
        assert any("L2 weight decay" in note for note in step["result"]["notes"])


def test_without_decay_nothing_is_said_of_it(tmp_path):
    (step,) = judged(tmp_path, script("delta"), "--steps", 1)["steps"]
    assert step["result"]["notes"] == []


MISTAKES = {
    "missing in one layer": (regularised(PENALTY, *GRADIENTS[:2]), ("dW3", "weight-decay-missing")),
    "twice in one layer": (
        regularised(PENALTY, *GRADIENTS, ("LAM * w2\n", "2 * LAM * w2\n")), ("dW2", "weight-decay-scaled"),
    ),
    "in one layer only": (regularised(GRADIENTS[1]), ("dW2", "weight-decay")),
    "on a bias": (regularised(PENALTY, *GRADIENTS, ("gb2 = DELTA.sum(0)\n", "gb2 = DELTA.sum(0) + LAM * b2\n")),
                  ("db2", "weight-decay")),
    "another mistake beside it": (regularised(PENALTY, *GRADIENTS, ("gb3 = DELTA.sum(0)", "gb3 = DELTA.mean(0)")),
                                  ("db3", "factor")),
    "in the loss only": (regularised(PENALTY), ("loss", "regularised")),
    "in the update of one layer": (regularised(UPDATE[1]), ("W2_next", "weight-decay")),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(tmp_path, mistake):
    text, named = MISTAKES[mistake]
    # Biases begin at zero, and a decay of zero shows nowhere.
    for step in failed(judged(tmp_path, text, "--steps", 2))[1:]:
        assert step == [named]


def test_what_the_user_says_goes_first(tmp_path):
    told = judged(tmp_path, RIGHT["λ"], "--steps", 1, "--weight-decay", "1e-3")
    assert told["verdict"] == "rounding" and told["steps"][0]["result"]["notes"] == []
    none = judged(tmp_path, RIGHT["λ"], "--steps", 1, "--weight-decay", 0)
    assert {equation for equation, _ in failed(none)[0]} == {"loss", "dW1", "dW2", "dW3"}
