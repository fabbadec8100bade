"""Every element type that a row declares to be computed right, and every highest rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from op_example import Example, example
from op_examples_math import at, flags, ints, real, whole

from tqconv.ops.table import spec

Array = NDArray[Any]
Make = Callable[[Array, Array, Array], Example]
ANY = frozenset({"float32", "int8", "int16", "int32", "int64", "uint8", "uint32", "bool"})
"""What a row without `types` is tried with."""
UNTESTED = frozenset({"object", "complex64"})
"""Types that have examples of their own."""


def numbers(*shape: int, dtype: str) -> Array:
    """Return small numbers without zero: positive ones where the type has no others."""
    if dtype == "bool":
        return flags(*shape)
    if dtype == "float32":
        return real(*shape, low=0.5)
    low = 1 if dtype.startswith("u") else -4
    values = whole(*shape, low=low, high=5)
    return np.where(values == 0, 2, values).astype(dtype)


def elementwise(type: str, count: int) -> Make:
    """Return a maker of an operator with `count` operands of one shape."""
    return lambda *xs: example(type, *xs[:count], label=str(xs[0].dtype))


def reduced(type: str) -> Make:
    """Return a maker of a reduction."""
    return lambda x, y, z: example(type, x, ints(1), const=[1], label=str(x.dtype))


def with_shape(type: str, operand: Array, **options: Any) -> Make:
    """Return a maker of an operator with a constant integer operand."""
    return lambda x, y, z: example(type, x, operand, const=[1], label=str(x.dtype), **options)


UNARY = "ABS NEG EXP LOG SQRT RSQRT SQUARE SIN COS FLOOR CEIL ROUND SIGN ZEROS_LIKE LOGICAL_NOT"
BINARY = (
    "ADD SUB MUL DIV FLOOR_DIV FLOOR_MOD MAXIMUM MINIMUM SQUARED_DIFFERENCE ATAN2 BITWISE_XOR "
    "EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL LOGICAL_AND LOGICAL_OR ADD_N"
)
REDUCTIONS = "SUM MEAN REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY REDUCE_ALL"
PADS = np.array([[1, 0], [0, 2]], np.int32)
# The operands of the makers have the shape [2, 3].
MAKERS: Mapping[str, Make] = {
    **{name: elementwise(name, 1) for name in UNARY.split()},
    **{name: elementwise(name, 2) for name in BINARY.split()},
    **{name: reduced(name) for name in REDUCTIONS.split()},
    "CUMSUM": with_shape("CUMSUM", at(1)),
    "ARG_MAX": with_shape("ARG_MAX", at(1), output_type="INT32"),
    "ARG_MIN": with_shape("ARG_MIN", at(0), output_type="INT32"),
    "TOPK_V2": with_shape("TOPK_V2", at(2)),
    "SEGMENT_SUM": with_shape("SEGMENT_SUM", ints(0, 1)),
    "RESHAPE": with_shape("RESHAPE", ints(3, 2)),
    "SQUEEZE": lambda x, y, z: example(
        "SQUEEZE", x[:, np.newaxis], label=str(x.dtype), squeeze_dims=ints(1)
    ),
    "EXPAND_DIMS": with_shape("EXPAND_DIMS", at(1)),
    "TRANSPOSE": with_shape("TRANSPOSE", ints(1, 0)),
    "PAD": with_shape("PAD", PADS),
    "PADV2": lambda x, y, z: example("PADV2", x, PADS, y[0, 0], const=[1, 2], label=str(x.dtype)),
    "MIRROR_PAD": with_shape("MIRROR_PAD", PADS, mode="REFLECT"),
    "TILE": with_shape("TILE", ints(2, 1)),
    "BROADCAST_TO": with_shape("BROADCAST_TO", ints(2, 2, 3)),
    "FILL": lambda x, y, z: example("FILL", ints(2, 2), x[0, 0], const=[0], label=str(x.dtype)),
    "REVERSE_V2": with_shape("REVERSE_V2", ints(0)),
    "REVERSE_SEQUENCE": lambda x, y, z: example(
        "REVERSE_SEQUENCE", x, ints(1, 3), label=str(x.dtype), seq_dim=1, batch_dim=0
    ),
    "STRIDED_SLICE": lambda x, y, z: example(
        "STRIDED_SLICE",
        x,
        ints(0, 2),
        ints(2, 0),
        ints(1, -1),
        const=[1, 2, 3],
        label=str(x.dtype),
    ),
    "SPLIT": lambda x, y, z: example(
        "SPLIT", at(1), x, const=[0], label=str(x.dtype), num_splits=3
    ),
    "SPLIT_V": lambda x, y, z: example(
        "SPLIT_V", x, ints(1, 2), at(1), const=[1, 2], label=str(x.dtype), num_splits=2
    ),
    "CONCATENATION": lambda x, y, z: example("CONCATENATION", x, y, z, label=str(x.dtype), axis=1),
    "PACK": lambda x, y, z: example("PACK", x, y, label=str(x.dtype), values_count=2, axis=1),
    "UNPACK": lambda x, y, z: example("UNPACK", x, label=str(x.dtype), num=3, axis=1),
    "DYNAMIC_UPDATE_SLICE": lambda x, y, z: example(
        "DYNAMIC_UPDATE_SLICE", x, y[:1, :2], ints(1, 1), label=str(x.dtype)
    ),
    "SELECT": lambda x, y, z: example("SELECT", flags(2, 3), x, y, label=str(x.dtype)),
    "SELECT_V2": lambda x, y, z: example("SELECT_V2", flags(2, 1), x, y, label=str(x.dtype)),
    "GATHER": lambda x, y, z: example("GATHER", x, ints(2, 0), label=str(x.dtype), axis=1),
    "GATHER_ND": with_shape("GATHER_ND", np.array([[1, 2], [0, 0]], np.int32)),
    "SCATTER_ND": lambda x, y, z: example(
        "SCATTER_ND",
        np.array([[3], [0]], np.int32),
        x,
        ints(4, 3),
        const=[2],
        label=str(x.dtype),
    ),
    "SPARSE_TO_DENSE": lambda x, y, z: example(
        "SPARSE_TO_DENSE", ints(0, 3, 4), ints(5), x[0], y[0, 0], const=[1], label=str(x.dtype)
    ),
    "ONE_HOT": lambda x, y, z: example(
        "ONE_HOT",
        ints(0, 2),
        at(3),
        x[0, 0],
        y[0, 0],
        const=[1],
        label=str(x.dtype),
        axis=-1,
    ),
    "MATRIX_DIAG": elementwise("MATRIX_DIAG", 1),
    "MATRIX_SET_DIAG": lambda x, y, z: example("MATRIX_SET_DIAG", x, y[0, :2], label=str(x.dtype)),
}


def declared(type: str) -> list[Example]:
    """Return an example for each element type of a row."""
    types = spec(type).types
    names = sorted((ANY if types is None else types) - UNTESTED)
    return [MAKERS[type](*(numbers(2, 3, dtype=name) for _ in range(3))) for name in names]


RANK5 = (2, 1, 3, 1, 2)
RANKS: list[Example] = [
    *(
        example(name, real(*RANK5, 2), real(3, 1, 1, 1), label="rank6")
        for name in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "LESS", "EQUAL")
    ),
    *(
        example(name, real(*RANK5, 2), ints(0, 2, 5), const=[1], label="rank6")
        for name in ("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    ),
    *(
        example(name, real(*RANK5, 2), ints(1, 2, 1, 3, 2, 1), const=[1], label="rank6")
        for name in ("TILE",)
    ),
    example("BROADCAST_TO", real(1, 2, 1, 3), ints(2, 3, 2, 2, 1, 3), const=[1], label="rank6"),
    example(
        "PADV2",
        real(*RANK5),
        whole(5, 2, low=0, high=3),
        at(2, np.float32),
        const=[1, 2],
        label="rank5",
    ),
    example(
        "SPARSE_TO_DENSE",
        np.array([[0, 1, 0, 1], [1, 0, 1, 2]], np.int32),
        ints(2, 2, 2, 3),
        real(2),
        at(0.5, np.float32),
        const=[1],
        label="rank4",
    ),
]

EXAMPLES: list[Example] = [*(e for name in MAKERS for e in declared(name)), *RANKS]
