"""The command line: parses, dispatches, and turns every refusal into one line.

Exit codes: 0 all within rounding; 1 a bug or an unsettled suspect; 2 usage or unreadable input.
Commands are imported when they are called: ``--help`` imports neither NumPy nor a framework.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from backproof import __version__
from backproof.errors import BackproofError

EPILOG = "exit codes: 0 all within rounding; 1 a bug or an unsettled suspect; 2 usage or unreadable input"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Tables hold × and ᵀ: an encoding without them must not end a run that has been judged.
            stream.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    try:
        from backproof import commands

        code = int(getattr(commands, options.command)(options))
        # Here and not at exit, where a reader that is gone could no longer be told from a failure.
        sys.stdout.flush()
        return code
    except BackproofError as error:
        print(f"backproof: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("backproof: interrupted; nothing of this run is kept as complete", file=sys.stderr)
        return 2
    except BrokenPipeError:
        _give_up_output()  # its reader (head, say) is gone
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"backproof: error: {where}{error.strerror or error}; choose another path, or change this one",
            file=sys.stderr,
        )
        _give_up_output()
        return 2


def _give_up_output() -> None:
    """Drop what standard output still holds if it cannot be written: Python would fail over it again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        return commands.add_parser(name, help=help, description=help, epilog=EPILOG, allow_abbrev=False)

    add("networks", "list the configured networks and implementations")

    verify = add("verify", "train networks in every implementation, judge every step, write a report for each layer")
    verify.add_argument("network", nargs="*", metavar="NETWORK", help="a network or a family (binary); default: all")
    _settings(verify)
    verify.add_argument(
        "--implementation", nargs="+", metavar="NAME", default=[], help="default: every configured implementation"
    )
    verify.add_argument("--output", type=Path, metavar="DIR", help="default: reports/ beside pyproject.toml")
    verify.add_argument("--keep-recordings", action="store_true", help="also write every step to DIR/recordings")

    record = add("record", "train one network in one implementation and write every step")
    record.add_argument("network", nargs="+", metavar="NETWORK", help="a network or a family (binary)")
    record.add_argument("--implementation", required=True, metavar="NAME", help="the implementation that trains")
    _settings(record)
    record.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="several networks get a folder each in it"
    )
    record.add_argument("--overwrite", action="store_true", help="replace a recording that DIR holds already")

    check = add("check", "judge recordings by their own equations")
    check.add_argument("recording", nargs="+", type=Path, metavar="RECORDING", help="a folder that 'record' wrote")
    check.add_argument(
        "--partial", action="store_true", help="accept an interrupted recording, up to its last whole step"
    )

    compare = add("compare", "judge two recordings of the same training, and how far apart they are")
    compare.add_argument("first", type=Path, metavar="A")
    compare.add_argument("second", type=Path, metavar="B")

    report = add("report", "render the reports from the evidence that 'verify' left, running nothing")
    report.add_argument("--output", type=Path, metavar="DIR", help="default: reports/")
    return top


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", default="digits", metavar="digits|mnist|DIR", help="default: digits")
    command.add_argument("--samples", type=int, metavar="N", help="default: every sample of the data set")
    command.add_argument("--steps", type=int, default=10, metavar="N", help="default: 10")
    command.add_argument("--batch-size", type=int, metavar="N", help="default: all samples in one batch")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="default: float32")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and batches; default: 0")
