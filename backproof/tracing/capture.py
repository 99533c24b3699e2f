"""Watches a script's own frames while they run, and turns what its statements bind into sightings."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from backproof.tracing.ledger import Ledger
from backproof.tracing.losses import ADDED
from backproof.tracing.names import Meaning
from backproof.tracing.sightings import Mention, is_array, is_number, leaves, meaning_of
from backproof.tracing.statements import MISSING, Statement, Target, attributes, statements, value_of

FOREIGN = ("site-packages", "dist-packages")
PASSES = frozenset(
    f"{way}{rest}" for way in ("forward", "backward", "back", "feed_forward", "feedforward")
    for rest in ("", "_pass", "_prop", "prop", "_propagation", "_propagate", "propagate")
) | {"__call__", "call", "activate"}  # fmt: skip
"""Methods in which an object without weights of its own is taken for an activation."""
PATIENCE = 1000
"""Times that a statement is looked at that never bound an array or a number of interest: the loops that read files."""
PLAIN = frozenset({int, str, bool, bytes, type(None)})
Trace = Callable[[FrameType, str, Any], Any]


class Enough(BaseException):
    """Ends the script: all steps that were asked for are there. No ``except Exception`` stops it."""


class Capture:
    """Traces the files of one folder and hands what they bind to a ledger.

    Only names that mean something cost more than a look at the line: their statements are known from the source.
    """

    def __init__(self, folder: Path, ledger: Ledger, given: Mapping[str, Meaning]) -> None:
        self.folder = os.path.join(os.path.realpath(folder), "")
        self.ledger = ledger
        self.given = given
        self.failure: Exception | None = None
        """What went wrong in the capture itself."""
        self.idle: dict[int, int] = {}
        """Statement -> how often it ran since it last bound anything of interest."""
        self._files: dict[str, dict[int, Statement]] = {}
        self._codes: dict[CodeType, tuple[str, dict[int, Statement]] | None] = {}
        self._frames = 0

    def start(self) -> None:
        """Trace from the next call on, in this thread and in those that are started."""
        threading.settrace(self.called)
        sys.settrace(self.called)

    def stop(self) -> None:
        """Trace no more."""
        threading.settrace(None)
        sys.settrace(None)

    def called(self, frame: FrameType, event: str, argument: Any) -> Trace | None:
        """The trace function of a new frame: None for all that is not the script's own."""
        code = frame.f_code
        if code not in self._codes:
            self._codes[code] = self._plan(code)
        plan = self._codes[code]
        if plan is None or self.ledger.done:
            return None
        self._frames += 1
        try:
            return Watch(self, frame, self._frames, *plan).event
        except Exception as error:
            self.failure, self.ledger.done = error, True
            raise Enough from error

    def mean(self, label: str) -> Meaning | None:
        """What a name means: as the user said, or as people use it."""
        return self.given.get(label) or self.given.get(label.removeprefix("self.")) or meaning_of(label)

    def is_given(self, label: str) -> bool:
        """Whether the user said what a name means."""
        return label in self.given or label.removeprefix("self.") in self.given

    def _plan(self, code: CodeType) -> tuple[str, dict[int, Statement]] | None:
        file = os.path.realpath(code.co_filename)
        if not file.startswith(self.folder) or any(part in file[len(self.folder) :] for part in FOREIGN):
            return None
        if file not in self._files:
            try:
                self._files[file] = statements(file)
            except (OSError, SyntaxError, UnicodeDecodeError):  # made while it ran, or gone: nothing to look up
                self._files[file] = {}
        known = self._files[file]
        lines = {line: known[line] for *_, line in code.co_lines() if line in known}
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        wanted = any(statement.targets for statement in lines.values()) or any(map(self.mean, arguments))
        inner = code.co_name.startswith("<") and code.co_name != "<module>"  # a comprehension, a lambda
        return (os.path.relpath(file, self.folder), lines) if wanted and not inner else None


