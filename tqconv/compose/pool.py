"""Pooling over one to three axes, with any padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import (
    Size,
    calculate,
    inserted,
    operand,
    removed,
    reshaped,
    size_of,
    sizes_of,
    vector,
)
from tqconv.compose.windows import (
    VALID,
    Window,
    amounts_of,
    framed,
    kernel_padding,
    known_amounts,
    left_to_kernel,
    lowest,
    padded,
    taps,
)
from tqconv.ir.graph import Tensor

MAX, AVERAGE = "MAX_POOL_2D", "AVERAGE_POOL_2D"
WIDE = frozenset({"int32", "int64", "uint32", "uint64"})
"""Types that float32 does not hold exactly, so that MAX_POOL_2D cannot be used."""
Amounts = Sequence[tuple[int, int]]


def max_pool(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return the largest element of each window over x: [n, …, c]; padding never wins."""
    if x.dtype.name in WIDE or any(window.rate != 1 for window in windows):
        return _by_taps(b, x, windows, "MAXIMUM", lowest(x.dtype))
    if kernel_padding(windows) is None:
        x, windows = framed(b, x, windows, lowest(x.dtype)), _unpadded(windows)
    return _over_axes(b, MAX, x, windows)


def average_pool(
    b: Builder, x: Tensor, windows: Sequence[Window], counted: Amounts | None = None
) -> Tensor:
    """Return the mean of each window over x: [n, …, c].

    `counted`: how many elements of the padding before and after each axis count as zeros; None:
    no padding counts.
    """
    counted = [(0, 0)] * len(windows) if counted is None else counted
    own = kernel_padding(windows) if all(window.rate == 1 for window in windows) else None
    if own == "VALID" or (own == "SAME" and not any(map(any, counted))):
        return _over_axes(b, AVERAGE, x, windows)
    share = _share(b, x, windows, counted)
    bare = _unpadded(windows)
    y = _mean(b, framed(b, x, windows), bare)
    if share is None:
        return y
    if isinstance(share, np.ndarray):
        return y if (share == 1).all() else b("MUL", y, (1 / share).astype(x.dtype))
    return b("DIV", y, _mean(b, share, bare))


