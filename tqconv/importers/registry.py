"""Handlers of source operators: how they are declared, bound to a node, and called.

A handler is a function `handler(b, x, w, *, strides, padding="VALID")`. `b` is a `Builder` bound
to the node; positional parameters are the node's inputs (a default of None: may be absent; `*xs`:
any number); keyword-only parameters are its attributes, with the source framework's defaults. An
attribute that the signature does not name is an error, so nothing is ever ignored by oversight.

`@handles(Add="ADD", Sub="SUB")` tells the handler which of its operators the node is: the value
comes behind the builder, `handler(b, type, x, y)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import update_wrapper
from importlib import import_module
from typing import Any

from tqconv.compose.builder import Builder
from tqconv.errors import FormatError, UnsupportedError, counted, suggestion
from tqconv.importers.annotations import misfit
from tqconv.ir.graph import Tensor
from tqconv.ops.table import spec
from tqconv.records import dataclass

Handler = Callable[..., Any]
SHOWN_VALUE = 40
"""Characters of the longest value that a message states."""


class Bound:
    """A handler of several operators with what it is told about one of them."""

    def __init__(self, handler: Handler, argument: Any) -> None:
        self.handler = handler
        self.argument = argument
        update_wrapper(self, handler)

    def __call__(self, b: Builder, *operands: Any, **attributes: Any) -> Any:
        """Call the handler."""
        return self.handler(b, self.argument, *operands, **attributes)


@dataclass(frozen=True)
class Signature:
    """What a handler accepts."""

    required: int
    most: int | None
    attributes: Mapping[str, str]
    """Name -> the text of its type."""
    required_attributes: frozenset[str]
    takes_all_attributes: bool
    present: tuple[str, ...]
    """Names of the inputs in order, "" for those that may be None; more are as the last one."""

    @staticmethod
    def of(handler: Handler) -> Signature:
        """Read the signature of a handler; its first parameter is the builder."""
        told = 1 if isinstance(handler, Bound) else 0
        parameters = list(inspect.signature(handler).parameters.values())[1 + told :]
        positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        return Signature(
            required=sum(p.default is p.empty for p in positional),
            most=None if variadic else len(positional),
            attributes={p.name: str(p.annotation) for p in named},
            required_attributes=frozenset(p.name for p in named if p.default is p.empty),
            takes_all_attributes=any(p.kind is p.VAR_KEYWORD for p in parameters),
            present=tuple(
                "" if "None" in str(p.annotation) else p.name
                for p in parameters
                if p.kind in (p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
            ),
        )

    def missing(self, operands: Sequence[object]) -> str | None:
        """Return the name of an input that is nothing and may not be, or None."""
        for index, operand in enumerate(operands):
            name = self.present[min(index, len(self.present) - 1)]
            if operand is None and name:
                return name
        return None


@dataclass
class Registry:
    """The handlers of one source framework, by operator and first opset version."""

    framework: str
    is_bookkeeping: Callable[[str, Any], bool]
    pass_on: frozenset[str] = frozenset()
    """Operators that do not look at what they pass on."""
    package: str = ""
    """Modules whose handlers are registered when they are asked for: `MODULES` in this package, and
    `COMMON`, which says where common operators are."""
    handlers: dict[str, list[tuple[int, Handler]]] = field(default_factory=dict)
    _waiting: set[str] | None = None
    _signatures: dict[Handler, Signature] = field(default_factory=dict)

    def handles(self, *names: str, since: int = 0, **told: Any) -> Callable[[Handler], Handler]:
        """Register a function for these operators, from opset `since` on.

        An operator with a value (`Add="ADD"`) hands it to the function behind the builder.
        """

        def register(handler: Handler) -> Handler:
            for name in names:
                self._add(name, since, handler)
            for name, argument in told.items():
                self._add(name, since, Bound(handler, argument))
            return handler

        return register

    def _add(self, name: str, since: int, handler: Handler) -> None:
        versions = self.handlers.setdefault(name, [])
        if any(first == since for first, _ in versions):
            raise ValueError(f"{name} has two handlers since {since}")
        versions.append((since, handler))
        versions.sort(key=lambda version: version[0])

    def direct(self, **rows: str) -> None:
        """Register operators that become one operator with the same operands and no attributes."""
        for name, type in rows.items():
            self.handles(name)(_direct_handler(type))

    def composed(self, **functions: Handler) -> None:
        """Register operators that become what a function composes of the operands alone."""
        for name, function in functions.items():
            self.handles(name)(function)

    def find(self, name: str, opset: int = 0) -> Handler | None:
        """Return the newest handler that is not above `opset`, or None."""
        if name not in self.handlers and self.package and self._waiting != set():
            self._load(name)
        for since, handler in reversed(self.handlers.get(name, ())):
            if since <= opset or since == 0:
                return handler
        return None

    def all(self) -> Mapping[str, list[tuple[int, Handler]]]:
        """Return all handlers, of modules that were not needed yet, too."""
        if self.package:
            self._load("")
        return self.handlers

    def _load(self, name: str) -> None:
        """Import the module in which an operator's handler is, or all of them."""
        package = import_module(self.package)
        if self._waiting is None:
            self._waiting = set(package.MODULES)
        homes = [home for home, names in package.COMMON.items() if name in names.split()]
        for home in homes or sorted(self._waiting):
            import_module(f"{self.package}.{home}")
            self._waiting.discard(home)

    def call(
        self,
        handler: Handler,
        b: Builder,
        inputs: Iterable[Tensor | None],
        attributes: Mapping[str, Any],
    ) -> tuple[Tensor, ...]:
        """Bind inputs and attributes to a handler and return the tensors it makes.

        Raises UnsupportedError for an attribute that the handler does not know, FormatError for one
        of another type than the signature's.
        """
        signature = self.signature(handler)
        operands = list(inputs)
        self._check_count(signature, len(operands), b)
        missing = signature.missing(operands)
        if missing is not None:
            raise UnsupportedError(f"the input `{missing}` of {b.source.op_type} is missing")
        named = self._attributes(signature, attributes, b)
        result = handler(b, *operands, **named)
        if result is None:
            return ()
        return (result,) if isinstance(result, Tensor) else tuple(result)

    def signature(self, handler: Handler) -> Signature:
        """Return what a handler accepts."""
        if handler not in self._signatures:
            self._signatures[handler] = Signature.of(handler)
        return self._signatures[handler]

    def _check_count(self, signature: Signature, count: int, b: Builder) -> None:
        if count < signature.required or (signature.most is not None and count > signature.most):
            raise UnsupportedError(
                f"{b.source.op_type} has {counted(count, 'input')}, expected "
                + (
                    f"{signature.required}"
                    if signature.most == signature.required
                    else f"{signature.required} or more"
                )
            )

    def _attributes(
        self, signature: Signature, attributes: Mapping[str, Any], b: Builder
    ) -> dict[str, Any]:
        named = {}
        for name, value in attributes.items():
            if name in signature.attributes:
                problem = misfit(signature.attributes[name], value)
                if problem is not None:
                    raise FormatError(f"the attribute `{name}` {problem}")
                named[name] = value
            elif signature.takes_all_attributes:
                named[name] = value
            elif not self.is_bookkeeping(name, value):
                raise UnsupportedError(
                    f"{b.source.op_type} has an attribute `{name}`{_stated(value)} "
                    f"that tqconv does not know{suggestion(name, signature.attributes)}"
                )
        missing = signature.required_attributes - named.keys()
        if missing:
            raise UnsupportedError(f"{b.source.op_type} lacks the attribute `{min(missing)}`")
        return named


def _stated(value: Any) -> str:
    """Return ` = value` where that is short enough to be read in a message."""
    said = repr(value) if isinstance(value, bool | int | float | str | list | Mapping) else ""
    return f" = {said}" if 0 < len(said) <= SHOWN_VALUE else ""


def _direct_handler(type: str) -> Handler:
    def handler(b: Builder, *operands: Tensor) -> Any:
        row = spec(type).operands
        most = len(operands) if row.variadic else len(row.names)
        if not row.required <= len(operands) <= most:
            raise FormatError(f"{b.source.op_type} has {counted(len(operands), 'input')}")
        return b(type, *operands)

    return handler
