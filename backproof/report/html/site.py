"""All pages of a report, one after the other, or all of them in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backproof.evidence import Json
from backproof.network import Network
from backproof.report.html import layer_page, overview, trajectory_page
from backproof.report.html.address import INDEX, TRAJECTORY, Address, Links, folder_names, layer_address
from backproof.report.html.environment import environment

Layers = dict[str, dict[int, Json]]


@dataclass(frozen=True)
class Page:
    """One page's text, between the header and the footer that all share."""

    address: Address
    title: str
    body: str


class Site:
    """The pages of one ``verify``.

    Args:
        summary, layers: what :func:`backproof.report.store.read` returns.
        single: whether links stay within one file.
    """

    def __init__(self, summary: Json, layers: Layers, single: bool) -> None:
        self._summary, self._layers, self._single = summary, layers, single
        self._networks = {
            name: Network.from_dict(facts["specification"]) for name, facts in summary["networks"].items()
        }
        self._folders = folder_names(list(self._networks))

    def files(self) -> Iterator[tuple[str, str]]:
        """Path -> text, of a folder or of one file.

        Raises:
            BackproofError: where Jinja2 or matplotlib is not installed.
            KeyError, TypeError, ValueError: where the evidence is not what ``verify`` writes.
        """
        if self._single:
            yield INDEX.path, self._whole(INDEX, "Backproof report", [page.body for page in self._pages()])
            return
        for page in self._pages():
            yield page.address.path, self._whole(page.address, page.title, [page.body])

    def _pages(self) -> Iterator[Page]:
        yield self._page(INDEX, "Backproof report", "index", overview.view(self._summary, self._networks))
        dtype = self._summary["settings"]["dtype"]
        for name, pages in self._layers.items():
            for number, layer in pages.items():
                view = layer_page.view(self._networks[name], self._summary["networks"][name], layer, dtype)
                address = layer_address(self._folders[name], number)
                yield self._page(address, f"{name}, layer {number}", "layer", view)
        yield self._page(TRAJECTORY, "Trajectories", "trajectory", trajectory_page.view(self._summary, self._folders))

    def _page(self, address: Address, title: str, template: str, view: dict[str, Any]) -> Page:
        text = environment().get_template(f"{template}.html.j2").render(**self._linking(address), **view)
        return Page(address, title, text)

    def _whole(self, address: Address, title: str, bodies: list[str]) -> str:
        shell = environment().get_template("shell.html.j2")
        return str(shell.render(**self._linking(address), title=title, bodies=bodies, single=self._single, alone=False))

    def _linking(self, address: Address) -> dict[str, Any]:
        links = Links(address, self._single)

        def layer(network: str, number: int, fragment: str = "") -> str:
            if number == 0:
                return links.to(TRAJECTORY, self._folders[network])
            if fragment not in self._summary["networks"][network]["layers"][str(number)]["equations"]:
                fragment = ""  # an array that is no quantity of the network has no section of its own
            return links.to(layer_address(self._folders[network], number), fragment)

        return {
            "to_index": lambda fragment="": links.to(INDEX, fragment),
            "to_trajectory": lambda network="": links.to(TRAJECTORY, self._folders.get(network, "")),
            "to_layer": layer,
            "identifier": links.identifier,
            "folder": self._folders.__getitem__,
        }
