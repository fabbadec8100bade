"""Elementwise arithmetic with one or two operands, and running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ops import fineness, stops
from tqconv.ops.bounds import (
    before_inverse_root,
    before_log,
    difference_ends,
    product_ends,
    quotient_ends,
    root_ends,
    size_ends,
    square_ends,
    squared_difference_ends,
    squared_difference_floor,
    sum_ends,
    sum_floor,
)
from tqconv.ops.rules import (
    broadcast,
    same,
    same_shape,
    values,
    with_activation,
    with_numpy,
)
from tqconv.ops.spec import (
    ALL_TYPES,
    ELEMENTWISE,
    FoldRule,
    QuantRule,
    Typed,
    VersionRule,
    by_type,
    op,
)
from tqconv.ops.steps import beyond_float, unfit_for_sums

# The element types of each row are measured with LiteRT 2.3.0, with and without its delegate.
_REAL = frozenset({"float32"})
_NUMBERS = frozenset({"float32", "int32"})
_WIDE = frozenset({"float32", "int32", "int64"})
_BITS = frozenset({"int8", "int16", "int32", "uint8", "uint32"})


def _wide(op: Op) -> bool:
    """Whether a broadcast has more than the four dimensions of the first kernels."""
    a, b = op.input(0), op.input(1)
    return a.shape != b.shape and max(a.rank, b.rank) > 4


def _wider(version: int, narrow: VersionRule) -> VersionRule:
    """Return a version rule: broadcasts beyond four dimensions need `version`, except for int16."""

    def rule(op: Op) -> int:
        if _wide(op) and op.input(0).dtype != np.int16:
            return version
        return narrow(op)

    return rule


def _add_version(op: Op) -> int:
    dtype = op.input(0).dtype
    if dtype == np.int16:
        if op.input(0).quant is None:
            return 5
        return 1 if op.options.get("pot_scale_int16", True) else 3
    return by_type(int64=4, int8=2)(op)


def _sub_version(op: Op) -> int:
    dtype = op.input(0).dtype
    if dtype == np.int16:
        return 1 if op.options.get("pot_scale_int16", True) else 5
    if dtype == np.int64:
        return 4
    return 3 if _wide(op) else by_type(int8=2)(op)


def _mul_version(op: Op) -> int:
    dtype = op.input(0).dtype
    if dtype == np.int16:
        return 7 if op.input(0).quant is None else 4
    if dtype in (np.int8, np.uint8) and _mul_grows(op):
        return 3
    return by_type(uint32=7, complex64=6, int64=5, int8=2)(op)


def _mul_grows(op: Op) -> bool:
    """Whether the integer product is scaled up: s_a * s_b >= s_y."""
    a, b = op.input(0).quant, op.input(1).quant
    y = op.outputs[0].quant if op.outputs else None
    if a is None or b is None or y is None:
        return False
    return float(a.scale[0] * b.scale[0] / y.scale[0]) >= 1.0


def _nonzero(function: Callable[..., NDArray[Any]]) -> FoldRule:
    """Return a fold that leaves an integer division by zero to the kernel, which refuses it."""
    plain = with_activation(function)

    def fold(op: Op) -> NDArray[Any] | Sequence[NDArray[Any]] | None:
        divisor = values(op, 1)
        return None if divisor.dtype.kind in "iu" and not divisor.all() else plain(op)

    return fold


def _divide(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Divide as C does: integers truncate toward zero."""
    if a.dtype.kind == "f":
        return np.asarray(np.divide(a, b))
    quotient = np.floor_divide(np.abs(a.astype(np.int64)), np.abs(b.astype(np.int64)))
    return np.asarray(quotient * np.sign(a) * np.sign(b)).astype(a.dtype)


