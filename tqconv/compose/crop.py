"""Crops of images, resized."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sampling import (
    FLOAT32,
    INT32,
    Pixels,
    between,
    clamped,
    inside,
    real,
    real_size,
    rounded,
)
from tqconv.compose.sizes import Size, calculate, reshaped, size_of, sizes_of
from tqconv.ir.graph import Tensor


def cropped(
    b: Builder,
    image: Tensor,
    boxes: Tensor,
    images: Tensor,
    size: Sequence[int],
    *,
    nearest: bool = False,
    outside: float = 0.0,
) -> Tensor:
    """Sample each box of its image on a grid: boxes [n, (y1, x1, y2, x2)] in parts of the image.

    image: [m, h, w, c]; images: [n], that of each box. Between pixels, or of the `nearest` one;
    beyond the image the value is `outside`. y: [n, *size, c].
    """
    height, width = size
    pixels = Pixels.of(b, b.cast(image, FLOAT32))
    count = size_of(b, boxes, 0)
    rows = _places(b, boxes, 0, pixels.height, height)
    columns = _places(b, boxes, 1, pixels.width, width)
    rows, columns = reshaped(b, rows, [count, height, 1]), reshaped(b, columns, [count, 1, width])
    number = reshaped(b, b.cast(images, INT32), [count, 1, 1])
    sample = _nearest if nearest else _bilinear
    last = [real_size(b, calculate(b, "SUB", size, 1)) for size in (pixels.height, pixels.width)]
    y = sample(b, pixels, number, clamped(b, rows, last[0]), clamped(b, columns, last[1]))
    seen = b("LOGICAL_AND", inside(b, rows, last[0]), inside(b, columns, last[1]))
    seen = reshaped(b, seen, [count, height, width, 1])
    return b("SELECT_V2", seen, y, real(outside))


def _places(b: Builder, boxes: Tensor, axis: int, size: Size, wanted: int) -> Tensor:
    """Return where each box is sampled along an axis, in pixels: [n, wanted]."""
    low, high = (_column(b, boxes, axis), _column(b, boxes, axis + 2))
    span = real_size(b, calculate(b, "SUB", size, 1))
    if wanted == 1:
        middle = b("MUL", b("ADD", low, high), real(0.5))
        place: Tensor = b("MUL", middle, span)
        return place
    step = b("DIV", b("MUL", b("SUB", high, low), span), real(wanted - 1))
    b.pay(wanted, "crop_size")
    grid = np.arange(wanted, dtype=FLOAT32)[None]
    place = b("ADD", b("MUL", low, span), b("MUL", step, grid))
    return place


def _column(b: Builder, boxes: Tensor, index: int) -> Tensor:
    begin, size = np.array([0, index], INT32), np.array([-1, 1], INT32)
    return b("SLICE", boxes, begin, size)


def _bilinear(b: Builder, pixels: Pixels, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    top, left = b("FLOOR", row), b("FLOOR", column)
    down = reshaped(b, b("SUB", row, top), [*sizes_of(b, row), 1])
    across = reshaped(b, b("SUB", column, left), [*sizes_of(b, column), 1])
    rows = [b.cast(t, INT32) for t in (top, b("CEIL", row))]
    columns = [b.cast(t, INT32) for t in (left, b("CEIL", column))]
    lines = []
    for line in rows:
        near, far = (pixels.at(b, image, line, place) for place in columns)
        lines.append(between(b, near, far, across))
    return between(b, lines[0], lines[1], down)


def _nearest(b: Builder, pixels: Pixels, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    r, c = (b.cast(rounded(b, t), INT32) for t in (row, column))
    return pixels.at(b, image, r, c)
