"""The main job: train a network in every implementation at once, judge every step, keep the evidence."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from backproof import __version__
from backproof.batches import Batches
from backproof.config import Config
from backproof.errors import BackproofError
from backproof.evidence import SCHEMA, Json, significant, without_arrays, worst_word
from backproof.judge import Judge
from backproof.recording import RecordingWriter, Source
from backproof.replicas import Replicas
from backproof.rounding import format_of
from backproof.runs import GuardedReference, same_samples, source_of, steps_of
from backproof.settings import Settings
from backproof.training import Implementation, Reference, Step, Training
from backproof.trajectory import FreeStep, free_run

Progress = Callable[[], None]


def verify_network(
    training: Training,
    implementations: Mapping[str, Implementation],
    reference: Reference,
    recordings: Path | None = None,
    progress: Progress = lambda: None,
) -> Json:
    """Train one network in all implementations side by side and judge every step.

    Args:
        recordings: a folder for one recording of each implementation, or None to keep none.

    Returns:
        The network's facts: see :func:`network_facts`.
    """
    count, given = len(training.batches), (training.initial_hash, training.data_hash)
    replicas = Replicas(training, reference)
    judges = {name: Judge(training, count, replicas) for name in implementations}
    free: list[tuple[float, float]] = []
    # A run that diverges overflows; what is not finite is found in the recorded values, not in warnings.
    with ExitStack() as stack, np.errstate(all="ignore"):
        streams = {name: steps_of(name, module, training) for name, module in implementations.items()}
        writers = {
            name: stack.enter_context(
                RecordingWriter(recordings / name, training, source_of(name, module), overwrite=True)
            )
            for name, module in implementations.items()
            if recordings is not None
        }
        for here in free_run(replicas, kinks=True):
            free.append((here.envelope, here.loss))
            for name, judge in judges.items():
                _advance(judge, training, streams[name], writers.get(name), here)
                progress()
        for name, judge in judges.items():
            if next(streams[name], None) is not None:
                judge.add_surplus()
            judge.finish()
        for writer in writers.values():
            if writer.steps < count:
                writer.cut_short()
    if given != ((now := replace(training)).initial_hash, now.data_hash):
        raise BackproofError(
            f"{training.network.name}: an implementation changed the data or weights that it was given"
        )
    return network_facts(training, judges, free)


def _advance(
    judge: Judge, training: Training, stream: Iterator[Step], writer: RecordingWriter | None, free: FreeStep
) -> None:
    step = next(stream, None)
    if step is None:
        return
    if writer is not None:
        writer.write(step)
    if same_samples(step, training.batches[judge.steps], training.samples):
        judge.consume(step, free)
    else:
        judge.refuse_samples(step.index)


def network_facts(training: Training, judges: Mapping[str, Judge], free: list[tuple[float, float]]) -> Json:
    """Everything the reports say of a network, ready for JSON, its layers with their arrays.

    ``layers[n]`` holds ``equations`` and ``agreement``, each ``{quantity: {"text", "shape", "by": {implementation:
    facts}}}``. A shape is that of the largest batch. The column of a worst element of Z, A, dA or dZ is the sample's
    index in the data, whichever batch it was in.
    """
    network, batches = training.network, Batches.of(training)
    shapes = network.shapes(batches.largest)
    layers: dict[str, Json] = {str(n): {"equations": {}, "agreement": {}} for n in range(1, network.depth + 1)}
    for name, judge in judges.items():
        for target, evidence in judge.equations.items():
            layer = layers[str(network.layer_of(target))]
            entry = layer["equations"].setdefault(
                target, {"text": evidence.text, "shape": list(shapes[target]), "by": {}}
            )
            if evidence.steps:
                entry["by"][name] = evidence.to_json()
        for quantity, agreement in judge.agreement.items():
            layer = layers[str(network.layer_of(quantity))]
            layer["agreement"].setdefault(quantity, {"by": {}})["by"][name] = agreement.to_json()
    return {
        "specification": network.to_dict(),
        "samples": training.samples,
        "batches": {"smallest": batches.smallest, "largest": batches.largest},
        "initial_hash": training.initial_hash,
        "data_hash": training.data_hash,
        "unit_roundoff": format_of(training.dtype).unit_roundoff,
        "verdict": max(judge.verdict for judge in judges.values()).word,
        "implementations": {name: judge.to_json() for name, judge in judges.items()},
        "float64": {
            "losses": [significant(loss, 10) for _, loss in free],
            "envelope": [significant(envelope) for envelope, _ in free],
        },
        "layers": layers,
    }


def environment(sources: Mapping[str, Source]) -> Json:
    """Versions, device and threads of everything that computed."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "implementations": {
            name: {"versions": dict(source.versions), "device": source.device, "threads": source.threads}
            for name, source in sources.items()
        },
    }


def summarise(settings: Settings, source: str, networks: Mapping[str, Json], where: Json, project: str = "") -> Json:
    """The facts of a whole ``verify``, without the layers' arrays; ``project`` is the name that its file has."""
    runs = [run for facts in networks.values() for run in facts["implementations"].values()]
    return {
        "schema": SCHEMA,
        "backproof": __version__,
        "project": project,
        "verdict": worst_word(facts["verdict"] for facts in networks.values()),
        "coverage": {key: sum(run["coverage"][key] for run in runs) for key in ("checked", "of")},
        "settings": {**settings.to_dict(), "data": source},
        "environment": where,
        "networks": without_arrays(dict(networks)),
    }


def modules(config: Config, names: list[str]) -> dict[str, Implementation]:
    """The chosen implementations and variants, or every configured implementation, or with ``all`` both.

    Raises:
        BackproofError: for an unknown name, or one whose framework is not installed.
    """
    return {name: config.implementation(name) for name in config.named(names)}


def reference_of(config: Config) -> Reference | None:
    """The configured NumPy reference, or None."""
    return GuardedReference(config.reference_module()) if config.reference else None
