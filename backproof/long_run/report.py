"""What is told of a long run: a table, a verdict in sentences, and a trajectory on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backproof import __version__
from backproof.evidence import significant
from backproof.files import replace_file, writing
from backproof.flips import Flip
from backproof.long_run.certifier import Certifier
from backproof.long_run.together import LongRun
from backproof.report.tables import plain

Json = dict[str, Any]

SCHEMA = 1
CURVE = 100_000
"""Steps of which a curve keeps every value; of a longer run it keeps the first of them."""


def facts(found: LongRun, mode: str, every: int, accuracies: Mapping[str, float] | None = None, of: str = "") -> Json:
    """Everything that is told, ready for JSON.

    Args:
        accuracies: of each run, on the data that ``of`` names; None where nobody asked.
    """
    training, network = found.training, found.training.network
    first = training.batches[0]
    return {
        "schema": SCHEMA,
        "backproof": __version__,
        "network": network.name,
        "architecture": network.architecture,
        "data": training.data,
        "samples": training.samples,
        "batch_size": training.samples if first is None else len(first),
        "steps": len(training.batches),
        "optimizer": network.optimizer.to_dict(),
        "learning_rate": network.learning_rate,
        "schedule": network.schedule.to_dict(),
        "dtype": training.dtype.name,
        "seed": training.seed,
        "check": mode,
        "check_every": every,
        "verdict": found.verdict.word,
        "diverged": found.diverged,
        "stopped": found.stopped,
        "seconds": {name: significant(seconds, 3) for name, seconds in found.seconds.items()},
        "accuracy_of": of,
        "float64": {"losses": _curve(found.losses), "envelope": _curve(found.envelope)},
        "envelope": significant(found.envelope[-1]) if found.envelope else None,
        "runs": {name: _run(run, None if accuracies is None else accuracies[name]) for name, run in found.runs.items()},
    }


def _run(run: Certifier, accuracy: float | None) -> Json:
    return {
        "verdict": run.verdict.word,
        "steps": run.steps,
        "certified": run.certified,
        "unchecked": run.unchecked,
        "equations": run.equations,
        "dense": dict(run.dense),
        "vacuous": dict(run.vacuous),
        "largest": significant(max(run.worst, default=0.0)),
        "distance": significant(run.distances[-1]) if run.distances else None,
        "loss": significant(run.losses[-1], 6) if run.losses else None,
        "accuracy": None if accuracy is None else significant(accuracy, 6),
        "flips": run.flips.to_json(),
        "flips_in_all": run.flips.count,
        "findings": [finding.to_json() for finding in run.findings],
        "findings_in_all": run.found,
        "losses": _curve(run.losses),
        "distances": _curve(run.distances),
        "worst": _curve(run.worst),
    }


def _curve(values: Any) -> list[float | None]:
    return [significant(value) for value in values[:CURVE]]


def terminal(facts: Json) -> str:
    """The table, and the verdict in sentences."""
    rows = [
        [
            name, run["verdict"], f"{run['certified']}/{run['steps']}", _percent(run["largest"]),
            _number(run["distance"]), _number(facts["envelope"]), run["flips_in_all"], _number(run["loss"]),
            _percent(run["accuracy"], 2), _seconds(facts["seconds"].get(name)),
        ]
        for name, run in facts["runs"].items()
    ]  # fmt: skip
    heads = ["by", "verdict", "certified", "largest", "apart", "replicas", "flips", "loss", "accuracy", "time"]
    return "\n".join([plain(rows, heads), "", *sentences(facts)])


def setting(facts: Json) -> str:
    """What was trained, and how."""
    whole = facts["batch_size"] == facts["samples"]
    batch = "all samples" if whole else f"{facts['batch_size']:,} samples"
    schedule = facts["schedule"]["name"]
    how = {"dense": "checked densely", "sketch": "sketched", "none": "not checked"}[facts["check"]]
    every = "each step" if facts["check_every"] == 1 else f"one step in {facts['check_every']}"
    return (
        f"{facts['architecture']} on {facts['samples']:,} samples of {facts['data']}: {facts['steps']:,} steps of "
        f"{batch}, {facts['dtype']}, {facts['optimizer']['name']} at {facts['learning_rate']:g}"
        + (f" with the schedule {schedule}" if schedule != "constant" else "")
        + f", seed {facts['seed']}; {every} {how}."
    )


def sentences(facts: Json) -> list[str]:
    """What the numbers come to."""
    said = [_headline(facts)]
    if facts["stopped"]:
        said.append(f"Ended early: {facts['stopped']}.")
    for name, run in facts["runs"].items():
        said += [f"{name}, step {f['step']}, {f['quantity']}: {f['message']}" for f in run["findings"][:5]]
        if run["flips"]:
            said.append(f"First coin flip of {name}: {Flip(**run['flips'][0])}.")
        if run["vacuous"]:
            said.append(_vacuous(name, run))
    if facts["check"] != "none":
        dense = {name: sum(run["dense"].values()) for name, run in facts["runs"].items()}
        if facts["check"] == "sketch" and any(dense.values()):
            counts = ", ".join(f"{count} of {name}" for name, count in dense.items() if count)
            said.append(f"Equations that the sketch left to a dense check: {counts}.")
    if facts["seconds"]:
        said.append(_times(facts))
    if facts["accuracy_of"]:
        said.append(f"Accuracy is of the {facts['accuracy_of']}.")
    return said


def _times(facts: Json) -> str:
    times = facts["seconds"]
    training = sum(seconds for name, seconds in times.items() if name in facts["runs"])
    told = f"{training:.3g} s of training and recording, {times.get('checking', 0.0):.3g} s of checking"
    beside = times.get("float64 and replicas", 0.0)
    return told + (f", {beside:.3g} s for the float64 run and its replicas." if facts["float64"]["losses"] else ".")


def _vacuous(name: str, run: Json) -> str:
    """Which equations could not have been found wrong, the most frequent first."""
    listed = sorted(run["vacuous"].items(), key=lambda item: -item[1])
    told = ", ".join(f"{target} in {steps}" for target, steps in listed[:8]) + ("" if len(listed) <= 8 else ", ...")
    return (
        f"Of {name}, {sum(run['vacuous'].values())} of {run['equations']} equations compared nothing: every element is "
        f"zero, or so small that the format's floor hides it ({told} of {run['steps']} steps)."
    )


def _headline(facts: Json) -> str:
    runs = facts["runs"]
    steps, certified = (sum(run[key] for run in runs.values()) for key in ("steps", "certified"))
    unchecked = sum(run["unchecked"] for run in runs.values())
    if facts["diverged"]:
        alike = ", in every implementation alike" if len(runs) > 1 else ""
        return f"Diverged{alike}; {certified} of the {steps - len(runs)} steps before that are certified."
    if facts["verdict"] != "rounding":
        return f"{facts['verdict'].capitalize()}: {certified} of {steps} steps are certified."
    if unchecked == steps:
        return f"Nothing was checked but that each of {steps} steps begins where the last one ended."
    left = [f"{unchecked} were not checked"] if unchecked else []
    if nothing := sum(sum(run["vacuous"].values()) for run in runs.values()):
        left.append(f"{nothing} of {sum(run['equations'] for run in runs.values())} equations compared nothing")
    rest = f" ({'; '.join(left)})" if left else ""
    return f"Certified: {certified} of {steps} steps hold to rounding, and each begins where the last one ended{rest}."


def _percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s"


def write(output: Path, facts: Json) -> Path:
    """``<network>.json`` in a folder, the same in words, and with pictures where a page can be rendered.

    Returns:
        the page, or the words where Jinja2 or matplotlib is not installed.

    Raises:
        BackproofError: when the folder cannot be written, or holds something else in the page's place.
    """
    name = facts["network"]
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        replace_file(output / f"{name}.json", json.dumps(facts, indent=1).encode())
        words = f"# {name}: a trajectory\n\n{setting(facts)}\n\n```text\n{terminal(facts)}\n```\n"
        replace_file(output / f"{name}.md", words.encode())
    if not all(map(find_spec, PAGE)):
        return output / f"{name}.md"
    from backproof.report.html.alone import trajectory
    from backproof.report.html.output import write_file

    write_file(output / f"{name}.html", trajectory(name, as_network(facts), setting(facts), sentences(facts)))
    return output / f"{name}.html"


PAGE = ("jinja2", "matplotlib")
"""What a page with pictures needs."""


def as_network(facts: Json) -> Json:
    """The same as a summary of ``verify`` has it of a network, for the page that shows trajectories."""
    runs = {
        name: {**run, "used_by_step": run["worst"], "findings": [_finding(finding) for finding in run["findings"]]}
        for name, run in facts["runs"].items()
    }
    return {"implementations": runs, "float64": facts["float64"], "layers": {}}


def _finding(finding: Json) -> Json:
    return {**finding, "layer": 0, "kind": "trajectory", "explanations": []}
