"""What ``check`` and ``compare`` print."""

from __future__ import annotations

from backproof.compare import Comparison
from backproof.judge import Judge
from backproof.recording import Recording
from backproof.report.tables import element, number, percent, plain, precise


def terminal(recording: Recording, judge: Judge) -> str:
    """One recording: a line for each equation, then the verdict."""
    shapes = recording.network.shapes(judge.batches.largest)
    rows = [
        [
            evidence.text, number(evidence.ratio), number(evidence.ceiling), percent(evidence.fraction),
            element(target, evidence.worst["index"], shapes[target]), precise(evidence.worst["recorded"]),
            precise(evidence.worst["exact"]), str(evidence.worst["step"]), evidence.verdict.word,
        ]
        for target, evidence in judge.equations.items()
        if evidence.steps
    ]  # fmt: skip
    headers = ["equation", "ratio", "ceiling", "used", "worst element", "recorded", "exact", "step", "verdict"]
    title = f"{recording.network.name} by {_who(recording)}, {_steps(recording, judge)}"
    return "\n\n".join([title, plain(rows, headers), *_columns(judge), _closing(judge)]) + "\n"


def comparison(first: Recording, second: Recording, result: Comparison) -> str:
    """Two recordings: a line for each quantity, then both verdicts."""
    rows = []
    for name, gap in result.gaps.items():
        row = [name, number(gap.first), number(max(gap.absolute, 0.0)), number(gap.ulps)]
        row += [element(name, gap.index, gap.index), precise(gap.values[0]), precise(gap.values[1]), str(gap.step)]
        for judge in result.judges:
            evidence, agreement = judge.equations[name], judge.agreement.get(name)
            row.append(percent(evidence.fraction) if evidence.steps else "not checked")
            row.append(percent(agreement.to_json()["fraction"]) if agreement else "-")
        rows.append(row)
    a, b = first.source.implementation, second.source.implementation
    headers = ["quantity", "apart, step 0", "apart, any step", "ULPs", "where", "A", "B", "step"]
    headers += [f"A used ({a})", "A agreement", f"B used ({b})", "B agreement"]
    judge = result.judges[0]
    title = f"{first.network.name}: A = {_who(first)}, B = {_who(second)}, {_steps(first, judge)}"
    verdicts = [f"{label}: {_closing(judge)}" for label, judge in zip("AB", result.judges, strict=True)]
    return "\n\n".join([title, plain(rows, headers), *_columns(judge), "\n".join(verdicts)]) + "\n"


def _steps(recording: Recording, judge: Judge) -> str:
    samples = recording.training.samples
    of = f"{samples}" if judge.batches.smallest == samples else f"{judge.batches} of {samples}"
    return f"{judge.steps} steps of {of} samples, {recording.dtype}"


def _columns(judge: Judge) -> list[str]:
    """What a column counts, where it could be taken for the place in the batch."""
    said = "The column of a Z, A, dA or dZ is the sample's index in the data, not its place in the batch."
    return [said] if judge.batches.gathered else []


def _who(recording: Recording) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in recording.source.versions.items())
    source = recording.source
    return f"{source.implementation} ({versions}, {source.device}, {source.threads} threads)"


SHOWN = 5
"""Findings that are printed; the first is the cause, the rest often its echo in later steps."""


def _closing(judge: Judge) -> str:
    covered, of = judge.coverage
    if not judge.findings:
        return f"All within rounding: {covered} of {of} equations were checked."
    lines = [f"{judge.verdict.word.upper()}; {covered} of {of} equations were checked."]
    lines += [f"  {finding}" for finding in judge.findings[:SHOWN]]
    if len(judge.findings) > SHOWN:
        lines.append(f"  and {len(judge.findings) - SHOWN} more")
    return "\n".join(lines)
