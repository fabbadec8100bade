"""Pools over regions of images whose bins are whole pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.crop import cropped
from tqconv.compose.sampling import clamped, real, real_size
from tqconv.compose.sizes import inserted, operand, removed, size_of
from tqconv.compose.slices import along
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

LOWEST = np.finfo(np.float32).min
"""What a pixel outside of a bin counts as."""


@handles("com.microsoft:CropAndResize")
def crop_and_resize(
    b: ONNXBuilder,
    x: Tensor,
    boxes: Tensor,
    images: Tensor,
    crop_size: Tensor,
    *,
    mode: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Tensor:
    """Sample each box of its image on a grid: boxes [r, (y1, x1, y2, x2)] in parts of the image."""
    if mode not in ("bilinear", "nearest"):
        raise UnsupportedError(f"mode `{mode}`")
    size, pixels = b.ints(crop_size, "crop_size"), b.to_channels_last(x)
    found = cropped(
        b, pixels, boxes, images, size, nearest=mode == "nearest", outside=extrapolation_value
    )
    return b.to_channels_first(found)


@handles("MaxRoiPool")
def max_roi_pool(
    b: ONNXBuilder,
    x: Tensor,
    rois: Tensor,
    *,
    pooled_shape: Sequence[int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """The largest element of x: [n, c, h, w] in each bin of regions: [r, c, *pooled_shape].

    rois: [r, (image, x1, y1, x2, y2)], rounded to pixels after they are scaled; a bin without
    pixels holds 0.
    """
    if len(pooled_shape) != 2 or min(pooled_shape) < 1:
        raise FormatError(f"a pooled_shape of {list(pooled_shape)}")
    columns = [along(b, rois, 1, i, i + 1) for i in range(5)]
    image = b.cast(removed(b, columns[0], 1), np.int32)
    pixels = b("GATHER", b.to_channels_last(x), image, axis=0)
    edges = [b("MUL", column, real(spatial_scale)) for column in columns[1:]]
    edges = [_rounded(b, edge) for edge in edges]
    down = _bins(b, edges[1], edges[3], pooled_shape[0], size_of(b, pixels, 1))
    over = _bins(b, edges[0], edges[2], pooled_shape[1], size_of(b, pixels, 2))
    rows = _largest(b, inserted(b, down, 3, 4), inserted(b, pixels, 1), 2)
    found = _largest(b, inserted(b, over, 1, 4), inserted(b, rows, 2), 3)
    last = np.array([2], np.int32)
    some = [b("REDUCE_ANY", inside, last, keep_dims=False) for inside in (down, over)]
    held = b("LOGICAL_AND", inserted(b, some[0], 2), inserted(b, some[1], 1))
    return b.to_channels_first(b("SELECT_V2", inserted(b, held, 3), found, real(0)))


def _rounded(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Round to the nearest integer, halves away from zero."""
    return b("MUL", b("SIGN", x), b("FLOOR", b("ADD", b("ABS", x), real(0.5))))


def _bins(b: ONNXBuilder, start: Tensor, end: Tensor, count: int, size: int | Tensor) -> Tensor:
    """Return which pixels of an axis each bin holds: [r, count, size]; start, end: [r, 1]."""
    length = b("MAXIMUM", b("ADD", b("SUB", end, start), real(1)), real(1))
    width = b("DIV", length, real(count))
    b.pay(count, "pooled_shape")
    numbers = np.arange(count, dtype=np.float32)
    first = b("ADD", b("FLOOR", b("MUL", width, numbers)), start)
    behind = b("ADD", b("CEIL", b("MUL", width, numbers + np.float32(1))), start)
    most = real_size(b, size)
    first, behind = (inserted(b, clamped(b, t, most), 2) for t in (first, behind))
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    places = b.cast(b("RANGE", zero, operand(size), one), np.float32)
    return b("LOGICAL_AND", b("GREATER_EQUAL", places, first), b("LESS", places, behind))


def _largest(b: ONNXBuilder, inside: Tensor, x: Tensor, axis: int) -> Tensor:
    """Return the largest elements along an axis among those inside."""
    shown = b("SELECT_V2", inside, x, np.array(LOWEST, np.float32))
    return b("REDUCE_MAX", shown, np.array([axis], np.int32), keep_dims=False)
