"""What each command does. Frameworks are imported by the implementations that a command runs, never here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from backproof import data
from backproof import verify as verification
from backproof.compare import compare_recordings
from backproof.config import Config, find, require
from backproof.errors import BackproofError
from backproof.judge import Judge
from backproof.long_run.recorded import certify_recording
from backproof.long_run.report import facts, terminal
from backproof.network import Network
from backproof.progress import progress
from backproof.recorded import recorded
from backproof.recording import Recording, RecordingWriter
from backproof.report import index, run, store
from backproof.report.render import render
from backproof.report.tables import plain
from backproof.requirements import missing
from backproof.runs import same_samples, source_of, steps_of
from backproof.settings import Settings, prepare
from backproof.shown import shown
from backproof.threads import limit
from backproof.training import Implementation, Step, Training
from backproof.variants import by_format, in_formats


def networks(options: argparse.Namespace) -> int:
    """List what is configured."""
    config = require()
    rows = [
        [n.name, n.architecture, ", ".join(n.activations), n.loss, n.labels, n.layout, n.reduction, n.note]
        for n in config.networks.values()
    ]
    print(plain(rows, ["network", "architecture", "activations", "loss", "labels", "layout", "reduction", "note"]))
    said = [
        f"{name} (not installed)" if missing(config.root, module) else name
        for name, module in config.implementations.items()
    ]
    print(f"\nimplementations: {', '.join(said)}")
    if config.variants:
        print(f"variants: {', '.join(config.variants)}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Train, judge, report."""
    config, settings = require(), _settings(options)
    chosen = config.select(options.network)
    reference = verification.reference_of(config)
    if reference is None:
        raise BackproofError(f"{config.root / 'pyproject.toml'}: verify needs a reference; add one to [tool.backproof]")
    implementations = _judged(config, chosen, options)
    dataset = data.load(settings.data)
    limit(options.threads, implementations)
    jobs = [
        (own, replace(settings, dtype=dtype), members)
        for network in chosen
        for own, dtype, members in in_formats(network, implementations, settings.dtype, config.networks)
    ]
    for network, own, _ in jobs:
        prepare(network, dataset, own, reference)  # what cannot be prepared is refused before a report is removed
    sources = {name: source_of(name, module) for name, module in implementations.items()}
    output = options.output or config.root / "reports"
    if gone := sorted(set(store.clear(output)) - {network.name for network, _, _ in jobs}):
        print(f"removed the reports of an earlier run from {output}: {', '.join(gone)}", file=sys.stderr)
    recordings = output / "recordings" if options.keep_recordings else None
    evidence = {}
    with progress(len(chosen) * settings.steps * len(implementations)) as advance:
        for network, own, members in jobs:
            name, training = network.name, prepare(network, dataset, own, reference)
            evidence[name] = verification.verify_network(
                training, members, reference, recordings and recordings / name, advance
            )
            if own != settings:
                evidence[name]["dtype"] = own.dtype
            store.write_layers(output, name, evidence[name])
    where = verification.environment(sources)
    store.write_summary(output, verification.summarise(settings, dataset.name, evidence, where, config.project))
    summary = render(output)
    print(index.terminal(summary))
    print(f"\nA report for each layer: {output / store.INDEX}")
    return 0 if summary["verdict"] == "rounding" else 1


def _judged(config: Config, chosen: list[Network], options: argparse.Namespace) -> Mapping[str, Implementation]:
    """What verify judges: implementations that train, or the recordings that they left."""
    if options.recordings is None:
        return verification.modules(config, options.implementation)
    if options.implementation or options.keep_recordings or options.threads is not None:
        raise BackproofError(
            "--recordings goes without --implementation, --keep-recordings and --threads; name the folders wanted"
        )
    return recorded(options.recordings, chosen)


