"""D, I, R: data, initial parameters and batches. Only two runs can show these, so they are planted in one of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backproof.compare import compare_recordings
from backproof.errors import BackproofError
from backproof.network import Network
from backproof.optimizer import Optimizer
from backproof.recording import Recording, RecordingWriter, Source
from backproof.training import Step, Training
from reference import network as reference
from reference.initialisation import initial_parameters


def as_it_is(step: Step) -> Step:
    return step


@dataclass(frozen=True)
class Run:
    """What one of the two runs is given, what its recorder makes of each step, and the state that it starts from."""

    training: Training
    left: Callable[[Step], Step] = as_it_is
    state: Callable[[Training], dict] = lambda training: {}


@dataclass(frozen=True)
class Differs:
    """One mistake in the second of two runs.

    Attributes:
        id: of the list of mistakes, where it is in it.
        what: a few words.
        name: what 'compare' must call it.
        words: that it must say.
        make: (what both should be given, random numbers) -> both runs.
    """

    id: str
    what: str
    name: str
    words: str
    make: Callable[[Training, np.random.Generator], tuple[Run, Run]]


def told(folder: Path, fault: Differs, training: Training) -> str:
    """All that is said of two runs: why data are refused, why the runs are not compared, or what each has wrong."""
    try:
        first, second = fault.make(training, np.random.default_rng([training.seed, 8]))
        judged = compare_recordings(recorded(folder / "a", first), recorded(folder / "b", second), None).judges
    except BackproofError as error:
        return str(error)
    return "; ".join(finding.message for judge in judged for finding in judge.findings)


def recorded(folder: Path, run: Run) -> Recording:
    with RecordingWriter(folder, run.training, Source("numpy", {}, 1)) as writer:
        for step in reference.record(replace(run.training, state=run.state(run.training))):
            writer.write(run.left(step))
    return Recording(folder)


def training_of(seed: int, dtype: str = "float32") -> Training:
    """Pixels as people have them; a first layer that is square, and a batch size that leaves a part over."""
    draw = np.random.default_rng([seed, 4])
    n, m = int(draw.integers(5, 10)), int(draw.integers(20, 40))
    classes = int(draw.integers(3, 5))
    labels = "integer" if seed % 2 else "one_hot"
    network = Network("small", (n, n, classes), ("relu", "softmax"), labels=labels)
    X = (draw.integers(0, 256, (n, m)) / 255).astype(dtype)
    y = np.concatenate([np.arange(classes), draw.integers(0, classes, m - classes)])[None]
    Y = y if labels == "integer" else np.eye(classes, dtype=dtype)[:, y[0]]
    return Training(network, initial_parameters(network, seed, dtype), X, Y, (None,), seed)


def given(change):
    """The second run is given what ``change(training, draw)`` says, and all else as the first."""
    return lambda t, draw: (Run(t), Run(replace(t, **change(t, draw))))


def data(change):
    return given(lambda t, draw: {"X": np.ascontiguousarray(change(t.X, draw)).astype(t.dtype)})


def labels(change):
    return given(lambda t, draw: {"Y": np.ascontiguousarray(change(t.Y, draw))})


def weights(change, name="W1"):
    def changed(t, draw):
        return {"parameters": {**t.parameters, name: change(t.parameters[name], draw).astype(t.dtype)}}

    return given(changed)


def batches(first, second):
    def make(t, draw):
        size = next(size for size in range(5, 10) if t.samples % size > 1)
        seed = int(draw.integers(1 << 30))
        return tuple(Run(replace(t, batches=of(t.samples, size, seed))) for of in (first, second))

    return make


def epochs(count=2, shuffled=True, partial=True, start=0):
    """Batches of so many epochs."""

    def of(m, size, seed):
        draw, found = np.random.default_rng([seed, start]), []
        order = draw.permutation(m)
        for epoch in range(count):
            order = draw.permutation(m) if shuffled or not epoch else order
            found += [order[i : i + size] for i in range(0, m if partial else m - size + 1, size)]
        return tuple(found)

    return of


def regrouped(change):
    """Other batches made of the first run's: ``change(list of batches)``."""
    return lambda m, size, seed: tuple(change(list(epochs()(m, size, seed))))


def in_order(left_out):
    """Samples as they lie, without the last few."""

    def of(m, size, seed):
        end = m - left_out
        return tuple(np.arange(i, min(i + size, end)) for i in range(0, end, size))

    return of


def standardised(X, ddof=0):
    wide = X.astype(np.float64)
    scaled = (wide - wide.mean(axis=1, keepdims=True)) / wide.std(axis=1, ddof=ddof, keepdims=True)
    return scaled.astype(X.dtype)


def other_deviation(t, draw):
    return Run(replace(t, X=standardised(t.X, 1))), Run(replace(t, X=standardised(t.X)))


def narrow(t, draw):
    """The data hold no sample of the last class, and its row went with it."""
    Y = np.eye(t.network.sizes[-1] - 1, dtype=t.dtype)[:, draw.integers(0, t.network.sizes[-1] - 1, t.samples)]
    t = replace(t, network=replace(t.network, labels="one_hot"), Y=np.vstack([Y, 0 * Y[:1]]))
    return Run(t), Run(replace(t, Y=Y))


def overwritten(step):
    """The recorder kept no copies: what it calls W1 is the array that the update changed."""
    after = {name.removesuffix("_next"): array for name, array in step.tensors.items() if name.endswith("_next")}
    return replace(step, tensors={**step.tensors, **after})


def accumulated(training):
    """TensorFlow's and optax's Adagrad start from 0.1, PyTorch's from 0."""
    return {name: np.full(shape, 0.1, training.dtype) for name, shape in training.network.state_shapes().items()}


