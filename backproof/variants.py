"""Variants: an implementation with other means, or in another format, as one line of ``[tool.backproof.variants]``.

``of`` names the implementation and ``dtype`` the format that the variant is trained and judged in, whatever the others
are. Every other key is handed to the module's own ``variant(**options)``, which returns what has the functions of an
implementation.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from backproof.errors import BackproofError
from backproof.network import Network
from backproof.runs import asking
from backproof.training import Implementation, Parameters, Step, Training

FUNCTIONS = ("record", "train", "versions", "threads")
DTYPES = ("float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Variant:
    """One line of ``[tool.backproof.variants]``.

    Attributes:
        of: the implementation that it is a variant of.
        dtype: its own format; None for that of the run.
        options: what the module's ``variant`` is called with.
    """

    of: str
    dtype: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, where: str, table: object, implementations: Collection[str]) -> Variant:
        """From a table of the configuration.

        Raises:
            BackproofError: for a table that names no implementation, a format that there is not, or nothing else.
        """
        if not isinstance(table, dict):
            raise BackproofError(f'{where} must be a table like {{ of = "torch", dtype = "float64" }}, not {table!r}')
        options = dict(table)
        of, dtype = options.pop("of", None), options.pop("dtype", None)
        if of not in implementations:
            known = ", ".join(implementations) or "none"
            raise BackproofError(f"{where}: of = {of!r} is no configured implementation; known are: {known}")
        if dtype is not None and dtype not in DTYPES:
            raise BackproofError(f"{where}: unknown dtype {dtype!r}; choose {', '.join(DTYPES)}")
        if dtype is None and not options:
            raise BackproofError(f"{where} says nothing but of = {of!r}; give it a dtype or an option of {of!r}")
        return cls(of, dtype, options)

    def made(self, name: str, module: Implementation) -> Implementation:
        """The variant called ``name`` of an imported implementation.

        Raises:
            BackproofError: when the module has no variants, does not know an option or a value, or makes something
                that lacks a function.
        """
        made = self._with_options(f"implementation {name!r}", module) if self.options else module
        return made if self.dtype is None else cast(Implementation, OfFormat(name, made, self.dtype))

    def _with_options(self, who: str, module: Implementation) -> Implementation:
        factory = getattr(module, "variant", None)
        if not callable(factory):
            raise BackproofError(
                f"{who}: the module of {self.of!r} has no function variant(**options), and takes no options "
                f"({', '.join(self.options)})"
            )
        self._check_names(who, factory)
        try:
            with asking(who, "when it was made"):
                made = factory(**self.options)
        except BackproofError as error:
            raise error if who in str(error) else BackproofError(f"{who}: {error}") from error
        if missing := [function for function in FUNCTIONS if not callable(getattr(made, function, None))]:
            raise BackproofError(f"{who}: what variant(...) of {self.of!r} returned lacks {', '.join(missing)}")
        return cast(Implementation, made)

    def _check_names(self, who: str, factory: Callable[..., Any]) -> None:
        with asking(who, "when it was asked for its options"):
            parameters = inspect.signature(factory).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return
        known = ["dtype", *(parameter.name for parameter in parameters)]
        for option in self.options:
            if option not in known:
                close = difflib.get_close_matches(option, known, n=1)
                suggestion = f" did you mean {close[0]!r}?" if close else ""
                raise BackproofError(f"{who}: unknown option {option!r};{suggestion} known are: {', '.join(known)}")


class OfFormat:
    """An implementation that is only ever given trainings in its own format; else its runs would bear a false name.

    Args:
        name: of the variant.
        module: what computes.
        dtype: the format.
    """

    def __init__(self, name: str, module: Implementation, dtype: str) -> None:
        self._name, self._module, self.dtype = name, module, dtype

    def __getattr__(self, function: str) -> Any:
        return getattr(self._module, function)

    def record(self, training: Training) -> Iterator[Step]:
        """The module's own, of a training in the variant's format."""
        self._check(training)
        yield from self._module.record(training)

    def train(self, training: Training) -> Parameters:
        """The module's own, of a training in the variant's format."""
        self._check(training)
        return self._module.train(training)

    def _check(self, training: Training) -> None:
        if training.dtype.name != self.dtype:
            raise BackproofError(
                f"implementation {self._name!r} trains in {self.dtype} only, and was given {training.dtype}"
            )


def one_of(option: str, value: Any, choices: Collection[Any]) -> Any:
    """The value, if it is one of the choices; for a module's own ``variant``.

    Raises:
        BackproofError: that names the choices, when it is not.
    """
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise BackproofError(f"{option} = {value!r} is unknown; choose {', '.join(map(str, choices))}")
    return value


def by_format(modules: Mapping[str, Implementation], dtype: str) -> dict[str, dict[str, Implementation]]:
    """Format -> the implementations that are trained in it; ``dtype`` first, where there are such.

    Args:
        dtype: of those that have no format of their own.
    """
    groups: dict[str, dict[str, Implementation]] = {dtype: {}}
    for name, module in modules.items():
        groups.setdefault(module.dtype if isinstance(module, OfFormat) else dtype, {})[name] = module
    return {own: members for own, members in groups.items() if members}


def in_formats(
    network: Network, modules: Mapping[str, Implementation], dtype: str, taken: Container[str]
) -> Iterator[tuple[Network, str, Mapping[str, Implementation]]]:
    """The network, a format, and those that train it in that; in another than the run's it is ``NETWORK-FORMAT``.

    Args:
        dtype: the run's.
        taken: names of networks.

    Raises:
        BackproofError: where a network has that name.
    """
    for own_format, members in by_format(modules, dtype).items():
        own = network if own_format == dtype else replace(network, name=f"{network.name}-{own_format}")
        if own is not network and own.name in taken:
            raise BackproofError(
                f"{own.name!r} would be the page of {network.name!r} in {own_format}, and a network has that name; "
                "rename the network"
            )
        yield own, own_format, members