def record(options: argparse.Namespace) -> int:
    """Train one implementation and write what it did."""
    config, settings = require(), _settings(options)
    reference = verification.reference_of(config)
    if reference is None:
        raise BackproofError(
            f"{config.root / 'pyproject.toml'}: record draws initial weights from a reference; add one"
        )
    module = verification.modules(config, [options.implementation])[options.implementation]
    (dtype,) = by_format({options.implementation: module}, settings.dtype)
    settings = replace(settings, dtype=dtype)
    dataset = data.load(settings.data)
    limit(options.threads, {options.implementation: module})
    chosen = config.select(options.network)
    with progress(len(chosen) * settings.steps) as advance:
        for network in chosen:
            folder = options.output if len(chosen) == 1 else options.output / network.name
            training = prepare(network, dataset, settings, reference)
            source = source_of(options.implementation, module)
            with RecordingWriter(folder, training, source, options.overwrite) as writer:
                for step in steps_of(options.implementation, module, training):
                    if step.index < settings.steps:
                        _check_samples(options.implementation, step, training)
                    writer.write(step)
                    advance()
                if (count := writer.steps) != settings.steps:
                    left = count if count < settings.steps else f"more than {settings.steps}"
                    raise BackproofError(
                        f"implementation {options.implementation!r} left {left} steps of {network.name}, "
                        f"{settings.steps} were asked for; the recording in {folder} stays incomplete"
                    )
            print(f"{network.name} by {options.implementation}: {settings.steps} steps in {folder}")
    return 0


def _check_samples(name: str, step: Step, training: Training) -> None:
    if not same_samples(step, training.batches[step.index], training.samples):
        raise BackproofError(
            f"implementation {name!r} used other samples in step {step.index} of {training.network.name} "
            "than those that it was given"
        )


def check(options: argparse.Namespace) -> int:
    """Judge recordings by their own equations, one after the other."""
    failed = False
    for folder in options.recording:
        recording = Recording(folder, partial=options.partial)
        with progress(recording.steps_written) as advance:
            if options.check == "sketch":
                found = certify_recording(recording, advance)
                verdict, said = found.verdict, terminal(facts(found, "sketch", 1))
            else:
                judge = _judge(recording, options.partial, advance)
                verdict, said = judge.verdict, run.terminal(recording, judge)
        print(said)
        failed |= verdict > 0
    return int(failed)


def _judge(recording: Recording, partial: bool, advance: Callable[[], None]) -> Judge:
    judge = Judge(recording.training, recording.steps_written, replicas=None)
    for step in recording.steps():
        judge.consume(step)
        advance()
    judge.finish(partial)
    return judge


def compare(options: argparse.Namespace) -> int:
    """Judge two recordings of the same training."""
    first, second = Recording(options.first), Recording(options.second)
    config = find()
    reference = verification.reference_of(config) if config else None
    with progress(first.steps_written) as advance:
        comparison = compare_recordings(first, second, reference, advance)
    print(run.comparison(first, second, comparison))
    if reference is None:
        print("No reference is configured here: local checks only, no agreement.")
    return int(comparison.verdict > 0)


def trace(options: argparse.Namespace) -> int:
    """Run somebody's script and judge the steps that it takes."""
    from backproof.tracing import command

    return command.run(options)


def gate(options: argparse.Namespace) -> int:
    """Hold what ``verify`` left against the baseline."""
    from backproof.gate import command

    return command.run(options)


def diff(options: argparse.Namespace) -> int:
    """Show what moved between two runs."""
    from backproof.diff import command

    return command.run(options.old, options.new)


def train(options: argparse.Namespace) -> int:
    """Train in several implementations at once and certify every step."""
    from backproof.long_run import command

    return command.run(options)


def report(options: argparse.Namespace) -> int:
    """Render again what ``verify`` left."""
    config = None if options.output else find()
    folder = options.output or (config.root / "reports" if config else Path("reports"))
    if options.single_file and not options.html:
        raise BackproofError("--single-file goes with --html")
    try:
        if options.html:
            from backproof.report.html import command

            summary, page = command.render(folder, options.single_file)
        else:
            summary, page = render(folder), folder / store.INDEX
        table = index.terminal(summary)
    # Whatever another process or an editor left out of the evidence shows up as one of these, wherever it is missed.
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, StopIteration) as error:
        reason = shown(f"{type(error).__name__}: {error}")
        raise BackproofError(
            f"{folder}: the evidence is incomplete ({reason}); run 'backproof verify' again"
        ) from error
    print(table)
    print(f"\nA report for each layer: {page}")
    return 0 if summary["verdict"] == "rounding" else 1


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        options.data, options.samples, options.steps, options.batch_size, options.dtype, options.seed,
        options.optimizer, options.learning_rate,
    )  # fmt: skip
