"""The runs of the modules that a configuration names: what they must leave, and how their failures read.

They are somebody's code. Whatever they raise or leave becomes one line that names the module, the step and the place.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from backproof.errors import BackproofError
from backproof.network import Network
from backproof.recording import Source
from backproof.training import Array, Implementation, Parameters, Reference, Step, Training


@contextmanager
def asking(who: str, what: str) -> Iterator[None]:
    """Turn whatever is raised inside into one line; SystemExit too, which would end a verification with exit code 0."""
    try:
        yield
    except BackproofError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = (str(error).splitlines() or [""])[0]
        where = f"{Path(place.filename).name}:{place.lineno}"
        raise BackproofError(f"{who} raised {type(error).__name__} {what}: {message} ({where})") from error


def steps_of(name: str, module: Implementation, training: Training) -> Iterator[Step]:
    """The steps of one implementation, one more than was asked for at most.

    Raises:
        BackproofError: for what the implementation raises, or leaves that is no step.
    """
    who, network, index = f"implementation {name!r}", training.network, 0
    with asking(who, f"when it was asked for the steps of {network.name}"):
        steps = iter(module.record(training))
    while index <= len(training.batches):
        with asking(who, f"in step {index} of {network.name}"):
            step = next(steps, None)
        if step is None:
            return
        _check_step(f"{who} left in step {index} of {network.name}", step)
        yield step
        index += 1


def _check_step(where: str, step: object) -> None:
    if not isinstance(step, Step):
        raise BackproofError(f"{where} a {type(step).__name__}; record must yield backproof.training.Step")
    if type(step.index) is not int:
        raise BackproofError(f"{where} the index {step.index!r}; it must be an int")
    samples = step.samples
    if samples is not None and (not isinstance(samples, np.ndarray) or samples.dtype != np.int64 or samples.ndim != 1):
        raise BackproofError(f"{where} sample indices that are no one-dimensional int64 array")
    for quantity, array in step.tensors.items():
        if not isinstance(quantity, str):
            raise BackproofError(f"{where} a tensor named {quantity!r}; names are strings")
        if type(array) is not np.ndarray and not isinstance(array, np.generic):
            raise BackproofError(f"{where} {quantity} as a {type(array).__name__}; it must be a NumPy array")
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise BackproofError(f"{where} {quantity} as {array.dtype}; it must hold numbers")


def same_samples(step: Step, given: Array | None, every: int) -> bool:
    """Whether a step names the samples that it was given: honest equations of the wrong samples would pass."""
    named, asked = (np.arange(every) if samples is None else samples for samples in (step.samples, given))
    return np.array_equal(named, asked)


def source_of(name: str, module: Implementation) -> Source:
    """Who records: name, versions, threads, and the device, which is the CPU for a module that says nothing of it."""
    who, device = f"implementation {name!r}", getattr(module, "device", lambda: "cpu")
    with asking(who, "when it was asked for its versions, threads and device"):
        versions, threads, where = module.versions(), module.threads(), device()
    if not isinstance(versions, dict) or not all(isinstance(text, str) for item in versions.items() for text in item):
        raise BackproofError(f"{who}: versions() must return a dict of strings, not {versions!r}")
    if not isinstance(threads, int | np.integer):
        raise BackproofError(f"{who}: threads() must return an int, not {threads!r}")
    if not isinstance(where, str) or not where:
        raise BackproofError(f"{who}: device() must return a name like 'cpu', not {where!r}")
    return Source(name, versions, int(threads), where)


class GuardedReference:
    """The configured reference, its failures told in one line and what it leaves checked for shape and format.

    Args:
        module: the reference itself.
    """

    def __init__(self, module: Reference) -> None:
        self._module = module

    def initial_parameters(self, network: Network, seed: int, dtype: DTypeLike) -> Parameters:
        """The reference's own, checked."""
        with asking("the reference", f"when it was asked for the initial parameters of {network.name}"):
            parameters = self._module.initial_parameters(network, seed, dtype)
        if not isinstance(parameters, dict):
            raise BackproofError(f"the reference's initial_parameters returned a {type(parameters).__name__}, no dict")
        for name, array in parameters.items():
            if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype) or not np.isfinite(array).all():
                raise BackproofError(f"the reference's initial {name} must be a finite array of {np.dtype(dtype)}")
        return parameters

    def record(self, training: Training, summation: str = "default") -> Iterator[Step]:
        """The reference's own steps, as many as were asked for, each with every quantity in the run's format."""
        network = training.network
        what = f"when it was asked for the steps of {network.name} (summation={summation!r})"
        with asking("the reference", what):
            steps = iter(self._module.record(training, summation=summation))
        count = 0
        for given in training.batches:
            with asking("the reference", f"in step {count} of {network.name}"):
                step = next(steps, None)
            if step is None:
                raise BackproofError(f"the reference left {count} steps of {network.name}, not {len(training.batches)}")
            where = f"the reference left in step {count} of {network.name}"
            _check_step(where, step)
            for name, shape in network.shapes(training.samples if given is None else len(given)).items():
                array = step.tensors.get(name)
                if array is None or array.shape != shape or array.dtype != training.dtype:
                    found = "nothing" if array is None else f"{array.dtype} {array.shape}"
                    raise BackproofError(f"{where} {found} for {name}; needed is {training.dtype} {shape}")
            yield step
            count += 1
        with asking("the reference", f"after the last step of {network.name}"):
            if next(steps, None) is not None:
                raise BackproofError(f"the reference left more than {count} steps of {network.name}")

    def train(self, training: Training) -> Parameters:
        """The reference's own."""
        return self._module.train(training)

    def versions(self) -> dict[str, str]:
        """The reference's own."""
        return self._module.versions()

    def threads(self) -> int:
        """The reference's own."""
        return self._module.threads()
