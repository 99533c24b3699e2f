"""The command line: parses, dispatches, and turns every refusal into one line.

Exit codes: 0 all within rounding; 1 a bug or an unsettled suspect; 2 usage or unreadable input.
Commands are imported when they are called: ``--help`` imports neither NumPy nor a framework.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

from backproof import __version__
from backproof.errors import BackproofError

EPILOG = "exit codes: 0 all within rounding; 1 a bug or an unsettled suspect; 2 usage or unreadable input"
EPILOGS = {
    "gate": "exit codes: 0 nothing got worse; 1 something did; 2 usage, or a summary or baseline that is unusable",
    "diff": "exit codes: 0 whatever moved; 2 usage or unreadable input",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Whatever a command raises ends in one line and 2: an error of the program is no finding, and must not exit 1 as one
    does. With ``BACKPROOF_TRACEBACK=1`` in the environment an unforeseen error is raised again, for its traceback.
    """
    _prepare_streams()
    try:
        return _command(arguments)
    except BackproofError as error:
        _say(f"error: {error}")
    except KeyboardInterrupt:
        _say("interrupted; nothing of this run is kept as complete")
    except BrokenPipeError:
        pass  # the reader of standard output (head, say) is gone
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {where}{error.strerror or error}; choose another path, or change this one")
    except Exception as error:
        if os.environ.get("BACKPROOF_TRACEBACK") == "1":
            raise
        _say(f"error: internal error: {_unforeseen(error)}")
    finally:
        for stream in (sys.stdout, sys.stderr):
            _give_up_unwritable(stream)
    return 2


def _command(arguments: Sequence[str] | None) -> int:
    try:
        options = parser().parse_args(arguments)
    except SystemExit:
        sys.stdout.flush()
        raise
    from backproof import commands

    try:
        code = int(getattr(commands, options.command)(options))
    except SystemExit as end:
        raise BackproofError(f"code that was called ended the process (SystemExit: {end.code})") from end
    # Here and not at exit, where a reader that is gone could no longer be told from a failure.
    sys.stdout.flush()
    return code


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by the caller: what is printed has to go somewhere, and not into the next file that is opened.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), TextIOWrapper):
            # Tables hold × and ᵀ: an encoding without them must not end a run that has been judged.
            stream.reconfigure(errors="replace")


def _say(message: str) -> None:
    """One line on standard error, if anybody can read it: the exit code says the rest."""
    with suppress(OSError, ValueError):
        print(f"backproof: {message}", file=sys.stderr, flush=True)


def _unforeseen(error: Exception) -> str:
    """Type, first line of the message, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    message = "".join(f": {line}" for line in str(error).splitlines()[:1])
    return f"{type(error).__name__}{message}{where}"


def _give_up_unwritable(stream: TextIO) -> None:
    """Drop what a stream still holds if it cannot be written: Python would fail over it again at exit."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except ValueError:
        pass  # closed: it holds nothing


class Parser(argparse.ArgumentParser):
    """Refuses wrong usage in one line, as every other bad input is refused."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"backproof: error: {message}; see '{self.prog} --help'\n")


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    top = Parser(prog="backproof", description="Is it rounding, or is it a bug?", epilog=EPILOG, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"backproof {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        epilog = EPILOGS.get(name, EPILOG)
        return commands.add_parser(name, help=help, description=help, epilog=epilog, allow_abbrev=False)

    add("networks", "list the configured networks and implementations")

    verify = add("verify", "train networks in every implementation, judge every step, write a report for each layer")
    verify.add_argument("network", nargs="*", metavar="NETWORK", help="a network or a family (binary); default: all")
    _settings(verify)
    verify.add_argument(
        "--implementation",
        nargs="+",
        metavar="NAME",
        default=[],
        help="implementations or variants; 'all' for all of both; default: every configured implementation",
    )
    verify.add_argument("--output", type=_path, metavar="DIR", help="default: reports/ beside pyproject.toml")
    verify.add_argument(
        "--recordings",
        nargs="+",
        type=_path,
        metavar="DIR",
        help="judge what 'record' left in DIR, instead of training",
    )
    verify.add_argument("--keep-recordings", action="store_true", help="also write every step to DIR/recordings")

    record = add("record", "train one network in one implementation and write every step")
    record.add_argument("network", nargs="+", metavar="NETWORK", help="a network or a family (binary)")
    record.add_argument("--implementation", required=True, metavar="NAME", help="the one that trains, or its variant")
    _settings(record)
    record.add_argument(
        "--output", type=_path, required=True, metavar="DIR", help="several networks get a folder each in it"
    )
    record.add_argument("--overwrite", action="store_true", help="replace a recording that DIR holds already")

    check = add("check", "judge recordings by their own equations")
    check.add_argument("recording", nargs="+", type=_path, metavar="RECORDING", help="a folder that 'record' wrote")
    check.add_argument(
        "--partial", action="store_true", help="accept an interrupted recording, up to its last whole step"
    )

    check.add_argument(
        "--check", choices=("dense", "sketch"), default="dense", help="sketch: a fraction of the cost; default: dense"
    )

    compare = add("compare", "judge two recordings of the same training, and how far apart they are")
    compare.add_argument("first", type=_path, metavar="A")
    compare.add_argument("second", type=_path, metavar="B")

    _trace(add("trace", "run a training script unchanged, pick up the arrays of its steps, and judge them"))

    _train(add("train", "train in several implementations at once, certify every step, and let go of it"))

    report = add("report", "render the reports from the evidence that 'verify' left, running nothing")
    report.add_argument("--output", type=_path, metavar="DIR", help="default: reports/")
    report.add_argument("--html", action="store_true", help="as pages for a browser, in DIR/html")
    report.add_argument("--single-file", action="store_true", help="with --html: one file, DIR/report.html")

    diff = add("diff", "two runs side by side: what moved, by how many ULPs, where first; nothing is judged")
    diff.add_argument("old", type=_path, metavar="OLD", help="a recording, or the folder or summary.json of a verify")
    diff.add_argument("new", type=_path, metavar="NEW", help="another of the same kind")

    _gate(add("gate", "hold what 'verify' left against a baseline, and fail where it got worse"))
    return top


def _path(text: str) -> Path:
    """A path that somebody typed; ``Path("")`` would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no path; '.' is the current folder")
    return Path(text)


