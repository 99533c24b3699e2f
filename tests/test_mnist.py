"""MNIST: from the folder of the environment variable, and from a mirror through pooch."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests

from backproof import data
from tests.idx_files import IMAGES, LABELS, X3, Y3, encode, fill
from tests.refusals import refusal


def test_mnist_from_the_folder_of_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(data.FOLDER_VARIABLE, str(fill(tmp_path / "set", X3, Y3)))
    dataset = data.load("mnist")
    assert dataset.name == "mnist" and dataset.samples == 3 and str(tmp_path) not in dataset.source
    assert data.load("digits").samples == 1797  # the variable changes no other source
    (tmp_path / "set" / LABELS).unlink()
    message = refusal(lambda: data.load("mnist"))
    assert data.FOLDER_VARIABLE in message and LABELS in message


REAL = os.environ.get(data.FOLDER_VARIABLE)
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.mark.skipif(not REAL, reason=f"{data.FOLDER_VARIABLE} is not set")
@pytest.mark.parametrize(("split", "samples"), [("train", 60_000), ("test", 10_000)])
def test_real_mnist(split, samples):
    dataset = data.load("mnist", split)
    images, labels = data.FILES[split]
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", samples, 28, 28)
    assert hashlib.sha256(header + dataset.pixels.tobytes()).hexdigest() == SHA256[images]
    assert hashlib.sha256(encode(dataset.labels.astype(np.uint8))).hexdigest() == SHA256[labels]


class Served:
    """A folder served on 127.0.0.1, and the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        asked: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))

            def log_message(self, *args: object) -> None:
                asked.append(self.path)

        self.asked = asked
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A mirror with three digits, their hashes as the known ones, and an empty cache."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    contents = {f"{name}.gz": gzip.compress(encode(array)) for name, array in ((IMAGES, X3), (LABELS, Y3))}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    served = Served(folder)
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.delenv(data.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(data, "MIRRORS", [served.url])
    monkeypatch.setattr(data, "MD5", {name: hashlib.md5(content).hexdigest() for name, content in contents.items()})
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture
def unreachable() -> str:
    """The address of a server that is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_mnist_is_downloaded_once(tmp_path, mirror):
    first = data.load("mnist")
    assert first.name == "mnist" and np.array_equal(first.pixels, X3.reshape(3, 784))
    assert mirror.asked == [f"/{IMAGES}.gz", f"/{LABELS}.gz"]
    assert cached(tmp_path) == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    assert np.array_equal(data.load("mnist").labels, first.labels)
    assert len(mirror.asked) == 2


def test_damaged_cache_is_fetched_again(tmp_path, mirror):
    data.load("mnist")
    (tmp_path / "cache" / "backproof" / f"{IMAGES}.gz").write_bytes(b"damaged")
    assert np.array_equal(data.load("mnist").pixels, X3.reshape(3, 784))
    assert mirror.asked[2:] == [f"/{IMAGES}.gz"]


def test_second_mirror_when_the_first_is_down(mirror, unreachable, monkeypatch):
    monkeypatch.setattr(data, "MIRRORS", [unreachable, mirror.url])
    assert data.load("mnist").samples == 3
    assert len(mirror.asked) == 2


def test_wrong_hash_leaves_nothing_on_disk(tmp_path, mirror, monkeypatch):
    monkeypatch.setitem(data.MD5, f"{IMAGES}.gz", "0" * 32)
    message = refusal(lambda: data.load("mnist"))
    assert "wrong MD5" in message and data.FOLDER_VARIABLE in message and "--data DIR" in message
    assert cached(tmp_path) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(mirror, capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    data.load("mnist")
    assert ("B/s]" in capsys.readouterr().err) == terminal


@pytest.mark.parametrize("there", [0, 1])
def test_an_interrupted_download_leaves_nothing_of_its_file(tmp_path, mirror, monkeypatch, there):
    whole, begun = requests.Response.iter_content, []

    def interrupted(response, chunk_size):
        begun.append(response.url)
        for chunk in whole(response, 64):
            yield chunk
            if len(begun) > there:
                assert len(cached(tmp_path)) == there + 1  # half of a file, under another name
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, "iter_content", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load("mnist")
    assert cached(tmp_path) == [f"{IMAGES}.gz"][:there]
    assert data.load("mnist").samples == 3


def test_no_network(tmp_path, mirror, unreachable, monkeypatch):
    monkeypatch.setattr(data, "MIRRORS", [unreachable, unreachable])
    message = refusal(lambda: data.load("mnist"))
    assert message.count("ConnectionError") == 2 and data.FOLDER_VARIABLE in message and "--data DIR" in message
    assert cached(tmp_path) == []


def test_known_hashes_and_mirrors_cover_every_file():
    assert {f"{name}.gz" for names in data.FILES.values() for name in names} == set(data.MD5)
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in data.MIRRORS)
