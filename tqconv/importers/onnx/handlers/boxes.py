"""Boxes: non-maximum suppression."""

from __future__ import annotations

import numpy as np

from tqconv.compose import boxes as compose
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import joined, split
from tqconv.compose.sizes import operand, size_of
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
INT32 = np.dtype(np.int32)
ALL = np.array(-np.inf, F)


@handles("NonMaxSuppression", since=10)
def suppression(
    b: ONNXBuilder,
    boxes: Tensor,
    scores: Tensor,
    most: Tensor | None = None,
    overlap: Tensor | None = None,
    threshold: Tensor | None = None,
    *,
    center_point_box: int = 0,
) -> Tensor:
    """Return (image, class, box) of the boxes that are kept, class by class: [count, 3].

    boxes: [n, boxes, 4], two corners (y, x), or (x, y) of the middle and the sizes; scores:
    [n, classes, boxes].
    """
    if center_point_box:
        boxes = _corners(b, boxes)
    limit = b.const(0, INT32) if most is None else _limit(b, most, boxes)
    if limit.data is not None and int(limit.data) < 1:
        return b.const(np.zeros((0, 3), np.int64))
    numbers = [
        b.const(0, F) if overlap is None else b.reshape(overlap, ()),
        b.const(ALL) if threshold is None else b.reshape(threshold, ()),
    ]
    rows = []
    for image in range(static_size(scores, 0)):
        places = _row(b, boxes, image)
        for number in range(static_size(scores, 1)):
            own = _row(b, scores, image, number)
            kept, count = compose.suppressed(b, places, own, limit, *numbers)
            found = b.reshape(compose.first_of(b, kept, count), (None, 1))
            rows.append(_with(b, found, image, number))
    if not rows:
        raise UnsupportedError("a NonMaxSuppression of no classes")
    return b.cast(joined(b, rows, 0), np.int64)


def _limit(b: ONNXBuilder, most: Tensor, boxes: Tensor) -> Tensor:
    """Return how many boxes to keep: no more than there are, for which room is made."""
    wide = b("MINIMUM", b.reshape(most, ()), np.array(2**31 - 1, most.dtype))
    return b("MINIMUM", b.cast(wide, INT32), operand(size_of(b, boxes, 1)))


def _corners(b: ONNXBuilder, boxes: Tensor) -> Tensor:
    """Return (y1, x1, y2, x2) of boxes that are given as (x, y) of the middle, width, height."""
    x, y, width, height = split(b, boxes, 4, 2)
    half = np.array(0.5, F)
    wide, high = b("MUL", width, half), b("MUL", height, half)
    edges = [b(type, *pair) for type in ("SUB", "ADD") for pair in ((y, high), (x, wide))]
    return joined(b, edges, 2)


def _row(b: ONNXBuilder, x: Tensor, *places: int) -> Tensor:
    """Return what stands at places of the first axes."""
    for place in places:
        x = b("GATHER", x, np.array(place, np.int32), axis=0)
    return x


def _with(b: ONNXBuilder, found: Tensor, image: int, number: int) -> Tensor:
    """Put the numbers of image and class in front of boxes: [count, 1] becomes [count, 3]."""
    front = np.array([[image, number, 0]], np.int32)
    return b("ADD", b("MUL", found, np.array([[0, 0, 1]], np.int32)), front)