def ceiled(window: Window, size: int | None) -> Window:
    """Return a window with so much padding behind that the last, partial window counts.

    A window that would begin in the padding behind is left out. Where the size is unknown, there
    is as much padding as any size may need; what is too much for one makes no window.
    """
    if not isinstance(window.padding, tuple):
        return window
    before, after = window.padding
    if size is None:
        return replace(window, padding=(before, min(after + window.stride, window.reach) - 1))
    room = size + before + after - window.reach
    count = -(-room // window.stride) + 1
    if (count - 1) * window.stride >= size + before:
        count -= 1
    return replace(
        window, padding=(before, (count - 1) * window.stride + window.reach - size - before)
    )


def padded_mean(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return the mean of each window over x: [n, …, c]; all padding counts as zeros."""
    return _mean(b, framed(b, x, windows), _unpadded(windows))


def sum_pool(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return the sum of each window over x: [n, …, c]; padding is zeros."""
    mean = padded_mean(b, x, windows)
    return b("MUL", mean, np.array(np.prod([w.size for w in windows]), x.dtype))


def unpooled(b: Builder, x: Tensor, places: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return zeros of `sizes` with the elements of `x` at flat places."""
    total = vector(b, [calculate(b, "MUL", 1, *sizes)])
    column = reshaped(b, b.cast(places, np.int32), [-1, 1])
    return reshaped(b, b("SCATTER_ND", column, reshaped(b, x, [-1]), total), sizes)


def max_pool_places(
    b: Builder, x: Tensor, windows: Sequence[Window], steps: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Return the largest elements of windows over x: [n, …, c], and where each is first found.

    A place is int64: image, place on each axis and channel, each times its own of `steps`.
    """
    channels = static_size(x, -1)
    image_step, *inner, channel_step = steps
    seen = dict(taps(b, framed(b, x, windows, lowest(x.dtype)), windows))
    stacked = b("PACK", *seen.values(), axis=x.rank, values_count=len(seen))
    axis = np.array(x.rank, np.int32)
    place = b("ARG_MAX", stacked, axis, output_type="INT64")
    rates = [window.rate for window in windows]
    offsets = np.array([np.dot(np.multiply(tap, rates), inner) for tap in seen], np.int64)
    b.pay(channels * math.prod(d or 1 for d in place.shape[1:-1]), "argmax")
    corner = np.arange(channels) * channel_step
    for number, (window, step) in enumerate(zip(windows, inner, strict=True), 1):
        before = known_amounts(b, static_size(x, number), window)[0]
        starts = np.arange(static_size(place, number)) * window.stride - before
        corner = corner + (starts * step).reshape(-1, *[1] * (x.rank - 1 - number))
    index = b("ADD", b("GATHER", offsets, place), corner.astype(np.int64)[None])
    if image_step:
        index = b("ADD", index, _of_images(b, x, image_step))
    return b("REDUCE_MAX", stacked, axis.reshape(1)), index


def max_over_channels(b: Builder, x: Tensor, count: int) -> Tensor:
    """Return the maximum of each `count` neighbouring channels of `x: [n, h, w, c]`."""
    groups = reshaped(b, x, [*sizes_of(b, x)[:3], static_size(x, 3) // count, count])
    return b("REDUCE_MAX", groups, np.array([4], np.int32))


def _of_images(b: Builder, x: Tensor, step: int) -> Tensor:
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    count = size_of(b, x, 0)
    numbers = b("RANGE", zero, operand(count), one)
    steps = b("MUL", b.cast(numbers, np.int64), np.array(step, np.int64))
    return reshaped(b, steps, [count, *[1] * (x.rank - 1)])


def _over_axes(b: Builder, type: str, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Pool by kernels of two axes: means and counts of a box are products too."""
    if len(windows) == 1:
        return removed(b, _over_axes(b, type, inserted(b, x, 1), [Window(1), *windows]), 1)
    x, padding = left_to_kernel(b, x, windows)
    if len(windows) == 2:
        return _by_kernel(b, type, x, windows, padding)
    n, d, h, w, c = sizes_of(b, x)
    flat = reshaped(b, x, [calculate(b, "MUL", n, d), h, w, c])
    flat = _by_kernel(b, type, flat, windows[1:], padding)
    _, h, w, _ = sizes_of(b, flat)
    columns = reshaped(b, flat, [n, d, calculate(b, "MUL", h, w), c])
    columns = _by_kernel(b, type, columns, [windows[0], Window(1)], padding)
    return reshaped(b, columns, [n, size_of(b, columns, 1), h, w, c])


def _by_kernel(b: Builder, type: str, x: Tensor, windows: Sequence[Window], padding: str) -> Tensor:
    rows, columns = windows
    return b(
        type,
        x,
        padding=padding,
        filter_height=rows.size,
        filter_width=columns.size,
        stride_h=rows.stride,
        stride_w=columns.stride,
    )


def _by_taps(
    b: Builder, x: Tensor, windows: Sequence[Window], type: str, value: NDArray[np.generic]
) -> Tensor:
    """Combine what each place of a window sees, one axis after the other."""
    y = framed(b, x, windows, value)
    for axis, window in enumerate(windows):
        along = [window if i == axis else Window(1) for i in range(len(windows))]
        first, *others = (seen for _, seen in taps(b, y, along))
        y = first
        for other in others:
            y = b(type, y, other)
    return y


def _mean(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return means over VALID windows."""
    if all(window.rate == 1 for window in windows):
        return _over_axes(b, AVERAGE, x, windows)
    total = _by_taps(b, x, windows, "ADD", np.array(0, x.dtype))
    count = np.prod([window.size for window in windows])
    return b("MUL", total, np.array(1 / count, x.dtype))


def _share(
    b: Builder, x: Tensor, windows: Sequence[Window], counted: Amounts
) -> NDArray[np.float64] | Tensor | None:
    """Return how much of each window counts: [1, …, 1], None for all of it.

    Where a size is unknown, a padded tensor of ones and zeros, whose means are that.
    """
    if all(w.padding == pair for w, pair in zip(windows, counted, strict=True)):
        return None
    parts = []
    for axis, (window, pair) in enumerate(zip(windows, counted, strict=True), 1):
        size = x.shape[axis]
        if size is None:
            return _ones(b, x, windows, counted)
        before, after = known_amounts(b, size, window)
        count = (size + before + after - window.reach) // window.stride + 1
        b.pay(count * window.size, "kernel")
        starts = np.arange(count)[:, None] * window.stride - before
        places = starts + np.arange(window.size) * window.rate
        inside = (places >= -pair[0]) & (places < size + pair[1])
        shape = [1] * x.rank
        shape[axis] = count
        parts.append(np.maximum(inside.sum(axis=1), 1).reshape(shape) / window.size)
    return np.asarray(np.prod(np.broadcast_arrays(*parts), axis=0))


def _ones(b: Builder, x: Tensor, windows: Sequence[Window], counted: Amounts) -> Tensor:
    sizes: list[Size] = [1]
    rest: list[Size] = [0, 0]
    for axis, (window, pair) in enumerate(zip(windows, counted, strict=True), 1):
        size = size_of(b, x, axis)
        amounts = amounts_of(b, size, window)
        sizes.append(calculate(b, "ADD", size, sum(pair)))
        rest += [calculate(b, "SUB", a, c) for a, c in zip(amounts, pair, strict=True)]
    ones = b("FILL", vector(b, [*sizes, 1]), np.array(1, x.dtype))
    pairs = vector(b, [*rest, 0, 0])
    if isinstance(pairs, np.ndarray):
        return padded(b, ones, pairs.reshape(-1, 2))
    return padded(b, ones, b("RESHAPE", pairs, np.array([x.rank, 2], np.int32)))


def _unpadded(windows: Sequence[Window]) -> list[Window]:
    return [replace(window, padding=VALID) for window in windows]


Pool = Callable[[Builder, Tensor, Sequence[Window]], Tensor]
"""`max_pool` or `average_pool`."""