class Watch:
    """One frame: the statement that runs in it now, and what was bound by the one before."""

    def __init__(self, capture: Capture, frame: FrameType, serial: int, file: str, lines: dict[int, Statement]) -> None:
        self.capture, self.serial, self.file, self.lines = capture, serial, file, lines
        self.running: Statement | None = None
        self.owner: Any = None
        self._arguments(frame)

    def event(self, frame: FrameType, event: str, argument: Any) -> Trace | None:
        """A line begins, the frame returns, or something was raised.

        Raises:
            Enough: no more is wanted, or the capture itself failed, which is no error of the script.
        """
        try:
            self._event(frame, event)
        except Exception as error:
            self.capture.failure, self.capture.ledger.done = error, True
        if self.capture.ledger.done:
            raise Enough
        return self.event

    def _event(self, frame: FrameType, event: str) -> None:
        if event == "line":
            statement = self.lines.get(frame.f_lineno)
            if statement is self.running:
                return
            finished, self.running = self.running, statement
            if finished is not None and finished.targets:
                self._finished(frame, finished)
        elif event == "exception":
            self.running = None
        elif event == "return" and self.running is not None and self.running.targets:
            self._finished(frame, self.running)

    def _arguments(self, frame: FrameType) -> None:
        code, names = frame.f_code, frame.f_locals
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if given and given[0] == "self":
            self.owner = names["self"]
        place = f"{self.file}:{code.co_firstlineno}"
        for name in given:
            value = names.get(name)
            if value is not self.owner:
                self._leaves(Target(_NOWHERE, name), value, place, frame, "argument")
        for name, value in attributes(self.owner).items():
            meaning = self.capture.mean(f"self.{name}")
            if meaning is not None and meaning.kind in ("W", "b", "learning_rate"):
                self._leaves(Target(_NOWHERE, f"self.{name}"), value, place, frame, "held", self.owner)

    def _finished(self, frame: FrameType, statement: Statement) -> None:
        idle, key = self.capture.idle, id(statement)
        if idle.get(key, 0) > PATIENCE:
            return
        names = frame.f_locals
        place = f"{self.file}:{statement.line}"
        found = False
        for target in statement.targets:
            value = value_of(target.node, frame, names)
            if value is not MISSING and (type(value) not in PLAIN or self._is_label(target.label, value)):
                how = ADDED if statement.adds and is_number(value) else "statement"
                found |= self._leaves(target, value, place, frame, how, _holder(target, frame, names))
        idle[key] = 0 if found else idle.get(key, 0) + 1

    def _is_label(self, name: str, value: Any) -> bool:
        """Whether a whole number is called what labels are called."""
        meaning = self.capture.mean(name) if type(value) is int else None
        # ``t`` and ``it`` count.
        return meaning is not None and meaning.kind == "Y" and not name.rpartition(".")[2].lower().endswith("t")

    def _leaves(self, target: Target, value: Any, place: str, frame: FrameType, how: str, holder: Any = None) -> bool:
        """Hand over what a value holds; whether there was anything."""
        anything = False
        for found in leaves(target.label, value, self.capture.mean):
            meaning = found.meaning
            if meaning is None and not is_array(found.value):
                continue
            anything = True
            if meaning is None and not (target.in_place or how == "statement"):
                continue
            scope = self._scope(frame, holder)
            family = "=" if self.capture.is_given(found.label) else found.family
            mention = Mention(
                meaning, found.label, place, scope, self.serial, family, how, target.in_place, target.picked
            )
            self.capture.ledger.see(mention, found.value)
        return anything

    def _scope(self, frame: FrameType, holder: Any) -> tuple[str, int]:
        if holder is not None and holder is not self.owner:
            return ("object", id(holder))
        if self.owner is not None and self._is_layer(frame):
            return ("object", id(self.owner))
        return ("frame", self.serial)

    def _is_layer(self, frame: FrameType) -> bool:
        """Whether the frame's object is one layer: it holds one weight without a number, or is an activation."""
        held = attributes(self.owner)
        weights = [
            name for name, value in held.items() if (m := self.capture.mean(name)) and m.kind == "W" and is_array(value)
        ]
        if weights:
            return all((m := self.capture.mean(name)) is not None and m.number is None for name in weights)
        lists = any(isinstance(value, list | tuple | dict) and len(value) > 1 for value in held.values())
        return not lists and frame.f_code.co_name in PASSES


def _holder(target: Target, frame: FrameType, names: Mapping[str, Any]) -> Any:
    node = target.node
    if hasattr(node, "attr") and hasattr(node, "value"):
        owner = value_of(node.value, frame, names)
        return owner if owner is not MISSING and attributes(owner) else None
    return None


_NOWHERE: Any = None
