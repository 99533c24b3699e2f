"""Which statements of a source file bind or change something, by line, and the values that their targets have."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.For)
MISSING = object()
"""What a target has that cannot be read without running code."""


@dataclass(frozen=True)
class Target:
    """One expression that a statement binds or changes in place, and its source text."""

    node: ast.expr
    label: str
    in_place: bool = False
    picked: bool = False
    """Bound to what was there before (an entry, a slice, the turn of a loop), and not to what the statement makes."""


@dataclass(frozen=True)
class Statement:
    """Where a statement begins, and what it binds or changes: nothing for most."""

    line: int
    targets: tuple[Target, ...] = ()
    adds: bool = False
    """An augmented assignment."""


def statements(path: str) -> dict[int, Statement]:
    """Line -> the innermost statement that stands on it.

    A statement over several lines is one; of a compound statement only the header counts.

    Raises:
        OSError, SyntaxError, UnicodeDecodeError: the file cannot be read as Python.
    """
    with tokenize.open(path) as file:
        tree = ast.parse(file.read(), path)
    found: dict[int, Statement] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            targets = tuple(_targets(node))
            statement = Statement(node.lineno, targets, isinstance(node, ast.AugAssign))
            for line in range(node.lineno, _last_line(node) + 1):
                other = found.get(line)
                if other is not None and other.line == line == node.lineno:  # several on one line: one
                    statement = Statement(line, other.targets + targets, other.adds or statement.adds)
                if other is None or node.lineno >= other.line:
                    found[line] = statement
    return found


def _last_line(node: ast.stmt) -> int:
    body = getattr(node, "body", None)
    return max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno


def _targets(node: ast.stmt) -> Iterator[Target]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _bound(target, isinstance(node.value, ast.Name | ast.Attribute | ast.Subscript))
    elif isinstance(node, ast.AnnAssign | ast.For):
        yield from _bound(node.target, isinstance(node, ast.For))
    elif isinstance(node, ast.AugAssign):
        yield from _changed(node.target)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _called(node.value)
    if isinstance(node, SIMPLE):
        for inner in ast.walk(node.iter if isinstance(node, ast.For) else node):
            if isinstance(inner, ast.NamedExpr):
                yield from _bound(inner.target)


def _bound(target: ast.expr, picked: bool = False) -> Iterator[Target]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _bound(element, picked)
    elif isinstance(target, ast.Starred):
        yield from _bound(target.value, picked)
    elif isinstance(target, ast.Subscript):
        yield from _changed(target)
    else:
        yield Target(target, ast.unparse(target), picked=picked)


def _changed(target: ast.expr) -> Iterator[Target]:
    yield Target(target, ast.unparse(target), in_place=True)
    if isinstance(target, ast.Subscript):
        yield from _changed(target.value)


def _called(call: ast.Call) -> Iterator[Target]:
    """What a call may have changed: the object of the method, and the arguments."""
    if isinstance(call.func, ast.Attribute):
        yield from _changed(call.func.value)
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        if isinstance(argument, ast.Name | ast.Attribute | ast.Subscript):
            yield Target(argument, ast.unparse(argument), in_place=True)


def value_of(node: ast.expr, frame: FrameType, names: Mapping[str, Any]) -> Any:
    """What an expression is worth now, or ``MISSING``: only what needs no call, no property and no array's element."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return names[name] if name in names else frame.f_globals.get(name, MISSING)
        case ast.Attribute(value=base, attr=name):
            return attributes(value_of(base, frame, names)).get(name, MISSING)
        case ast.Subscript(value=base, slice=index):
            return _item(value_of(base, frame, names), value_of(index, frame, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = value_of(operand, frame, names)
            return -number if type(number) is int else MISSING
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operation, right=right):
            first, second = value_of(left, frame, names), value_of(right, frame, names)
            if type(first) is int and type(second) is int:
                return first + second if isinstance(operation, ast.Add) else first - second
    return MISSING


def _item(base: Any, index: Any) -> Any:
    if type(base) is dict and isinstance(index, str | int):
        return base.get(index, MISSING)
    if type(base) in (list, tuple) and type(index) is int and -len(base) <= index < len(base):
        return base[index]
    return MISSING


def attributes(owner: Any) -> dict[str, Any]:
    """What an object holds itself: no property is called for it, and no class looked into."""
    try:
        held = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return {}
    return held if type(held) is dict else {}
