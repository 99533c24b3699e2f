"""The pieces of the HTML report by themselves: equations, addresses, histograms, maps, grid, what is told first."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof.equations import equations
from backproof.evidence import BINS
from backproof.network import Network
from backproof.report.html import element, failure, grid, heat_map, histogram, mathml, scale
from backproof.report.html.address import INDEX, Links, folder_names, layer_address
from backproof.report.html.curves import POINTS, Line, svg, thinned
from tests.support import SMALL

HERE = layer_address("small", 2)


# Equations


@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_every_equation_is_mathml_with_its_text(network):
    for equation in equations(network):
        parsed = ElementTree.fromstring(mathml.equation(equation.text))
        assert parsed.tag == "math" and parsed.get("alttext") == equation.text
        letters = "".join(parsed.itertext())
        plain = equation.text.replace("_next", "next").replace("_", " ").replace("ᵀ", "T").replace("²", "2")
        assert sorted(letters.replace(" ", "")) == sorted(plain.replace(" ", ""))


def test_a_layer_is_a_lower_index_and_a_transpose_is_raised():
    made = mathml.equation("dA1 = W2ᵀ·dZ2")
    assert "<msub><mrow><mi mathvariant='normal'>d</mi><mi>A</mi></mrow><mn>1</mn></msub>" in made
    assert "<msup><msub><mi>W</mi><mn>2</mn></msub><mi mathvariant='normal'>T</mi></msup>" in made


@given(st.text(max_size=60))
def test_whatever_an_equation_holds_stays_text(text):
    parsed = ElementTree.fromstring(mathml.equation(text))
    known = {"math", "mrow", "mi", "mn", "mo", "msub", "msup", "msubsup", "mspace"}
    assert {node.tag for node in parsed.iter()} <= known


# Addresses


@given(st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=8))
def test_a_folder_is_one_plain_name_and_nobody_else_s(names):
    folders = folder_names(names)
    assert len(set(folders.values())) == len(names)
    for folder in folders.values():
        assert "/" not in folder and "\\" not in folder and not folder.startswith(".") and folder.isprintable()


def test_the_same_link_in_a_folder_and_in_a_single_file():
    assert Links(HERE, False).to(INDEX, "runs") == "../../index.html#runs"
    assert Links(HERE, False).to(HERE, "dW2") == "#dW2" and Links(HERE, False).identifier("dW2") == "dW2"
    assert Links(INDEX, False).to(HERE, "dW2") == "networks/small/layer-2.html#dW2"
    assert Links(INDEX, True).to(HERE, "dW2") == f"#{Links(HERE, True).identifier('dW2')}"


# Pictures


def test_rounding_predicts_what_was_simulated():
    """A sum front to back of even terms of random sign is within the line, and not by far; a wrong constant is not."""
    generator, K = np.random.default_rng(0), 256
    a, b = (generator.standard_normal((2000, K)).astype(np.float32) for _ in range(2))
    recorded = np.cumsum(a * b, axis=1, dtype=np.float32)[:, -1].astype(float)
    exact = (a.astype(float) * b).sum(axis=1)
    unit = 2.0**-24 * np.linalg.norm(a, axis=1).astype(float) * np.linalg.norm(b, axis=1)
    fraction = abs(recorded - exact) / (4 * (unit + math.sqrt(K) * 2.0**-24 * abs(exact)))
    share = float((fraction <= 0.25).mean())
    assert share >= sum(histogram.predicted(True)[:8])
    assert np.sqrt(np.mean(fraction**2)) > histogram.SIGMA / 8
    assert (abs(1.001 * exact - exact) / (4 * unit) <= 0.25).mean() < 0.5


@pytest.mark.parametrize("is_sum", [True, False])
def test_predictions_add_up_to_everything(is_sum):
    assert math.isclose(sum(histogram.predicted(is_sum)), 1) and histogram.predicted(is_sum)[-1] < 1e-7


def test_a_histogram_shows_what_is_above_the_budget():
    counts = [0] * len(BINS) + [3]
    ElementTree.fromstring(histogram.svg(counts, True, "t"))
    assert 'class="bar over" x="222" y="0.0"' in histogram.svg(counts, True, "t")
    assert "100 % are above it" in histogram.words(counts, True)


def test_a_map_draws_every_cell_in_its_class():
    cells = [[0.0, 0.1, 0.1], [3.0, 0.1, 1.0]]
    drawn = ElementTree.fromstring(heat_map.svg(cells, "t"))
    paths = {node.get("class"): node.get("d") for node in drawn}
    assert paths == {
        "zero": "M0 0h1v1h-1z", "u2": "M1 0h2v1h-2zM1 1h1v1h-1z", "u5": "M2 1h1v1h-1z", "over2": "M0 1h1v1h-1z",
    }  # fmt: skip
    assert heat_map.where(cells, [2, 30]) == "largest in row 1, columns 0 to 9; 1 of 6 cells are above the budget"


def test_the_inputs_are_an_image_and_nothing_else_is():
    image = heat_map.image([float(n) for n in range(784)])
    assert image is not None and len(image) == 28 and image[1][0] == 28
    assert heat_map.image([0.0] * 783) is None


def test_the_scale_changes_at_the_budget():
    found = [scale.class_of(fraction) for fraction in (0, 1e-9, 1.0, 1.0001, 1e9, math.inf)]
    assert found == ["zero", "u1", "u5", "over1", "over3", "over3"]
    assert len(scale.CLASSES) == len(scale.STEPS) == len(scale.LEGEND)


def test_a_long_run_keeps_its_largest_values():
    values: list[float | None] = [0.0] * 100_000
    values[12_345], values[5] = 9.0, None
    steps, shown = thinned(values)
    assert len(steps) <= POINTS and shown[steps.index(12_345)] == 9.0


def test_curves_are_the_same_bytes_and_their_own_identifiers():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    lines = [Line("float64", [1.0, 0.1], True), Line("<b>$x$_\x1b", [1.0, None])]
    one, again = (svg(lines, "<t>", "loss", True, "n.0") for _ in range(2))
    assert one == again and "<b>" not in one and "\x1b" not in one and "&lt;b&gt;$x$" in one
    assert "xmlns" not in one and "http" not in one and "#010101" not in one
    ids = [node.get("id") for node in ElementTree.fromstring(one).iter() if node.get("id")]
    assert ids and all(str(name).startswith("n.0.") for name in ids)


# Numbers and findings


@given(st.floats(1e-30, 1e30), st.integers(1, 1000))
def test_ulps_are_those_of_numpy(exact, count):
    exact = float(np.float32(exact))
    recorded = exact + count * float(np.spacing(np.float32(exact)))
    assert element.ulps(recorded, exact, 2.0**-24) == pytest.approx(count)
    assert element.ulps(1.0, 0.0, 2.0**-24) is None


def layer_of(*verdicts: str, fraction: float = 0.2) -> dict[str, object]:
    equation, agreement = ({"verdict": verdict, "fraction": fraction} for verdict in verdicts)
    return {"equations": {"Z1": {"by": {"mine": equation}}}, "agreement": {"Z1": {"by": {"mine": agreement}}}}


CELLS = [
    (("rounding", "rounding"), ("bug", "rounding"), "u3", "20"),
    (("bug", "bug"), ("rounding", "rounding"), "bug", "✗"),
    (("suspect", "rounding"), ("rounding", "rounding"), "suspect", "?"),
    (("rounding", "bug"), ("rounding", "rounding"), "apart", "≠"),
    (("rounding", "bug"), ("bug", "rounding"), "echo", "≠"),
]


@pytest.mark.parametrize(("first", "second", "style", "shown"), CELLS)
def test_a_square_tells_a_cause_from_its_echo(first, second, style, shown):
    facts = {"layers": {"1": layer_of(*first), "2": layer_of(*second)}, "implementations": {"mine": {"findings": []}}}
    cell = next(grid.strip(Network("n", (4, 3, 2), ("relu", "softmax")), facts, "mine"))
    assert (cell.style, cell.shown, cell.layer) == (style, shown, 1)
    facts["layers"]["1"] = {"equations": {}, "agreement": {}}
    assert next(grid.strip(Network("n", (4, 3, 2), ("relu", "softmax")), facts, "mine")).style == "unchecked"


def test_a_failure_is_told_once_and_its_echo_is_known():
    def finding(step: int, kind: str, quantity: str, *sentences: str) -> dict[str, object]:
        explanations = [{"name": "x", "sentence": sentence} for sentence in sentences]
        message = f"{sentences[0]} (3 units)" if sentences else "3 units"
        return {"step": step, "layer": 0, "quantity": quantity, "kind": kind, "verdict": "bug", "message": message,
                "explanations": explanations}  # fmt: skip

    shape = finding(2, "shape", "dW2", "it is transposed", "or not")
    findings = [shape, finding(3, "shape", "dW2"), finding(2, "agreement", "W2")]
    found = failure.failures("n", {"implementations": {"mine": {"findings": findings, "findings_in_all": 3}}})
    assert [(f.quantity, f.step, f.steps) for f in found] == [("dW2", 2, "2 steps"), ("W2", 2, "1 step")]
    assert (found[0].headline, found[0].measured, found[0].others) == ("It is transposed", "3 units", ("or not",))
    assert not failure.is_echo(found[0], found) and failure.is_echo(found[1], found)
    assert not failure.is_echo(found[1], found[1:])
