"""Examples of arithmetic, comparisons and reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
from arrays import ints
from numpy.typing import NDArray
from op_example import Example, example

Array = NDArray[Any]
RNG = np.random.default_rng(11)


def real(*shape: int, low: float = -3.0, high: float = 3.0) -> Array:
    """Return evenly distributed float32 numbers."""
    return RNG.uniform(low, high, shape).astype(np.float32)


def whole(*shape: int, low: int = -9, high: int = 10, dtype: Any = np.int32) -> Array:
    """Return evenly distributed integers."""
    return RNG.integers(low, high, shape).astype(dtype)


def flags(*shape: int) -> Array:
    """Return random booleans."""
    return RNG.integers(0, 2, shape).astype(np.bool_)


def at(value: Any, dtype: Any = np.int32) -> Array:
    """Return a scalar array."""
    return np.array(value, dtype)


def without(array: Array, value: int) -> Array:
    """Replace `value` by the next number."""
    return np.where(array == value, array + 1, array).astype(array.dtype)


BINARY_REAL = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.0, 1.2, -1.7, 3e9], np.float32)
ARITHMETIC: list[Example] = [
    *(example(t, real(2, 3, 4), real(2, 3, 4)) for t in (*BINARY_REAL, "ATAN2")),
    *(example(t, real(2, 3, 4), real(3, 1), label="broadcast") for t in BINARY_REAL),
    *(
        example(t, real(3, 4), real(4), label="relu6", fused_activation_function="RELU6")
        for t in ("ADD", "SUB", "MUL", "DIV")
    ),
    example("ADD", real(8), real(8), label="relu1", fused_activation_function="RELU_N1_TO_1"),
    *(
        example(t, whole(3, 5), without(whole(3, 5), 0), label="int32")
        for t in (*BINARY_REAL, "FLOOR_DIV", "FLOOR_MOD")
    ),
    *(
        example(t, whole(3, 5, dtype=np.int64), whole(5, dtype=np.int64), label="int64")
        for t in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
    ),
    example("FLOOR_DIV", real(3, 5), real(3, 5)),
    example("FLOOR_MOD", real(3, 5), real(3, 5)),
    example(
        "FLOOR_MOD", whole(40, dtype=np.int64), without(whole(40, dtype=np.int64), 0), label="int64"
    ),
    example("POW", real(3, 4, low=0.1), real(3, 4)),
    example("POW", whole(3, 4, low=-4, high=5), whole(3, 4, low=0, high=6), label="int32"),
    *(
        example("BITWISE_XOR", whole(30, dtype=d), whole(30, dtype=d), label=np.dtype(d).name)
        for d in (np.int8, np.int16, np.int32)
    ),
    *(
        example(
            "RIGHT_SHIFT",
            whole(30, dtype=d),
            whole(30, low=0, high=5, dtype=d),
            label=np.dtype(d).name,
        )
        for d in (np.int8, np.int16, np.int32)
    ),
    *(example(t, real(2, 5)) for t in ("ABS", "NEG", "EXP", "SQUARE", "SIN", "COS", "SIGN")),
    *(example(t, real(2, 5, low=0.01)) for t in ("LOG", "SQRT", "RSQRT")),
    *(example(t, HALVES) for t in ("FLOOR", "CEIL", "ROUND")),
    *(example(t, whole(2, 5), label="int32") for t in ("ABS", "NEG", "SIGN")),
    example("NEG", whole(2, 5, dtype=np.int64), label="int64"),
    *(
        example("ZEROS_LIKE", whole(2, 5).astype(d), label=np.dtype(d).name)
        for d in (np.float32, np.int32, np.int64)
    ),
    example("ADD_N", real(2, 3), real(2, 3), real(2, 3)),
    example("ADD_N", whole(2, 3), whole(2, 3), label="int32"),
    *(
        example("CUMSUM", real(2, 4, 3), at(1), const=[1], label=f"{e}{r}", exclusive=e, reverse=r)
        for e in (False, True)
        for r in (False, True)
    ),
    example("CUMSUM", whole(2, 4), at(-1), const=[1], label="int32"),
    example("RFFT2D", real(2, 4, 8), ints(4, 8), const=[1]),
    example("RFFT2D", real(4, 8), ints(2, 4), const=[1], label="cropped"),
    *(
        example(t, (real(2, 3) + 1j * real(2, 3)).astype(np.complex64))
        for t in ("REAL", "IMAG", "COMPLEX_ABS")
    ),
]

COMPARISONS: list[Example] = [
    *(
        example(
            t,
            whole(4, 5, low=0, high=3).astype(d),
            whole(5, low=0, high=3).astype(d),
            label=np.dtype(d).name,
        )
        for t in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
        for d in (np.float32, np.int32, np.int64)
    ),
    example("EQUAL", flags(9), flags(9), label="bool"),
    example("NOT_EQUAL", flags(9), flags(9), label="bool"),
    example("LOGICAL_AND", flags(3, 4), flags(3, 4)),
    example("LOGICAL_OR", flags(3, 4), flags(4)),
    example("LOGICAL_NOT", flags(3, 4)),
    example("SELECT", flags(3, 4), real(3, 4), real(3, 4)),
    example("SELECT", flags(3), real(3, 4), real(3, 4), label="rows"),
    example("SELECT", at(True, np.bool_), whole(3, 4), whole(3, 4), label="scalar"),
    example("SELECT_V2", flags(3, 4), real(3, 4), real(3, 4)),
    example("SELECT_V2", flags(3, 1), real(4), at(0.5, np.float32), label="broadcast"),
]

REDUCTIONS: list[Example] = [
    *(
        example(t, real(2, 3, 4, 5), ints(*axes), const=[1], label=f"{axes}{keep}", keep_dims=keep)
        for t in ("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
        for axes, keep in (((1, 2), True), ((-1,), False), ((0, 1, 2, 3), False))
    ),
    *(
        example(t, whole(3, 4, 2), at(1), const=[1], label="int32")
        for t in ("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    ),
    *(
        example(t, whole(3, 4, 2, dtype=np.int64), ints(0), const=[1], label="int64")
        for t in ("SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    ),
    *(
        example(t, flags(3, 4), ints(1), const=[1], label=str(keep), keep_dims=keep)
        for t in ("REDUCE_ANY", "REDUCE_ALL")
        for keep in (False, True)
    ),
    *(
        example(
            t,
            whole(3, 4, 5).astype(d),
            at(a),
            const=[1],
            label=f"{np.dtype(d).name}{a}",
            output_type=o,
        )
        for t in ("ARG_MAX", "ARG_MIN")
        for d, a, o in ((np.float32, -1, "INT64"), (np.float32, 1, "INT32"), (np.int32, 0, "INT32"))
    ),
    example("TOPK_V2", real(3, 9), at(4), const=[1]),
    example("TOPK_V2", whole(3, 9, low=0, high=4), at(5), const=[1], label="ties"),
    example("SEGMENT_SUM", real(5, 3), ints(0, 0, 1, 2, 2), const=[1]),
    example("SEGMENT_SUM", whole(4, 2, 2), ints(0, 1, 1, 2), const=[1], label="int32"),
    *(
        example(t, real(5, 3), ints(2, 0, 2, -1, 0), at(4), const=[2])
        for t in (
            "UNSORTED_SEGMENT_SUM",
            "UNSORTED_SEGMENT_PROD",
            "UNSORTED_SEGMENT_MAX",
            "UNSORTED_SEGMENT_MIN",
        )
    ),
    example(
        "UNSORTED_SEGMENT_SUM",
        whole(2, 2, 3),
        np.array([[0, 1], [1, 0]], np.int32),
        at(3),
        const=[2],
        label="int32",
    ),
    example("UNSORTED_SEGMENT_MAX", whole(3, 2), ints(0, 2, 0), at(3), const=[2], label="int32"),
]

EXAMPLES: list[Example] = [*ARITHMETIC, *COMPARISONS, *REDUCTIONS]
