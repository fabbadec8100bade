"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.operands import static_size
from tqconv.compose.sizes import calculate, reshaped, size_of, sizes_of
from tqconv.compose.windows import (
    Window,
    lowest,
    pad_explicitly,
    pad_for,
    same_amounts,
    taps,
)
from tqconv.errors import Unsupported
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

KINDS = {"A": "AVERAGE_POOL_2D", "M": "MAX_POOL_2D"}
"""First letter of an operator -> kernel."""
WIDE = frozenset({"int32", "int64", "uint32", "uint64"})
"""Types that float32 does not hold exactly, so that MAX_POOL_2D cannot be used."""


@handles("MaxPool", "AvgPool")
def pool(
    b: TFBuilder,
    x: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Pool over windows; padding never counts."""
    x = b.to_nhwc(x, data_format)
    channels = ksize[1] if data_format.startswith("NC") else ksize[3]
    if channels != 1:
        return b.from_nhwc(_max_over_channels(b, x, ksize, strides, channels), data_format)
    x, padding = pad_explicitly(b, x, padding, explicit_paddings, data_format, lowest(x.dtype))
    kernel, steps = b.spatial(ksize, data_format), b.spatial(strides, data_format)
    kind = KINDS[b.node.op.removeprefix("Quantized")[0]]
    by_taps = x.dtype.name in WIDE
    y = (_max_by_taps if by_taps else _pool)(b, kind, x, kernel, steps, padding)
    return b.from_nhwc(y, data_format)


@handles("MaxPoolV2")
def max_pool_v2(
    b: TFBuilder,
    x: Tensor,
    ksize: Tensor,
    strides: Tensor,
    *,
    padding: str,
    data_format: str = "NHWC",
) -> Tensor:
    """Pool over windows whose sizes are operands."""
    sizes, steps = b.ints(ksize, "ksize"), b.ints(strides, "strides")
    return pool(b, x, ksize=sizes, strides=steps, padding=padding, data_format=data_format)


@handles("MaxPool3D", "AvgPool3D")
def pool3d(
    b: TFBuilder,
    x: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    data_format: str = "NDHWC",
) -> Tensor:
    """Pool over height and width, then over depth: means and counts of a box are products too."""
    x = b.to_nhwc(x, data_format)
    kernel, steps = b.spatial(ksize, data_format), b.spatial(strides, data_format)
    kind = KINDS[b.node.op[0]]
    n, d, h, w, c = sizes_of(b, x)
    flat = reshaped(b, x, [calculate(b, "MUL", n, d), h, w, c])
    flat = _pool(b, kind, flat, kernel[1:], steps[1:], padding)
    _, h, w, _ = sizes_of(b, flat)
    columns = reshaped(b, flat, [n, d, calculate(b, "MUL", h, w), c])
    columns = _pool(b, kind, columns, [kernel[0], 1], [steps[0], 1], padding)
    y = reshaped(b, columns, [n, size_of(b, columns, 1), h, w, c])
    return b.from_nhwc(y, data_format)


@handles("MaxPoolWithArgmax")
def max_pool_with_argmax(
    b: TFBuilder,
    x: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    Targmax: TypeNumber | None = None,  # noqa: N803
    include_batch_in_index: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return maxima, and where each is first found: (row * width + column) * channels + channel."""
    kernel, steps = b.spatial(ksize, "NHWC"), b.spatial(strides, "NHWC")
    windows = [Window(*each) for each in zip(kernel, steps, strict=True)]
    height, width, channels = (static_size(x, axis) for axis in (1, 2, 3))
    seen = dict(taps(b, pad_for(b, x, padding, windows, lowest(x.dtype)), windows))
    stacked = b("PACK", *seen.values(), axis=4, values_count=len(seen))
    axis = np.array(4, np.int32)
    place = b("ARG_MAX", stacked, axis, output_type="INT64")
    offsets = np.array([(row * width + column) * channels for row, column in seen], np.int64)
    before = _padding_before(b, x, windows, padding)
    first = [
        np.arange(static_size(place, axis)) * step - pad
        for axis, step, pad in zip((1, 2), steps, before, strict=True)
    ]
    corner = (first[0][:, None] * width + first[1])[..., None] * channels + np.arange(channels)
    index = b("ADD", b("GATHER", offsets, place), corner.astype(np.int64)[None])
    if include_batch_in_index:
        index = b("ADD", index, _batch_offset(b, x, height * width * channels))
    y = b("REDUCE_MAX", stacked, axis.reshape(1))
    return y, b.cast(index, np.int64 if Targmax is None else Targmax.dtype)


def _max_over_channels(
    b: TFBuilder, x: Tensor, kernel: Sequence[int], steps: Sequence[int], size: int
) -> Tensor:
    """Return the maximum of each `size` neighbouring channels of `x: [n, h, w, c]`."""
    if sorted(kernel) != [1, 1, 1, size] or list(kernel) != list(steps):
        raise Unsupported(f"a window over channels and more: {list(kernel)} by {list(steps)}")
    groups = reshaped(b, x, [*sizes_of(b, x)[:3], static_size(x, 3) // size, size])
    return b("REDUCE_MAX", groups, np.array([4], np.int32))


def _max_by_taps(
    b: TFBuilder, kind: str, x: Tensor, kernel: Sequence[int], steps: Sequence[int], padding: str
) -> Tensor:
    """Pool integers that MAX_POOL_2D's float32 does not hold: first the columns, then the rows."""
    windows = [Window(*each) for each in zip(kernel, steps, strict=True)]
    y = pad_for(b, x, padding, windows, lowest(x.dtype))
    for along in ([windows[0], Window(1, 1)], [Window(1, 1), windows[1]]):
        first, *others = (seen for _, seen in taps(b, y, along))
        y = first
        for other in others:
            y = b("MAXIMUM", y, other)
    return y


def _batch_offset(b: TFBuilder, x: Tensor, size: int) -> Tensor:
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    count = size_of(b, x, 0)
    numbers = b("RANGE", zero, np.array(count, np.int32) if isinstance(count, int) else count, one)
    offsets: Tensor = b("MUL", b.cast(numbers, np.int64), np.array(size, np.int64))
    return reshaped(b, offsets, [count, 1, 1, 1])


def _padding_before(b: TFBuilder, x: Tensor, windows: Sequence[Window], padding: str) -> list[int]:
    if padding == "VALID":
        return [0] * len(windows)
    amounts = (same_amounts(b, static_size(x, axis), w)[0] for axis, w in enumerate(windows, 1))
    return [int(amount) for amount in amounts if isinstance(amount, int)]


def _pool(
    b: TFBuilder, kind: str, x: Tensor, kernel: Sequence[int], steps: Sequence[int], padding: str
) -> Tensor:
    return b(
        kind,
        x,
        padding=padding,
        filter_height=kernel[0],
        filter_width=kernel[1],
        stride_h=steps[0],
        stride_w=steps[1],
    )
