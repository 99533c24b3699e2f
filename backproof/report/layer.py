"""The Markdown page of one layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backproof.batches import by_sample
from backproof.evidence import BINS, Json
from backproof.report.tables import code, element, markdown, number, percent, precise, shape, text

EQUATION_HEADERS = (
    "equation", "shape", "by", "ratio", "ceiling", "used", "worst element", "recorded", "exact", "step", "verdict",
)  # fmt: skip
AGREEMENT_HEADERS = (
    "quantity", "by", "absolute", "relative to largest", "ULPs", "replicas", "used of bound", "worst element",
    "recorded", "float64", "left out", "verdict",
)  # fmt: skip


def page(network: str, facts: Json, layer: Json, dtype: str) -> str:
    """One layer: its equations, its agreement, its worst elements, and what was not checked.

    Args:
        facts: the network's part of the summary.
        layer: the layer's evidence.
    """
    parts = [*_head(network, facts, layer, dtype), *_findings(facts, layer), *_equations(facts, layer)]
    parts += [*_agreement(layer), *_spread(layer), *_unchecked(facts, layer)]
    return "\n\n".join(parts) + "\n"


def _head(network: str, facts: Json, layer: Json, dtype: str) -> Iterator[str]:
    specification, n = facts["specification"], layer["layer"]
    sizes, depth = specification["sizes"], len(specification["sizes"]) - 1
    steps = max((by["steps"] for entry in layer["equations"].values() for by in entry["by"].values()), default=0)
    yield f"# {text(network)}, layer {n} of {depth}"
    u = facts["unit_roundoff"]
    yield (
        f"{sizes[n - 1]} → {sizes[n]} units, {specification['activations'][n - 1]}; {described_samples(facts)}, "
        f"{steps} steps, {dtype} (unit roundoff u = {u:.3g}). [All networks](../README.md)"
    )


def _findings(facts: Json, layer: Json) -> Iterator[str]:
    lines = [
        line
        for name, run in facts["implementations"].items()
        for line in _wrong(name, [f for f in run["findings"] if f["layer"] in (layer["layer"], 0)])
    ]
    if lines:
        yield "## What is wrong"
        yield "\n".join(lines)
    else:
        yield "Nothing here is beyond rounding."


def _wrong(name: str, findings: list[Json]) -> Iterator[str]:
    """One line for each quantity that fails, at its first step; one for all that disagree end to end, the echo."""
    steps: dict[tuple[str, str], list[Json]] = {}
    for finding in findings:
        steps.setdefault((finding["kind"], finding["quantity"]), []).append(finding)
    for (kind, quantity), found in steps.items():
        if kind != "agreement":
            later = f"; and in {len(found) - 1} later steps" if len(found) > 1 else ""
            first = found[0]
            message = f"{first['verdict']} at step {first['step']}, {code(quantity)}: {text(first['message'])}{later}"
            yield f"- **{text(name)}**, {message}"
    echo = [found[0] for (kind, _), found in steps.items() if kind == "agreement"]
    if echo:
        which = ", ".join(code(finding["quantity"]) for finding in echo)
        one = f"{code(echo[0]['quantity'])} at step {echo[0]['step']} is {text(echo[0]['message'])}"
        yield f"- **{text(name)}**, end to end: {which} disagree with the reference; {one}"


def described_samples(facts: Json) -> str:
    """How many samples, in batches of how many."""
    samples, smallest, largest = facts["samples"], facts["batches"]["smallest"], facts["batches"]["largest"]
    if smallest == samples:
        return f"{samples} samples"
    partial = f", the smallest of {smallest}" if smallest < largest else ""
    return f"{samples} samples in batches of {largest}{partial}"


def shape_of(quantity: str, sizes: list[int], facts: Json) -> str:
    """Of the largest batch, with the smallest one's where a batch is partial: ``50 × 10–20``."""
    smallest, largest = facts["batches"]["smallest"], facts["batches"]["largest"]
    partial = by_sample(quantity) and smallest < largest
    return f"{sizes[0]} × {smallest}–{largest}" if partial else shape(sizes)


