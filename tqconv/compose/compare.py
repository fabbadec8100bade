"""Comparisons of every element type."""

from __future__ import annotations

import numpy as np

from tqconv.compose import integers
from tqconv.compose.builder import Builder
from tqconv.compose.complex import FLOAT32
from tqconv.compose.integers import INT64, UINT64, bitcast
from tqconv.ir.graph import Tensor
from tqconv.ops.finite import HANDS_ON, LARGEST
from tqconv.ops.table import those

CLAMPED = those(lambda row: row.fuses_activation)
"""Of -inf these kernels make the least finite number, unless a delegate takes them: the range of
their fused activation ends there (LiteRT kernels/kernel_util.h, CalculateActivationRange)."""


def equal(b: Builder, x: Tensor, y: Tensor, *, negated: bool = False) -> Tensor:
    """Whether elements are equal (`negated`: differ); complex numbers by both parts."""
    if x.dtype.kind == "c":
        parts = b("EQUAL", bitcast(b, x, FLOAT32), bitcast(b, y, FLOAT32))
        same = b("REDUCE_ALL", parts, np.array([parts.rank - 1], np.int32))
        return b("LOGICAL_NOT", same) if negated else same
    if x.dtype == UINT64:
        x, y = bitcast(b, x, INT64), bitcast(b, y, INT64)
    for maximum, bound in ((x, y), (y, x)):
        if _is_maximum(maximum) and _is_negative_infinity(bound):
            return _has_only(b, maximum, bound, negated)
    return b("NOT_EQUAL" if negated else "EQUAL", x, y)


def _is_maximum(x: Tensor) -> bool:
    return x.producer is not None and x.producer.type == "REDUCE_MAX" and x.dtype == np.float32


def _is_negative_infinity(x: Tensor) -> bool:
    return x.data is not None and x.data.size == 1 and bool(np.isneginf(x.data).all())


def _has_only(b: Builder, maximum: Tensor, bound: Tensor, negated: bool) -> Tensor:
    """Whether all elements that a maximum is taken of are -inf.

    REDUCE_MAX itself starts at the least finite number: LiteRT kernels/reduce.cc.
    """
    assert maximum.producer is not None
    x, axes = maximum.producer.inputs
    assert x is not None
    keep = bool(maximum.producer.options.get("keep_dims"))
    if x.producer is not None and x.producer.type in CLAMPED:
        lowest = b("LESS_EQUAL", x, np.finfo(np.float32).min)
    else:
        lowest = b("EQUAL", x, bound)
    found = b("REDUCE_ALL", lowest, axes, keep_dims=keep)
    return b("LOGICAL_NOT", found) if negated else found


def order(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Compare the order of elements by GREATER, GREATER_EQUAL, LESS or LESS_EQUAL."""
    return b(type, integers.ordered(b, x), integers.ordered(b, y))


def is_nan(b: Builder, x: Tensor) -> Tensor:
    """Only NaN differs from itself."""
    return b("NOT_EQUAL", x, x)


def is_infinite(b: Builder, x: Tensor) -> Tensor:
    """|x| = inf."""
    return is_endless(b, b("ABS", x), 1)


def is_endless(b: Builder, x: Tensor, sign: int) -> Tensor:
    """Whether x = inf, or -inf, by sign."""
    if not _is_clamped(x):
        return b("EQUAL", x, np.float32(sign * np.inf))
    return b("GREATER_EQUAL" if sign > 0 else "LESS_EQUAL", x, np.float32(sign * LARGEST))


def is_finite(b: Builder, x: Tensor) -> Tensor:
    """|x| < inf, which NaN is not."""
    return b("LESS", b("ABS", x), np.float32(LARGEST if _is_clamped(x) else np.inf))


def _is_clamped(x: Tensor) -> bool:
    """Whether elements come from a kernel that may have made the largest number of infinity."""
    seen, frontier = {x}, [x]
    while frontier:
        op = frontier.pop().producer
        if op is not None and op.type in CLAMPED and op.outputs[0].dtype == np.float32:
            return True
        if op is not None and op.type in HANDS_ON:
            frontier += [t for t in op.inputs if t is not None and t not in seen]
            seen.update(frontier)
    return False
