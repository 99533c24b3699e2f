"""The index of the reports (``README.md``) and the table that ``verify`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from backproof.evidence import Json
from backproof.report.store import TITLE
from backproof.report.tables import markdown, number, percent, plain, text
from backproof.shown import shown

HEADERS = (
    "network", "by", "verdict", "equations", "tightest", "ratio", "ceiling", "used", "agreement", "apart", "replicas",
)  # fmt: skip

LONGEST = 4_000
"""Characters of the sentence that a terminal is given."""


def rows(summary: Json) -> Iterator[list[str]]:
    """One row for each network and implementation."""
    for network, facts in summary["networks"].items():
        for name, run in facts["implementations"].items():
            tightest, agreement = run["tightest"], run["agreement"]
            envelope = facts["float64"]["envelope"]
            yield [
                network,
                name,
                run["verdict"],
                f"{run['coverage']['checked']}/{run['coverage']['of']}",
                tightest["equation"] if tightest else "-",
                number(tightest["ratio"]) if tightest else "-",
                number(tightest["ceiling"]) if tightest else "-",
                percent(tightest["fraction"]) if tightest else "-",
                f"{percent(agreement['fraction'])} ({agreement['quantity']})" if agreement else "-",
                number(run["distances"][-1]) if run["distances"] else "-",
                number(envelope[-1]) if envelope else "-",
            ]


def sentence(summary: Json) -> str:
    """The verdict on everything, in one sentence."""
    covered, of = summary["coverage"]["checked"], summary["coverage"]["of"]
    runs = sum(len(facts["implementations"]) for facts in summary["networks"].values())
    what = f"{covered} of {of} equations of {runs} runs"
    wrong = [
        (n, i, r) for n, f in summary["networks"].items() for i, r in f["implementations"].items() if r["findings"]
    ]
    if not wrong:
        return f"All within rounding: {what} were checked."
    network, name, run = wrong[0]
    first = run["findings"][0]
    layer = f", layer {first['layer']}" if first["layer"] else ""
    return (
        f"{summary['verdict'].capitalize()}: {len(wrong)} of {runs} runs are not within rounding "
        f"({what} were checked). First: {network} by {name}, step {first['step']}{layer}, "
        f"{first['quantity']}: {first['message']}."
    )


def terminal(summary: Json) -> str:
    """What ``verify`` prints: the table, then the sentence."""
    visible = [[shown(cell) for cell in row] for row in rows(summary)]
    return f"{plain(visible, HEADERS)}\n\n{shown(sentence(summary), LONGEST)}"


ASKED = ("optimizer", "learning_rate")
"""Settings that are said only where they were asked for."""


def page(summary: Json) -> str:
    """``README.md``: the verdict, the table, how to read a line of it, settings and versions, links to the layers."""
    settings, where = summary["settings"], summary["environment"]
    samples = "every sample" if settings["samples"] is None else f"{settings['samples']} samples"
    batch = "in one batch" if settings["batch_size"] is None else f"in batches of {settings['batch_size']}"
    training = f"{settings['steps']} steps, {settings['dtype']}, seed {settings['seed']}"
    training += "".join(f", {key.replace('_', ' ')} {settings[key]}" for key in ASKED if key in settings)
    parts = [
        TITLE.strip(),
        f"**{text(sentence(summary))}**",
        f"Data: {text(settings['data'])}, {samples} {batch}, {training}.",
        markdown([list(map(text, row)) for row in rows(summary)], HEADERS),
        _reading(summary),
        "## Layers",
        markdown(list(_links(summary)), ["network", "architecture", "note", "layers"]),
        "## Made with",
        markdown(list(_versions(where)), ["what", "version", "device", "threads"]),
        "`summary.json` holds the same facts for programs. `backproof verify` makes all of this anew; "
        "`backproof report` renders it again from the evidence beside each page, with --html as pages with pictures.",
    ]
    return "\n\n".join(parts) + "\n"


def _reading(summary: Json) -> str:
    line = [text(cell) for cell in next(rows(summary))]
    kind = "sum" if line[2] == "rounding" else "equation"
    network, name, verdict, equations, sum_, ratio, ceiling, used, agreement, apart, replicas = line
    return (
        "## How to read a line\n\n"
        f"The first line says: **{network}** run by **{name}** is *{verdict}*. Of the equations of its steps, "
        f"{equations} were checked. The {kind} that came closest to its limit is `{sum_}`: its largest residual "
        f"anywhere is {ratio} units of rounding where no rounding can pass {ceiling}, and its tightest element used "
        f"{used} of its budget. Compared end to end with the float64 reference, the quantity in brackets used "
        f"{agreement.split(' (')[0]} of what the reference's own replicas allow. After the last step the parameters "
        f"are {apart} of the distance travelled apart from the float64 run; the replicas, which differ from each other "
        f"by the order of summation only, are {replicas} apart."
    )


def _links(summary: Json) -> Iterator[list[str]]:
    for network, facts in summary["networks"].items():
        specification = facts["specification"]
        numbers = range(1, len(specification["sizes"]))
        yield [
            text(network),
            "-".join(map(str, specification["sizes"])),
            text(specification["note"]),
            ", ".join(f"[{n}]({quote(network)}/layer-{n}.md)" for n in numbers),
        ]


def _versions(where: Json) -> Iterator[list[str]]:
    yield ["Python", text(f"{where['python']} on {where['machine']}"), "", ""]
    for name, made in where["implementations"].items():
        versions = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
        yield [text(name), text(versions), text(made["device"]), str(made["threads"])]