def _floor_divide(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    # numpy's own for floats starts from the remainder; the kernel floors the quotient.
    quotient = np.floor(np.divide(a, b)) if a.dtype.kind == "f" else np.floor_divide(a, b)
    return np.asarray(quotient)


def _power(op: Op) -> NDArray[Any] | None:
    """Negative integer exponents are left to the kernel, which refuses them."""
    a, b = values(op, 0), values(op, 1)
    if b.dtype.kind in "iu" and (b < 0).any():
        return None
    with np.errstate(all="ignore"):
        return np.asarray(np.power(a, b))


def _squared_difference(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.square(a - b))


def _maximum(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.where(a > b, a, b)  # not np.maximum: a NaN on the left loses in the kernel


def _minimum(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.where(a < b, a, b)


# Minimum versions of all rows: LiteRT tools/versioning/op_version.cc.
_SMALL = {"int8": 2, "int16": 4}
# The default asks int16 sums for scales that are powers of two.
_ADDS, _SUBTRACTS = (
    QuantRule(
        floor=sum_floor,
        int16_options={"pot_scale_int16": False},
        refuses_steps=partial(unfit_for_sums, repeats=repeats),
    )
    for repeats in (False, True)
)
_BINARY: dict[str, dict[str, Any]] = {
    "ADD": {
        "neutral": 0.0,
        "sign": 1.0,
        "commutes": True,
        "interval": sum_ends,
        "same_unit": True,
        "fold": with_activation(np.add),
        "version": _add_version,
        "types": _WIDE | {"int16"},
        "quant": _ADDS,
        "in_place": True,
        "fuses_activation": True,
        "polynomial": True,
    },
    "SUB": {
        "neutral": 0.0,
        "sign": -1.0,
        "interval": difference_ends,
        "same_unit": True,
        "fold": with_activation(np.subtract),
        "version": _sub_version,
        "types": _WIDE,
        "quant": _SUBTRACTS,
        "in_place": True,
        "fuses_activation": True,
        "polynomial": True,
    },
    "MUL": {
        "neutral": 1.0,
        "commutes": True,
        "interval": product_ends,
        "carries": fineness.before_product,
        "fold": with_activation(np.multiply),
        "version": _mul_version,
        "types": _WIDE | {"int16", "uint32", "complex64"},
        "quant": QuantRule(),
        "in_place": True,
        "fuses_activation": True,
        "polynomial": True,
    },
    "DIV": {
        "neutral": 1.0,
        "interval": quotient_ends,
        "fold": _nonzero(_divide),
        "version": _wider(2, by_type()),
        "types": _NUMBERS,
        "quant": QuantRule(nonzero=("b",)),
        "stops": stops.zero_divisor,
        "in_place": True,
        "fuses_activation": True,
    },
    "FLOOR_DIV": {
        "fold": _nonzero(_floor_divide),
        "version": by_type(float32=2, int8=3, int16=3),
        "stops": stops.any_zero_divisor,
        "types": _NUMBERS | {"int8", "int16"},
    },
    "FLOOR_MOD": {
        "fold": _nonzero(np.mod),
        "version": by_type(int8=2, int16=2),
        "stops": stops.zero_divisor,
        "types": _WIDE | {"int8", "int16"},
    },
    "MAXIMUM": {
        "interval": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
        "fold": with_numpy(_maximum),
        "types": _WIDE | {"int8", "int16", "uint8"},
        "version": _wider(3, by_type(**_SMALL)),
        "quant": QuantRule(same=True),
    },
    "MINIMUM": {
        "interval": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
        "fold": with_numpy(_minimum),
        "types": _WIDE | {"int8", "int16", "uint8"},
        "version": _wider(3, by_type(**_SMALL)),
        "quant": QuantRule(same=True),
    },
    "POW": {
        "fold": _power,
        "types": _NUMBERS,
        "neutral": 1.0,
        "stops": stops.negative_exponent,
    },
    "SQUARED_DIFFERENCE": {
        "interval": squared_difference_ends,
        "fold": with_numpy(_squared_difference),
        "version": by_type(int8=2),
        "quant": QuantRule(
            types=frozenset({"INT8"}),
            floor=squared_difference_floor,
            refuses_steps=partial(beyond_float, squared_difference_floor),
        ),
        "types": _NUMBERS,
    },
    "BITWISE_XOR": {"fold": with_numpy(np.bitwise_xor), "types": _BITS},
    "RIGHT_SHIFT": {"fold": with_numpy(np.right_shift), "types": _BITS},
}
_UNDEFINED = {"DIV", "EXP", "FLOOR_DIV", "FLOOR_MOD", "LOG", "POW", "RSQRT", "SQRT"}
for name, columns in _BINARY.items():
    columns = {"category": "arithmetic", "undefined": name in _UNDEFINED, **columns}
    op(name, "a b -> y", shape=broadcast, layout=ELEMENTWISE, **columns)


def _abs_version(op: Op) -> int:
    if op.input(0).dtype == np.int16 and op.input(0).quant is None:
        return 4
    return by_type(int32=5, int16=3, int8=2, uint8=2)(op)


def _rsqrt(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x.dtype.type(1) / np.sqrt(x))


_SIGNED = QuantRule(types=ALL_TYPES - {"UINT8"})
_ROOT = replace(_SIGNED, unsigned=("x",))
_UNARY: dict[str, dict[str, Any]] = {
    "ABS": {
        "interval": size_ends,
        "same_unit": True,
        "fold": np.abs,
        "version": _abs_version,
        "quant": _SIGNED,
        "types": _NUMBERS | {"int16"},
    },
    "NEG": {
        "interval": lambda a: (-a[1], -a[0]),
        "same_unit": True,
        "fold": np.negative,
        "polynomial": True,
        "types": _WIDE | {"int8", "int16"},
    },
    "EXP": {"fold": np.exp, "version": by_type(int8=2, int16=2), "quant": _SIGNED},
    "LOG": {
        "step": before_log,
        "fold": np.log,
        "version": by_type(int8=2, int16=2),
        "quant": _SIGNED,
    },
    "SQRT": {
        "interval": root_ends,
        "carries": fineness.before_root,
        "fold": np.sqrt,
        "version": by_type(int8=2, int16=2),
        "quant": _ROOT,
    },
    "RSQRT": {
        "step": before_inverse_root,
        "fold": _rsqrt,
        "version": by_type(int8=2, int16=3),
        "quant": _ROOT,
    },
    "SQUARE": {
        "interval": square_ends,
        "carries": fineness.before_square,
        "fold": np.square,
        "polynomial": True,
    },
    "SIN": {"fold": np.sin},
    "COS": {"fold": np.cos},
    "FLOOR": {"fold": np.floor, "whole": True},
    "CEIL": {"fold": np.ceil, "whole": True},
    "ROUND": {"fold": np.rint, "whole": True},  # halves go to the even neighbour, as in the kernel
    "SIGN": {"fold": np.sign, "whole": True, "version": by_type(int32=2), "types": _NUMBERS},
    "ZEROS_LIKE": {"fold": np.zeros_like, "types": _WIDE},
}
for name, columns in _UNARY.items():
    fixed = {"shape": same, "layout": ELEMENTWISE, "category": "arithmetic", "types": _REAL}
    fixed["undefined"] = name in _UNDEFINED
    op(name, "x -> y", **{**fixed, **columns, "fold": with_numpy(columns["fold"])})


def _equal_shapes(op: Op) -> list[Typed]:
    return [(same_shape(t.shape for t in op.inputs if t is not None), op.input(0).dtype)]


def _add_all(*arrays: NDArray[Any]) -> NDArray[Any]:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return np.asarray(total)


def _sum_shape(op: Op) -> list[Typed]:
    if len(op.inputs) < 2:
        raise UnsupportedError("a sum of one tensor")
    return _equal_shapes(op)


op(
    "ADD_N",
    "*xs -> y",
    shape=_sum_shape,
    fold=with_numpy(_add_all),
    layout=ELEMENTWISE,
    category="arithmetic",
    types=_NUMBERS,
)
# Unlike its siblings the kernel does not broadcast: from unequal shapes it reads wrong elements.
op(
    "ATAN2",
    "a b -> y",
    shape=_equal_shapes,
    fold=with_numpy(np.arctan2),
    layout=ELEMENTWISE,
    category="arithmetic",
    types=_REAL,
)
