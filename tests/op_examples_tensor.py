"""Examples of shapes, movement, cutting and joining, gathering and scattering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from op_example import Example, example
from op_examples_math import at, flags, ints, real, whole

from tqconv.ir.graph import Graph

Array = NDArray[Any]

IMAGE = real(2, 3, 4, 5)
PADS = np.array([[0, 0], [1, 2], [2, 1], [0, 3]], np.int32)
MIRRORS = np.array([[1, 0], [1, 2], [2, 1], [0, 3]], np.int32)
SHAPES: list[Example] = [
    example("RESHAPE", IMAGE, ints(6, 20), const=[1], new_shape=ints(6, 20)),
    example("RESHAPE", IMAGE, ints(2, -1, 5), const=[1], label="open"),
    example("RESHAPE", IMAGE, label="option", new_shape=ints(4, -1)),
    example("RESHAPE", real(1, 1), np.zeros(0, np.int32), const=[1], label="scalar"),
    example("SQUEEZE", real(1, 3, 1, 4), squeeze_dims=ints(0)),
    example("SQUEEZE", real(1, 3, 1, 4), label="negative", squeeze_dims=ints(-2, 0)),
    *(example("EXPAND_DIMS", real(3, 4), at(a), const=[1], label=str(a)) for a in (0, 1, -1)),
    example("TRANSPOSE", IMAGE, ints(0, 3, 1, 2), const=[1]),
    example("TRANSPOSE", whole(2, 3), ints(1, 0), const=[1], label="int32"),
    example("TRANSPOSE", real(2, 1, 2, 3, 2), ints(4, 0, 2, 1, 3), const=[1], label="rank5"),
    example("TRANSPOSE", real(2, 1, 2, 3, 2, 2), ints(4, 0, 5, 2, 1, 3), const=[1], label="rank6"),
    example("SHAPE", IMAGE, out_type="INT32"),
    example("SHAPE", IMAGE, label="int64", out_type="INT64"),
    example("RANK", IMAGE),
    example("PAD", IMAGE, PADS, const=[1]),
    example("PAD", real(2, 1, 2, 1, 3), whole(5, 2, low=0, high=3), const=[1], label="rank5"),
    example("PADV2", IMAGE, PADS, at(-1.5, np.float32), const=[1, 2]),
    example("MIRROR_PAD", IMAGE, MIRRORS, const=[1], mode="REFLECT"),
    example("MIRROR_PAD", IMAGE, MIRRORS, const=[1], label="symmetric", mode="SYMMETRIC"),
    example("TILE", real(2, 3), ints(2, 3), const=[1]),
    example("TILE", whole(2, 1, 2), ints(1, 4, 1), const=[1], label="int32"),
    example("BROADCAST_TO", real(3, 1), ints(2, 3, 4), const=[1]),
    example("BROADCAST_TO", whole(4), np.array([2, 4], np.int64), const=[1], label="int64"),
    example("BROADCAST_ARGS", ints(3, 1), ints(2, 1, 4)),
    example("FILL", ints(2, 3), at(1.5, np.float32), const=[0]),
    example("FILL", np.array([4], np.int64), at(7, np.int64), const=[0], label="int64"),
    example("FILL", ints(3), at(True, np.bool_), const=[0], label="bool"),
    example("REVERSE_V2", IMAGE, ints(1), const=[1]),
    example("REVERSE_V2", IMAGE, ints(1, 2), const=[1], label="adjacent"),
    example("REVERSE_SEQUENCE", IMAGE, ints(1, 3), label="time1", seq_dim=1, batch_dim=0),
    example("REVERSE_SEQUENCE", IMAGE, ints(0, 2, 1), label="time0", seq_dim=0, batch_dim=1),
]


def strided(
    x: Array, begin: Array, end: Array, strides: Array, label: str, **masks: int
) -> Example:
    """Return a STRIDED_SLICE with constant bounds."""
    return example("STRIDED_SLICE", x, begin, end, strides, const=[1, 2, 3], label=label, **masks)


SLICES: list[Example] = [
    strided(IMAGE, ints(0, 1, -3, 4), ints(2, 3, 4, 0), ints(1, 1, 2, -2), "plain"),
    strided(
        IMAGE,
        ints(0, 1, 1, 4),
        ints(0, 0, 3, 0),
        ints(1, 1, 1, -1),
        "masks",
        begin_mask=3,
        end_mask=11,
    ),
    strided(
        IMAGE,
        ints(1, 0, -1),
        ints(2, 0, 0),
        ints(1, 1, 1),
        "shrink",
        shrink_axis_mask=5,
        end_mask=2,
    ),
    strided(
        IMAGE, ints(0, 1), ints(0, 2), ints(1, 1), "ellipsis", ellipsis_mask=1, shrink_axis_mask=2
    ),
    strided(IMAGE, ints(1, 0, 1), ints(2, 0, 3), ints(1, 1, 1), "middle", ellipsis_mask=2),
    strided(
        real(3, 4),
        ints(0, 0, 1),
        ints(0, 0, 3),
        ints(1, 1, 1),
        "new",
        new_axis_mask=1,
        begin_mask=2,
        end_mask=2,
    ),
    strided(
        real(3, 4),
        ints(0, 0, 0),
        ints(0, 0, 0),
        ints(1, 1, 1),
        "last",
        ellipsis_mask=1,
        new_axis_mask=4,
        shrink_axis_mask=2,
    ),
    strided(
        real(3, 4), ints(0, 0), ints(0, 0), ints(1, 1), "after", ellipsis_mask=1, new_axis_mask=2
    ),
    strided(real(3, 4), ints(1), ints(9), ints(1), "clamped"),
    strided(real(3, 4), ints(2, 3), ints(-9, -9), ints(-1, -2), "backward"),
    strided(real(5, 4), ints(1, 0), ints(2, 2), ints(1, 1), "offset", offset=True),
    strided(whole(6), ints(1), ints(0), ints(2), "int32", end_mask=1),
    example("SPLIT", at(2), IMAGE, const=[0], num_splits=2),
    example("SPLIT", at(-1), whole(3, 6), const=[0], label="int32", num_splits=3),
    example("SPLIT_V", IMAGE, ints(1, 3), at(2), const=[1, 2], num_splits=2),
    example("SPLIT_V", IMAGE, ints(2, -1, 1), at(-1), const=[1, 2], label="open", num_splits=3),
    example("CONCATENATION", real(2, 3), real(2, 1), real(2, 2), axis=1),
    example("CONCATENATION", real(2, 3), real(1, 3), label="default"),
    example("CONCATENATION", whole(2, 3, 2), whole(2, 3, 1), label="int32", axis=-1),
    *(
        example("PACK", whole(2, 3), whole(2, 3), whole(2, 3), label=str(a), axis=a, values_count=3)
        for a in (0, 1, -1)
    ),
    example("PACK", at(1), at(2), label="scalars", values_count=2),
    *(example("UNPACK", real(3, 3, 3), label=str(a), axis=a, num=3) for a in (0, -1)),
    example("DYNAMIC_UPDATE_SLICE", real(4, 5), real(2, 3), ints(1, 1)),
    example("DYNAMIC_UPDATE_SLICE", real(4, 5), real(2, 3), ints(3, -4), label="moved"),
    example("DYNAMIC_UPDATE_SLICE", whole(4), whole(2), np.array([1], np.int64), label="int64"),
]

PLACES = np.array([[0, 2], [1, 1], [0, 2]], np.int32)
GATHERS: list[Example] = [
    example("GATHER", IMAGE, ints(1, 0, 1)),
    example("GATHER", IMAGE, at(2), label="scalar", axis=1),
    example("GATHER", IMAGE, np.array([[3, 0], [1, 1]], np.int64), label="matrix", axis=-1),
    example(
        "GATHER",
        real(2, 3, 4),
        np.array([[0, 2], [1, 1]], np.int32),
        label="batch",
        axis=1,
        batch_dims=1,
    ),
    example(
        "GATHER",
        real(2, 3, 4),
        np.array([[0, 2], [1, 3]], np.int32),
        label="later",
        axis=2,
        batch_dims=1,
    ),
    example("GATHER", whole(5, dtype=np.int64), ints(4, 4), label="int64"),
    example(
        "GATHER",
        real(2, 3),
        np.array([[2], [0]], np.int32),
        label="negative",
        axis=1,
        batch_dims=-1,
    ),
    example("GATHER_ND", real(2, 3, 4), PLACES, const=[1]),
    example(
        "GATHER_ND", real(2, 3), np.array([[0, 2], [1, 1]], np.int64), const=[1], label="elements"
    ),
    example("SCATTER_ND", PLACES, real(3, 2), ints(2, 3, 2), const=[2]),
    example(
        "SCATTER_ND", np.array([[4], [1]], np.int32), whole(2), ints(6), const=[2], label="int32"
    ),
    example(
        "SPARSE_TO_DENSE", at(2), ints(4), at(5.0, np.float32), at(-1.0, np.float32), const=[1]
    ),
    example("SPARSE_TO_DENSE", ints(0, 3), ints(4), ints(7, 8), at(0), const=[1], label="vector"),
    example(
        "SPARSE_TO_DENSE",
        np.array([[0, 1], [2, 0]], np.int32),
        ints(3, 2),
        real(2),
        at(0.5, np.float32),
        const=[1],
        label="matrix",
    ),
    example(
        "ONE_HOT",
        ints(0, 2, -1, 5),
        at(4),
        at(1.0, np.float32),
        at(0.0, np.float32),
        const=[1],
        axis=-1,
    ),
    example(
        "ONE_HOT",
        whole(2, 3, low=0, high=4),
        at(4),
        at(3),
        at(-3),
        const=[1],
        label="first",
        axis=0,
    ),
    example(
        "ONE_HOT",
        whole(2, 3, low=0, high=4),
        at(4),
        at(True, np.bool_),
        at(False, np.bool_),
        const=[1],
        label="bool",
        axis=1,
    ),
    example("MATRIX_DIAG", real(2, 3)),
    example("MATRIX_SET_DIAG", real(2, 3, 4), real(2, 3)),
    example("BUCKETIZE", real(3, 4), boundaries=np.array([-1, 0, 2], np.float32)),
    example("BUCKETIZE", whole(9), label="int32", boundaries=np.array([-1, 0, 2], np.float32)),
]

BOXES = np.array([[0, 0, 2, 2], [0, 0, 2, 1.9], [5, 5, 6, 6], [0, 1, 2, 3]], np.float32)
SCORES = np.array([0.5, 0.9, 0.3, 0.8], np.float32)
SUPPRESSION = (BOXES, SCORES, at(3), at(0.5, np.float32), at(0.1, np.float32))
EXAMPLES: list[Example] = [
    *SHAPES,
    *SLICES,
    *GATHERS,
    example("NON_MAX_SUPPRESSION_V4", *SUPPRESSION, const=[2, 3, 4]),
    example("NON_MAX_SUPPRESSION_V5", *SUPPRESSION, at(0.5, np.float32), const=[2, 3, 4, 5]),
]

Case = tuple[list[Graph], list[Array], list[Array]]


def alone(shown: Example, expected: list[Array] | None = None) -> Callable[[], Case]:
    """Return a case of one operator whose output shape LiteRT finds; the fold is expected."""

    def make() -> Case:
        graph = Graph("main")
        shown.build(graph)
        arrays = [t.data for t in shown.folded()] if expected is None else expected
        return [graph], shown.arrays(), [a for a in arrays if a is not None]

    return make


def declared(shown: Example) -> Callable[[], Case]:
    """Return a case of one operator with operands whose sizes are unknown until they are fed."""

    def make() -> Case:
        graph = Graph("main")
        shown.build(graph, unknown=True)
        return [graph], shown.arrays(), [t.data for t in shown.folded() if t.data is not None]

    return make


RANGES = {
    "up": [at(v) for v in (2, 11, 3)],
    "down": [at(v) for v in (5, -5, -4)],
    "float32": [at(v, np.float32) for v in (0, 1, 0.1)],
    "int64": [at(v, np.int64) for v in (0, 7, 2)],
}
# SLICE compares a declared static shape with its own, so a wrong one does not run.
SLICED = {
    "rest": example("SLICE", IMAGE, ints(0, 1, 0, 2), ints(2, -1, 3, 2), const=[1, 2]),
    "rank5": example(
        "SLICE", real(2, 3, 2, 3, 4), ints(0, 1, 0, 2, 1), ints(2, 2, -1, 1, 2), const=[1, 2]
    ),
    "free": example("SLICE", IMAGE, ints(0, 1, 0, 2), ints(2, -1, 3, 2)),
    "int64": example(
        "SLICE", whole(5), np.array([1], np.int64), np.array([3], np.int64), const=[1, 2]
    ),
}
MODELS: dict[str, tuple[tuple[str, ...], Callable[[], Case]]] = {
    "where": (("WHERE",), alone(example("WHERE", flags(3, 4)))),
    "where int32": (("WHERE",), alone(example("WHERE", whole(3, 4, low=0, high=2)))),
    "unique": (("UNIQUE",), alone(example("UNIQUE", ints(5, 2, 5, 9, 2)))),
    "unique int64": (
        ("UNIQUE",),
        alone(example("UNIQUE", real(3)[[0, 1, 0, 2, 1]], idx_out_type="INT64")),
    ),
    **{f"range {k}": (("RANGE",), alone(example("RANGE", *v))) for k, v in RANGES.items()},
    **{f"slice {k}": (("SLICE",), declared(e)) for k, e in SLICED.items()},
    "squeeze all": (("SQUEEZE",), alone(example("SQUEEZE", real(1, 3, 1, 4)))),
    # Box 0 overlaps box 1 by 95 %, box 3 overlaps them by at most a third.
    "suppression": (
        ("NON_MAX_SUPPRESSION_V4",),
        alone(
            example("NON_MAX_SUPPRESSION_V4", *SUPPRESSION, const=[2, 3, 4]),
            [ints(1, 3, 2), at(3)],
        ),
    ),
}
