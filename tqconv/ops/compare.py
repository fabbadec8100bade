"""Comparisons, logic, and choice by a condition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ops.rules import (
    BOOL,
    INT64,
    broadcast_as,
    broadcast_shapes,
    has_shape,
    same,
    same_shape,
    values,
    with_numpy,
)
from tqconv.ops.spec import ELEMENTWISE, OPAQUE, QuantRule, Takes, Typed, VersionRule, by_type, op

# Kernels that rescale both sides shift integers by 8 bits and multiply them with the step, as with
# a number below 1: with other steps they end the process (1 exactly) or compare other numbers
# (kernels/comparisons.cc; measured). The other int16 kernels compare the stored integers.
_BYTES = frozenset({"INT8", "UINT8"})
_COMPARED = QuantRule(same=True, same_except=_BYTES, shifted=_BYTES)
_COMPARED_EQUAL = replace(_COMPARED, shifted=_BYTES | {"INT16"})
# Element types here and below: measured with LiteRT 2.3.0. Without a scale the 8-bit kernels divide
# by zero, and NOT_EQUAL of int16 is wrong.
_ORDERED = frozenset({"float32", "int16", "int32", "int64"})
_EQUATED = frozenset({"float32", "int32", "int64", "bool"})


def _equal_version(op: Op) -> int:
    if op.input(0).dtype == np.int16 and op.input(0).quant is not None:
        return 5
    return by_type(int8=2, object=3, int16=4)(op)


_COMPARISONS: dict[str, tuple[Any, VersionRule, frozenset[str]]] = {
    "EQUAL": (np.equal, _equal_version, _EQUATED | {"int16"}),
    "NOT_EQUAL": (np.not_equal, by_type(int8=2, object=3, int16=4), _EQUATED),
    "LESS": (np.less, by_type(int8=2, int16=3), _ORDERED),
    "LESS_EQUAL": (np.less_equal, by_type(int8=2), _ORDERED),
    "GREATER": (np.greater, by_type(int8=2), _ORDERED),
    "GREATER_EQUAL": (np.greater_equal, by_type(int8=2, int16=3), _ORDERED),
}
for name, (function, version, types) in _COMPARISONS.items():
    op(
        name,
        "a b -> y",
        shape=broadcast_as(BOOL),
        fold=with_numpy(function),
        layout=ELEMENTWISE,
        quant=_COMPARED_EQUAL if "EQUAL" in (name, name.removeprefix("NOT_")) else _COMPARED,
        version=version,
        category="compare",
        types=types,
        strings=name in ("EQUAL", "NOT_EQUAL"),
    )

_LOGIC = frozenset({"bool"})
for name, function, idle in (
    ("LOGICAL_AND", np.logical_and, 1.0),
    ("LOGICAL_OR", np.logical_or, 0.0),
):
    op(
        name,
        "a b -> y",
        shape=broadcast_as(BOOL),
        fold=with_numpy(function),
        layout=ELEMENTWISE,
        category="compare",
        types=_LOGIC,
        neutral=idle,
        commutes=True,
    )

op(
    "LOGICAL_NOT",
    "x -> y",
    shape=same,
    fold=with_numpy(np.logical_not),
    layout=ELEMENTWISE,
    category="compare",
    types=_LOGIC,
)


_CHOICE = {"condition": Takes(_LOGIC)}


def _selected(op: Op) -> list[Typed]:
    """`condition` has the shape of the values, or no dimension, or only the first one."""
    condition, x, y = op.input(0), op.input(1), op.input(2)
    shape = same_shape((x.shape, y.shape))
    if condition.rank == len(shape):
        shape = same_shape((condition.shape, shape))
    elif condition.rank > 1:
        raise UnsupportedError(f"a condition of rank {condition.rank} for values of rank {x.rank}")
    elif condition.rank == 1:
        has_shape(condition, shape[:1])
    return [(shape, x.dtype)]


def _select(op: Op) -> NDArray[Any]:
    condition, x, y = (values(op, i) for i in range(3))
    if condition.ndim == 1:
        condition = condition.reshape(-1, *[1] * (x.ndim - 1))
    return np.where(condition, x, y)


def _select_version(op: Op) -> int:
    if op.input(1).dtype == np.uint32:
        return 4
    if any(t is not None and t.rank == 5 for t in op.inputs):
        return 3
    return 1


op(
    "SELECT",
    "condition x y -> z",
    shape=_selected,
    fold=_select,
    layout=OPAQUE,
    quant=QuantRule(same=True),
    version=_select_version,
    copies="filled",
    category="compare",
    takes=_CHOICE,
)


def _selected_by_broadcast(op: Op) -> list[Typed]:
    return [(broadcast_shapes(op.input(i).shape for i in range(3)), op.input(1).dtype)]


op(
    "SELECT_V2",
    "condition x y -> z",
    shape=_selected_by_broadcast,
    fold=with_numpy(np.where),
    layout=ELEMENTWISE,
    quant=QuantRule(same=True),
    version=by_type(uint32=2, operand=1),
    copies="filled",
    category="compare",
    takes=_CHOICE,
)


def _coordinates(op: Op) -> list[Typed]:
    return [((None, op.input(0).rank), INT64)]


op(
    "WHERE",
    "condition -> y",
    shape=_coordinates,
    fold=with_numpy(np.argwhere),
    version=by_type(2, bool=1),
    late_memory=True,
    category="compare",
    types=frozenset({"float32", "int8", "int32", "int64", "uint8", "uint32", "bool"}),
)
