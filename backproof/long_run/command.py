"""``backproof train``: what the command line asks for, and what it is told."""

from __future__ import annotations

import argparse
from dataclasses import replace

from backproof import data
from backproof import verify as verification
from backproof.accuracy import accuracy
from backproof.config import require
from backproof.errors import BackproofError
from backproof.files import writing
from backproof.long_run import report
from backproof.long_run.together import LongRun, train_together
from backproof.network import Network
from backproof.progress import progress
from backproof.settings import MOST_STEPS, Settings, prepare
from backproof.threads import limit
from backproof.training import Array, Training
from backproof.variants import in_formats


def run(options: argparse.Namespace) -> int:
    """Train, certify every step, and tell what became of it; 0 when all is within rounding.

    Raises:
        BackproofError: for settings that cannot be, and for what an implementation raises, after the table.
    """
    config = require()
    if options.check_every < 1:
        raise BackproofError(f"--check-every must be at least 1, not {options.check_every}")
    if options.epochs is not None and options.epochs < 1:
        raise BackproofError(f"--epochs must be at least 1, not {options.epochs}")
    if options.epochs is not None and options.steps is not None:
        raise BackproofError("--epochs and --steps both say how long; give one of them")
    chosen = config.select(options.network)
    reference = verification.reference_of(config)
    if reference is None:
        raise BackproofError(f"{config.root / 'pyproject.toml'}: train needs a reference; add one to [tool.backproof]")
    implementations = verification.modules(config, options.implementation)
    if options.output is not None:
        with writing(options.output):  # before hours of training, not after
            options.output.mkdir(parents=True, exist_ok=True)
    dataset, worst = data.load(options.data), 0
    unseen = data.load(options.data, "test") if data.has_test(options.data) else None
    limit(options.threads, implementations)
    jobs = [job for network in chosen for job in in_formats(network, implementations, options.dtype, config.networks)]
    for network, dtype, members in jobs:
        settings = replace(_settings(options, network, dataset), dtype=dtype)
        training = prepare(network, dataset, settings, reference)
        judged_on = _judged_on(training, unseen)
        beside = None if options.no_replicas else reference
        total = len(training.batches) * len(members)
        with progress(total) as advance:
            recordings = options.recordings and options.recordings / network.name
            found = train_together(
                training, members, beside, options.check, options.check_every, recordings, advance, options.overwrite
            )
        facts = report.facts(found, options.check, options.check_every, *_accuracies(found, *judged_on))
        if len(jobs) > 1:
            print(f"{network.name}\n")
        print(report.terminal(facts))
        if options.output is not None:
            print(f"\nThe trajectory: {report.write(options.output, facts)}")
        if found.error is not None:
            raise found.error
        worst = max(worst, found.verdict)
        if found.interrupted:
            break  # whoever types Ctrl-C does not mean the first of several networks
    return int(worst > 0)


def _settings(options: argparse.Namespace, network: Network, dataset: data.Dataset) -> Settings:
    """The settings of one network: epochs are turned into steps of its own data."""

    def settings(steps: int) -> Settings:
        return Settings(
            options.data, options.samples, steps, options.batch_size, options.dtype, options.seed,
            options.optimizer, options.learning_rate,
        )  # fmt: skip

    if options.steps is not None:
        return settings(options.steps)
    a_step = settings(1).batch_size  # a value that cannot be is refused before anything is computed with it
    samples = data.count(dataset, network, options.samples)
    epochs, each = options.epochs or 1, -(-samples // a_step) if a_step else 1
    if epochs * each > MOST_STEPS:
        most = MOST_STEPS // each
        raise BackproofError(f"--epochs must be at most {most:,} of {each:,} steps each, not {epochs:,}")
    return settings(epochs * each)


def _judged_on(training: Training, unseen: data.Dataset | None) -> tuple[Array, Array, str]:
    """X and Y that the accuracy is of, and what they are: the test set, or what was trained on where there is none."""
    if unseen is None:
        return training.X, training.Y, "training data"
    return *data.arrays(unseen, training.network, None, training.dtype), "test data"


def _accuracies(found: LongRun, X: Array, Y: Array, of: str) -> tuple[dict[str, float], str]:
    return {name: accuracy(found.training.network, run.final, X, Y) for name, run in found.runs.items()}, of