def other_start(t, draw):
    t = replace(t, network=replace(t.network, optimizer=Optimizer("rmsprop")))
    return Run(t), Run(t, state=accumulated)


def of_one_sample(m, size, seed):
    return tuple(sample for batch in epochs(1)(m, size, seed) for sample in batch[:, None])


FAULTS = [
    Differs("D1", "no /255", "data-scaled", "255 (pixels that were not divided by 255)",
            data(lambda X, draw: np.rint(X * X.dtype.type(255)))),
    Differs("D3", "/256", "data-scaled", "255/256", data(lambda X, draw: X * X.dtype.type(255 / 256))),
    Differs("D5", "another ddof", "data-scaled", "a standard deviation with n", other_deviation),
    Differs("D7", "one-hot width from the labels", "one-hot-width", "Y.max() + 1",
            narrow),
    Differs("D9", "reshape for transpose", "reshaped-for-transposed", "reshaped",
            data(lambda X, draw: np.ascontiguousarray(X.T).reshape(X.shape))),
    Differs("", "shifted", "data-shifted", "plus -0.5", data(lambda X, draw: X - X.dtype.type(0.5))),
    Differs("", "standardised", "data-standardised", "mean 0, deviation 1",
            data(lambda X, draw: standardised(X))),
    Differs("", "samples shuffled", "samples-permuted", "samples of A in another order",
            data(lambda X, draw: X[:, draw.permutation(X.shape[1])])),
    Differs("", "labels of the next sample", "labels-shifted", "after it",
            labels(lambda Y, draw: np.roll(Y, -1, axis=1))),
    Differs("", "labels shuffled", "labels-permuted", "in another order",
            labels(lambda Y, draw: Y[:, draw.permutation(Y.shape[1])])),
    Differs("D13", "the last row left out", "samples-missing", "B lacks the last 1 of A's samples",
            given(lambda t, draw: {"X": t.X[:, :-1], "Y": t.Y[:, :-1]})),
    Differs("D13", "the last row in no batch", "samples-missing", "B never takes 1 of the samples that A takes",
            batches(in_order(0), in_order(1))),
    Differs("I1", "W transposed", "weights-transposed", "the transpose of W1", weights(lambda W, draw: W.T)),
    Differs("I3", "X flattened the other way", "features-permuted", "features of A in another order",
            data(lambda X, draw: X[draw.permutation(len(X))])),
    Differs("I3", "W flattened the other way", "weights-permuted", "its inputs in another order",
            weights(lambda W, draw: W[:, draw.permutation(W.shape[1])])),
    Differs("I5", "fan_out for fan_in", "initialisation-scaled", "√(fan_in/fan_out)", weights(
        lambda W, draw: W * W.dtype.type(np.sqrt(W.shape[1] / W.shape[0])), "W2")),
    Differs("", "another scale", "initialisation-scaled", "times 0.7", weights(lambda W, draw: W * W.dtype.type(0.7))),
    Differs("", "He's scale for LeCun's", "initialisation-scaled", "√2",
            weights(lambda W, draw: W * W.dtype.type(np.sqrt(2)))),
    Differs("I7", "zeros", "initialisation-constant", "never differ", weights(lambda W, draw: np.zeros_like(W))),
    Differs("I7", "a constant", "initialisation-constant", "never differ",
            weights(lambda W, draw: np.full_like(W, 0.1))),
    Differs("I9", "a shallow copy of the parameters", "parameters-overwritten", "copied without depth",
            lambda t, draw: (Run(t), Run(t, overwritten))),
    Differs("S19", "updated in place under another name", "parameters-overwritten", "changed in place",
            lambda t, draw: tuple(Run(replace(t, batches=(None,) * 3), left) for left in (as_it_is, overwritten))),
    Differs("U15", "a state that starts at 0.1", "state-not-zero", "it is 0.1 throughout", other_start),
    Differs("R1", "the same seed in another library", "initialisation-unrelated", "draw them once and copy them",
            given(lambda t, draw: {"parameters": initial_parameters(t.network, t.seed + 1, t.dtype)})),
    Differs("R3", "workers that share a seed", "batches-repeated", "the same batch several times in one epoch",
            batches(epochs(), regrouped(lambda found: [found[i // 2 * 2] for i in range(len(found))]))),
    Differs("", "drawn with replacement", "samples-repeated", "several times in one epoch",
            batches(epochs(), lambda m, size, seed: tuple(
                np.random.default_rng([seed, i]).integers(0, m, len(batch))
                for i, batch in enumerate(epochs()(m, size, seed))))),
    Differs("R5", "shuffled once", "shuffled-once", "the same batches in every epoch",
            batches(epochs(3), epochs(3, shuffled=False))),
    Differs("R7", "last batch dropped", "last-batch-dropped", "partial batch",
            batches(epochs(), epochs(partial=False))),
    Differs("R11", "updated for each sample", "updated-for-each-sample", "after every sample",
            batches(epochs(1), of_one_sample)),
    Differs("", "batches of another size", "batches-of-another-size", "samples",
            batches(epochs(), lambda m, size, seed: epochs()(m, size - 1, seed))),
    Differs("", "batches of another seed", "batches-unrelated", "drawn once",
            batches(epochs(1), epochs(1, start=1))),
    Differs("", "one run ends early", "steps-missing", "1 steps before the other",
            batches(epochs(), regrouped(lambda found: found[:-1]))),
    Differs("", "another order within batches", "order-within-batches", "in another order",
            batches(epochs(), regrouped(lambda found: [batch[::-1] for batch in found]))),
]  # fmt: skip
