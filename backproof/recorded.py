"""An implementation's recordings in the place of the implementation: what ``verify`` judges where no framework is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from backproof.errors import BackproofError
from backproof.network import Network
from backproof.recording import Recording, Source
from backproof.recording.layout import MANIFEST
from backproof.training import Parameters, Step, Training


class Recorded:
    """The runs that one implementation left, a folder for each network; it has the functions of an implementation.

    Args:
        folder: with a recording in ``folder/NETWORK``, as ``record`` leaves them, or itself the recording of the one
            network.

    Raises:
        BackproofError: when a network has no recording there, or the recordings were not all made by one
            implementation with the same versions, device and threads.
    """

    def __init__(self, folder: Path, networks: Sequence[Network]) -> None:
        alone = len(networks) == 1 and (folder / MANIFEST).is_file()
        self._folders = {n.name: folder if alone else folder / n.name for n in networks}
        sources = {name: Recording(path).source for name, path in self._folders.items()}
        self.source: Source = next(iter(sources.values()))
        for name, source in sources.items():
            if source != self.source:
                raise BackproofError(
                    f"{self._folders[name]} was made by another implementation, or with other versions, device or "
                    f"threads, than {next(iter(self._folders.values()))}; record them anew, in one environment"
                )

    def record(self, training: Training) -> Iterator[Step]:
        """The recorded steps.

        Raises:
            BackproofError: when the recording is corrupt, or of another training.
        """
        recording = Recording(folder := self._folders[training.network.name])
        for what, found, asked in (
            ("network", recording.network, training.network),
            ("dtype", recording.dtype, training.dtype),
            ("initial parameters", recording.initial_hash, training.initial_hash),
            ("data", recording.data_hash, training.data_hash),
            ("number of steps", recording.steps_written, len(training.batches)),
        ):
            if found != asked:
                raise BackproofError(
                    f"{folder} was recorded with another {what} than verify was asked for; give verify the settings "
                    "that record was given, or record anew"
                )
        yield from recording.steps()

    def train(self, training: Training) -> Parameters:
        """The parameters after the last step."""
        *_, last = self.record(training)
        return {name: last.tensors[f"{name}_next"] for name in training.parameters}

    def versions(self) -> dict[str, str]:
        """Of the libraries that computed."""
        return dict(self.source.versions)

    def threads(self) -> int:
        """That they computed with."""
        return self.source.threads

    def device(self) -> str:
        """That they computed on."""
        return self.source.device


def recorded(folders: Sequence[Path], networks: Sequence[Network]) -> dict[str, Recorded]:
    """Name -> runs, for the folders of several implementations, in their order.

    Raises:
        BackproofError: also when two folders are of one implementation.
    """
    found: dict[str, Recorded] = {}
    for folder in folders:
        runs = Recorded(folder, networks)
        if (name := runs.source.implementation) in found:
            raise BackproofError(f"{folder} holds runs of {name!r}, and so does a folder before it; name it once")
        found[name] = runs
    return found