def _equations(facts: Json, layer: Json) -> Iterator[str]:
    yield "## Do its equations hold?"
    yield (
        "Each recorded array against the same equation evaluated in float64 on the recorded operands. *Ratio*: the "
        "largest residual in units of rounding; *ceiling*: what no rounding can pass; *used*: the largest part of an "
        "element's budget; *worst element*: the one that used it, as [unit, sample] of a Z, A, dA or dZ, where the "
        "sample is counted in the data and not in the batch."
    )
    rows = [
        [
            entry["text"], shape_of(target, entry["shape"], facts), text(name), number(by["ratio"]),
            number(by["ceiling"]), percent(by["fraction"]), element(target, by["worst"]["index"], entry["shape"]),
            precise(by["worst"]["recorded"]),
            precise(by["worst"]["exact"]), str(by["worst"]["step"]), by["verdict"],
        ]
        for target, entry in in_order(layer["equations"])
        for name, by in entry["by"].items()
    ]  # fmt: skip
    yield markdown(rows, EQUATION_HEADERS)


def _agreement(layer: Json) -> Iterator[str]:
    if not layer["agreement"]:
        return
    yield "## Do the implementations agree?"
    yield (
        "Each quantity end to end against the reference in float64, from the parameters that the implementation had "
        "before the step. *Bound*: 16 times what the reference's own replicas disagree by, 4 u of the largest value "
        "added; *left out*: samples with a Z that is on the kink of its activation or straddles it within rounding."
    )
    rows = [
        [
            quantity, text(name), number(by["absolute"]), number(by["relative"]), number(by["ulps"]),
            number(by["envelope"]), percent(by["fraction"]),
            element(quantity, by["worst"]["index"], by["worst"]["index"]),
            precise(by["worst"]["recorded"]), precise(by["worst"]["exact"]), str(by["left_out"]), by["verdict"],
        ]
        for quantity, entry in in_order(layer["agreement"])
        for name, by in entry["by"].items()
    ]  # fmt: skip
    yield markdown(rows, AGREEMENT_HEADERS)


def _spread(layer: Json) -> Iterator[str]:
    yield "## How the residuals are spread"
    yield "Share of a sample of the elements whose residual uses at most this part of the budget."
    rows = []
    for target, entry in in_order(layer["equations"]):
        for name, by in entry["by"].items():
            counts, total, running = by["histogram"], sum(by["histogram"]), 0
            cells = []
            for count in counts[: len(BINS)]:
                running += count
                cells.append(f"{100 * running / total:.0f} %")
            rows.append([target, text(name), *cells[::3]])
    bins = [f"≤ {percent(value)}" for value in BINS]
    yield markdown(rows, ["quantity", "by", *bins[::3]])


def _unchecked(facts: Json, layer: Json) -> Iterator[str]:
    yield "## What was not checked"
    lines = []
    for target, entry in in_order(layer["equations"]):
        vacuous = {
            name: by["vacuous"] / by["elements"] for name, by in entry["by"].items() if by["vacuous"] and by["elements"]
        }
        if vacuous:
            shares = ", ".join(f"{percent(share)} ({text(name)})" for name, share in vacuous.items())
            lines.append(f"- `{target}`: elements whose operands are all zero agree for nothing: {shares}.")
        for name, run in facts["implementations"].items():
            if count := run["unchecked"].get(target):
                lines.append(
                    f"- `{target}` of {text(name)}: not judged in {count} steps, because it or an operand is unsound."
                )
            if count := run["uncompared"].get(target):
                lines.append(
                    f"- `{target}` of {text(name)}: not compared end to end in {count} steps: every sample lies on a "
                    "kink, or the float64 reference is not finite."
                )
    yield "\n".join(lines) or "Nothing: every equation was judged on every element."


ORDER = ("Z", "A", "loss", "dA", "dZ", "dW", "db", "vW", "mW", "sW", "W", "vb", "mb", "sb", "b")


def in_order(entries: Json) -> list[tuple[str, Any]]:
    """Forward, loss, backward, update: the order of computation within a layer."""

    def place(item: tuple[str, Any]) -> tuple[int, str]:
        stem = item[0].removesuffix("_next").rstrip("0123456789")
        return ORDER.index(stem) if stem in ORDER else len(ORDER), item[0]

    return sorted(entries.items(), key=place)
