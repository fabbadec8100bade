"""What each element of a sliding window sees: patches, morphology."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import calculate, reshaped, size_of, vector
from tqconv.compose.windows import VALID, Window, framed, lowest, taps
from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.graph import Tensor


def patches(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Put the elements of each window over x: [n, …, c] into the channels: [n, …, window * c]."""
    return joined_taps(b, framed(b, x, windows), windows)


def joined_taps(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return what VALID windows over `x: [n, …, c]` see: [n, …, window elements * c]."""
    if _tile(x, windows):
        return _tiles(b, x, windows)
    parts = [seen for _, seen in taps(b, x, windows)]
    if len(parts) == 1:
        return parts[0]
    return b("CONCATENATION", *parts, axis=x.rank - 1)


def _tile(x: Tensor, windows: Sequence[Window]) -> bool:
    """Whether two axes of windows side by side see each element of an image."""
    if len(windows) != 2 or x.rank != 4 or None in x.shape[1:]:
        return False
    beside = all(w.stride == w.size > 1 and w.rate == 1 for w in windows)
    pairs = zip(x.shape[1:3], windows, strict=True)
    return beside and all((size or 0) % window.size == 0 for size, window in pairs)


def _tiles(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    rows, columns = (window.size for window in windows)
    n, h, w, c = x.shape
    assert h is not None
    assert w is not None
    assert c is not None
    if rows == columns and x.dtype == np.float32:
        return b("SPACE_TO_DEPTH", x, block_size=rows)
    apart = b.reshape(x, (n, h // rows, rows, w // columns, columns, c))
    sizes = (n, h // rows, w // columns, rows * columns * c)
    return b.reshape(b.transpose(apart, (0, 1, 3, 2, 4, 5)), sizes)


def dilated(b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return the maximum of x + w over each window of x: [n, h, w, c], w: [kh, kw, c].

    Padding never wins; for integers `w` must be a constant then.
    """
    least = lowest(x.dtype)
    if x.dtype.kind == "i" and any(window.padding != VALID for window in windows):
        least = np.array(int(least) - min(0, int(b.value(w, "filter").min())), x.dtype)
    best = None
    for (row, column), seen in taps(b, framed(b, x, windows, least), windows):
        place, size = np.array([row, column, 0], np.int32), np.array([1, 1, -1], np.int32)
        term = b("ADD", seen, b.reshape(b("SLICE", w, place, size), (w.shape[2],)))
        best = term if best is None else b("MAXIMUM", best, term)
    assert best is not None
    return best


def folded(
    b: Builder, x: Tensor, rows: int, sizes: Sequence[int], windows: Sequence[Window]
) -> Tensor:
    """Add up what windows hold, x: [n, c * taps, windows], to [n, c, *sizes].

    rows: c * taps. What lies in the padding is dropped.
    """
    axes = []
    for size, window in zip(sizes, windows, strict=True):
        assert isinstance(window.padding, tuple)
        before, after = window.padding
        count = (size + before + after - window.reach) // window.stride + 1
        b.pay(count * window.size, "block_shape")
        starts = np.arange(count) * window.stride - before
        axes.append(np.arange(window.size)[:, None] * window.rate + starts)
    taps = [len(axis) for axis in axes]
    channels, blocks = rows // math.prod(taps), [axis.shape[1] for axis in axes]
    if channels * math.prod(taps) != rows or x.shape[2] not in (None, math.prod(blocks)):
        raise UnsupportedError(f"{shaped(x.shape)} does not hold blocks of {taps} of {list(sizes)}")
    b.pay(math.prod(taps) * math.prod(blocks), "block_shape")
    place, inside = np.zeros((), np.int64), np.ones((), bool)
    for number, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        shape = [1] * (2 * len(axes))
        shape[number], shape[len(axes) + number] = axis.shape
        at = axis.reshape(shape)
        place, inside = place * size + at, inside & (at >= 0) & (at < size)
    total = math.prod(sizes)
    # What lies in the padding goes to a place of its own behind the image.
    flat = np.where(inside, place, total).reshape(-1, 1).astype(np.int32)
    n = size_of(b, x, 0)
    parts = reshaped(b, x, [calculate(b, "MUL", n, channels), flat.size])
    images = size_of(b, parts, 0)
    added = b("SCATTER_ND", flat, b.transpose(parts, (1, 0)), vector(b, [total + 1, images]))
    kept = b("SLICE", added, np.zeros(2, np.int32), np.array([total, -1], np.int32))
    return reshaped(b, b.transpose(kept, (1, 0)), [n, channels, *sizes])
