"""Operands of quantized operators, of which each is two or three inputs of the node.

A handler says `x: Given` where ONNX has x, x_scale and x_zero_point, and `y: Wanted` where it has
y_scale and y_zero_point. What a handler takes is read from its signature, so `in_triples` writes
them out there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter
from typing import Any

from tqconv.errors import FormatError
from tqconv.importers.onnx.registry import ONNXBuilder
from tqconv.importers.onnx.stored import Params, decoded, encoded
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass


@dataclass(frozen=True)
class Given:
    """Integers that stand for reals. zero: None is 0."""

    integers: Tensor
    scale: Tensor
    zero: Tensor | None = None

    def reals(self, b: ONNXBuilder, axis: int = 1) -> Tensor:
        """Return the reals; `axis`: of a scale with one dimension."""
        return decoded(b, self.integers, Params(self.scale, self.zero, axis))


@dataclass(frozen=True)
class Wanted:
    """How a result is stored. zero: None is 0, in the type of an operand."""

    scale: Tensor
    zero: Tensor | None = None

    def stored(self, b: ONNXBuilder, y: Tensor, like: Given, axis: int = 1) -> Tensor:
        """Return the integers that stand for `y`."""
        dtype = like.integers.dtype if self.zero is None else self.zero.dtype
        return encoded(b, y, Params(self.scale, self.zero, axis), dtype)


RECORDS: dict[str, tuple[type[Given] | type[Wanted], tuple[str, ...]]] = {
    "Given": (Given, ("", "_scale", "_zero")),
    "Wanted": (Wanted, ("_scale", "_zero")),
}
"""Annotation -> the record, and what its inputs are called behind the parameter's name."""


def in_triples(handler: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a handler of records take the inputs as the node lists them."""
    builder, *others = inspect.signature(handler).parameters.values()
    positional = [p for p in others if p.kind is Parameter.POSITIONAL_OR_KEYWORD]

    @wraps(handler)
    def expanded(b: ONNXBuilder, *inputs: Tensor | None, **attributes: Any) -> Tensor:
        rest = iter(inputs)
        return handler(b, *(_operand(p, rest) for p in positional), **attributes)

    inputs = [written for p in positional for written in _written(p)]
    named = [p for p in others if p.kind is Parameter.KEYWORD_ONLY]
    signature = inspect.Signature([builder, *inputs, *named])
    expanded.__signature__ = signature  # type: ignore[attr-defined]
    return expanded


def _kind(parameter: Parameter) -> str | None:
    """Return the record that a parameter asks for, by its annotation, or None."""
    name = str(parameter.annotation).removesuffix(" | None")
    return name if name in RECORDS else None


def _written(parameter: Parameter) -> Iterator[Parameter]:
    """Yield the inputs that a parameter stands for. The last zero point may be left out."""
    kind = _kind(parameter)
    if kind is None:
        yield parameter
        return
    for ending in RECORDS[kind][1]:
        absent = kind == "Wanted" and ending == "_zero"
        default = None if absent else parameter.default
        yield Parameter(
            f"{parameter.name}{ending}", Parameter.POSITIONAL_OR_KEYWORD, default=default
        )


def _operand(parameter: Parameter, rest: Iterator[Tensor | None]) -> Any:
    """Take from the inputs what a parameter stands for."""
    kind = _kind(parameter)
    if kind is None:
        return next(rest, None)
    record, endings = RECORDS[kind]
    values = [next(rest, None) for _ in endings]
    if values[0] is None and parameter.default is None:
        return None
    needed = values[:-1]
    if any(value is None for value in needed):
        raise FormatError(f"the inputs of `{parameter.name}` are left out")
    return record(*values)  # type: ignore[arg-type]
