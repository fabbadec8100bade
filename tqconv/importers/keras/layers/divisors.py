"""Operations of Keras 3 that run until numbers divide each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.control import loop, within
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.operations import operands
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Graph, Tensor


@handles("ops.Gcd", "ops.Lcm")
def common_divisor(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """The largest common divisor of whole numbers, or their smallest common multiple."""
    x, y = operands(b, xs, args)
    kind = x.dtype
    if kind.kind not in "iu":
        raise UnsupportedError(f"{b.layer.op.removeprefix('ops.')} of numbers that are not whole")
    x, y = (t if t.dtype == np.int64 else b.cast(t, np.int32) for t in (x, y))
    x, y = b("ADD", x, b("ZEROS_LIKE", y)), b("ADD", y, b("ZEROS_LIKE", x))
    x, y = b("ABS", x), b("ABS", y)
    divisor = _euclid(b, x, y)
    if b.layer.op == "ops.Lcm":  # of nothing but zeros it is 0
        parts = b("FLOOR_DIV", y, b("MAXIMUM", divisor, np.ones((), y.dtype)))
        divisor = b("MUL", x, parts)
    return b.cast(divisor, kind)


def _euclid(b: KerasBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Replace (x, y) by (y, x mod y) until all of y are 0; both are not negative."""
    zero, one = np.zeros((), x.dtype), np.ones((), x.dtype)

    def goes_on(graph: Graph, values: Sequence[Tensor]) -> list[Tensor]:
        inside = within(b, graph)
        axes = np.arange(values[1].rank, dtype=np.int32)
        differs = inside("NOT_EQUAL", values[1], zero)
        return [inside("REDUCE_ANY", differs, axes, keep_dims=False)]

    def step(graph: Graph, values: Sequence[Tensor]) -> list[Tensor]:
        inside = within(b, graph)
        more = inside("NOT_EQUAL", values[1], zero)
        rest = inside("FLOOR_MOD", values[0], inside("MAXIMUM", values[1], one))
        return [
            inside("SELECT_V2", more, values[1], values[0]),
            inside("MUL", rest, inside.cast(more, x.dtype)),
        ]

    def no_lists(*arguments: object) -> Tensor:
        raise AssertionError(arguments)

    return loop(b, [x, y], goes_on, step, no_lists)[0]