def _gate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "summary", nargs="?", type=_path, metavar="SUMMARY", help="default: reports/summary.json beside pyproject.toml"
    )
    command.add_argument("--baseline", type=_path, metavar="FILE", help="default: reports/baseline.json, there too")
    command.add_argument("--update-baseline", action="store_true", help="accept SUMMARY, and show what that accepts")
    command.add_argument("--reason", metavar="TEXT", help="why; kept in the baseline, with the date")
    command.add_argument("--junit", type=_path, metavar="FILE", help="write JUnit XML, a case for each layer of a run")
    command.add_argument("--json", type=_path, metavar="FILE", help="write what changed as JSON")
    command.add_argument("--markdown", type=_path, metavar="FILE", help="write what changed as Markdown, under 1 MiB")
    command.add_argument(
        "--github", action="store_true", help="print annotations, and add the Markdown to $GITHUB_STEP_SUMMARY"
    )


def _train(command: argparse.ArgumentParser) -> None:
    command.add_argument("network", nargs="+", metavar="NETWORK", help="a network or a family (binary)")
    _settings(command)
    command.set_defaults(steps=None)
    command.add_argument("--epochs", type=int, metavar="N", help="instead of --steps; default: 1")
    command.add_argument(
        "--implementation", nargs="+", metavar="NAME", default=[], help="default: every configured implementation"
    )
    command.add_argument(
        "--check",
        choices=("dense", "sketch", "none"),
        default="sketch",
        help="of each step's equations; default: sketch",
    )
    command.add_argument("--check-every", type=int, default=1, metavar="N", help="check every Nth step; default: 1")
    command.add_argument("--no-replicas", action="store_true", help="neither float64 run nor replicas: equations only")
    command.add_argument("--output", type=_path, metavar="DIR", help="write the trajectory there; default: nowhere")
    command.add_argument("--recordings", type=_path, metavar="DIR", help="write every step there; default: nowhere")
    command.add_argument("--overwrite", action="store_true", help="replace the recordings that DIR holds already")


def _trace(command: argparse.ArgumentParser) -> None:
    command.add_argument("--steps", type=int, default=3, metavar="N", help="stop after N complete steps; default: 3")
    command.add_argument("--names", metavar="THEIRS=KEY,...", help="what names mean: self.h=A1,grads=dW1")
    command.add_argument("--mapping", type=_path, metavar="FILE", help="the same pairs in a TOML or JSON file")
    command.add_argument("--activations", metavar="NAME,...", help="relu,softmax; default: inferred")
    command.add_argument("--loss", metavar="NAME", help="cross_entropy, ...; default: inferred")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="default: as found in the script")
    command.add_argument("--weight-decay", type=float, metavar="LAMBDA", help="of λ/2 Σ W²; default: inferred")
    command.add_argument("--show-output", action="store_true", help="let the script print; default: no")
    command.add_argument("--hide-output", dest="show_output", action="store_false", help="the default")
    command.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="for the script; default: 60")
    command.add_argument("--json", type=_path, metavar="FILE", help="write what was found and the results to FILE")
    command.add_argument("script", type=_path, metavar="SCRIPT", help="the Python script; it is run")
    command.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="the script's own arguments")


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", default="digits", metavar="digits|mnist|DIR", help="default: digits")
    command.add_argument("--samples", type=int, metavar="N", help="default: every sample of the data set")
    command.add_argument("--steps", type=int, default=10, metavar="N", help="default: 10")
    command.add_argument("--batch-size", type=int, metavar="N", help="default: all samples in one batch")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="default: float32")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and batches; default: 0")
    command.add_argument("--threads", type=int, metavar="N", help="of each implementation; default: its own")
    command.add_argument("--optimizer", metavar="NAME", help="sgd, momentum, adam, ...; default: each network's own")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="default: each network's own")
