"""Transposed convolutions over one to three axes: the adjoints of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.conv import in_one_row, options_of
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import Size, calculate, reshaped, size_of, vector
from tqconv.compose.windows import SAME, Window, amounts_of, kernel_padding
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

ROWS, COLUMNS = np.array([0], np.int32), np.array([1], np.int32)


def transposed(
    b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window], sizes: Sequence[Size]
) -> Tensor:
    """Spread x: [n, …, in] by w: [k…, out / groups, in] into a tensor of `sizes`: [n, …, out].

    The windows are those of the convolution from the result to `x`, their padding is taken away
    from the result; `spread_sizes` tells which sizes are usual.
    """
    if len(windows) == 1:
        rows = [sizes[0], 1, *sizes[1:]]
        return in_one_row(
            b, x, w, windows[0], lambda b, x, w, both: transposed(b, x, w, both, rows)
        )
    if len(windows) == 2:
        w = _dilated(b, w, [window.rate for window in windows])
    own = kernel_padding(windows)
    if own is not None:
        return _by_kernel(b, x, w, windows, sizes, own)
    pairs = [amounts_of(b, s, each) for s, each in zip(sizes[1:-1], windows, strict=True)]
    inner = [
        calculate(b, "ADD", size, *pair) for size, pair in zip(sizes[1:-1], pairs, strict=True)
    ]
    y = _by_kernel(b, x, w, windows, [sizes[0], *inner, sizes[-1]], "VALID")
    begin = vector(b, [0, *(before for before, _ in pairs), 0])
    return b("SLICE", y, begin, vector(b, sizes))


def spread_sizes(
    b: Builder, x: Tensor, channels: Size, windows: Sequence[Window], extra: Sequence[int] = ()
) -> list[Size]:
    """Return the sizes of a transposed convolution of x: [n, …, in] to `channels`.

    With SAME padding an axis becomes its size times the stride. Else all that is reached counts,
    less the padding, and `extra` (less than the stride) behind it.
    """
    inner: list[Size] = []
    for axis, window in enumerate(windows):
        size = size_of(b, x, axis + 1)
        if not isinstance(window.padding, tuple):
            inner.append(calculate(b, "MUL", size, window.stride))
            continue
        more = window.reach - window.stride - sum(window.padding)
        more += extra[axis] if extra else 0
        inner.append(calculate(b, "ADD", calculate(b, "MUL", size, window.stride), more))
    return [size_of(b, x, 0), *inner, channels]


def spread_channels(
    b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window], sizes: Sequence[Size]
) -> Tensor:
    """Spread each channel of x: [n, h, w, out * multiplier] by w: [kh, kw, out, multiplier].

    TRANSPOSE_CONV has no groups, so `x` gets zeros between its elements and meets `w` turned. All
    sizes but that of the batch must be known.
    """
    w = _dilated(b, w, [window.rate for window in windows])
    spread = _with_gaps(b, x, [window.stride for window in windows])
    for axis, window in enumerate(windows, 1):
        wanted, reach = sizes[axis], static_size(w, axis - 1)
        if not isinstance(wanted, int):
            raise UnsupportedError("the sizes of the result are not known")
        if isinstance(window.padding, tuple):
            before = window.padding[0]
        else:
            lacking = max((static_size(x, axis) - 1) * window.stride + reach - wanted, 0)
            before = lacking // 2 if window.padding == SAME else lacking - lacking // 2
        spread = _framed(b, spread, axis, reach - 1 - before, wanted + reach - 1)
    turned = b("REVERSE_V2", b("REVERSE_V2", w, ROWS), COLUMNS)
    return _convolve_channels(b, spread, turned)


def _by_kernel(
    b: Builder,
    x: Tensor,
    w: Tensor,
    windows: Sequence[Window],
    sizes: Sequence[Size],
    padding: str,
) -> Tensor:
    """Emit one TRANSPOSE_CONV or CONV_3D_TRANSPOSE for each group."""
    each, all_ = w.shape[-2], sizes[-1]
    groups = all_ // each if isinstance(all_, int) and each else 1
    if groups == 1:
        pieces = [(w, x)]
    else:
        axis = np.array(x.rank - 1, np.int32)
        filters = b("SPLIT", axis, w, num_splits=groups)
        pieces = list(zip(filters, b("SPLIT", axis, x, num_splits=groups), strict=True))
    size = vector(b, sizes if groups == 1 or each is None else [*sizes[:-1], each])
    make = _in_space if len(windows) == 3 else _in_plane
    parts = [make(b, size, f, part, windows, padding) for f, part in pieces]
    return parts[0] if groups == 1 else b("CONCATENATION", *parts, axis=x.rank - 1)


def _in_plane(
    b: Builder, size: Any, w: Tensor, x: Tensor, windows: Sequence[Window], padding: str
) -> Tensor:
    options = options_of(windows, dilations=False)
    return b("TRANSPOSE_CONV", size, b.turned(w, (2, 0, 1, 3)), x, padding=padding, **options)


def _in_space(
    b: Builder, size: Any, w: Tensor, x: Tensor, windows: Sequence[Window], padding: str
) -> Tensor:
    return b("CONV_3D_TRANSPOSE", size, w, x, padding=padding, **options_of(windows))


def _dilated(b: Builder, w: Tensor, rates: Sequence[int]) -> Tensor:
    """Return the filter with zeros between its taps, which stand for a dilation."""
    if all(rate == 1 for rate in rates):
        return w
    height, width = static_size(w, 0), static_size(w, 1)
    flat = b.reshape(w, (1, height, width, static_size(w, 2) * static_size(w, 3)))
    spread = _with_gaps(b, flat, rates)
    for axis, (size, rate) in enumerate(zip((height, width), rates, strict=True), 1):
        spread = _framed(b, spread, axis, 0, (size - 1) * rate + 1)
    return b.reshape(spread, (*spread.shape[1:3], *w.shape[2:]))


def _with_gaps(b: Builder, x: Tensor, steps: Sequence[int]) -> Tensor:
    """Return `x: [n, h, w, c]` with step - 1 zeros behind each row and column."""
    if all(step == 1 for step in steps):
        return x
    n, (height, width, c) = size_of(b, x, 0), (static_size(x, axis) for axis in (1, 2, 3))
    cells = reshaped(b, x, [calculate(b, "MUL", n, height), 1, width, 1, c])
    after = np.zeros((5, 2), np.int32)
    after[1, 1], after[3, 1] = steps[0] - 1, steps[1] - 1
    return reshaped(b, b("PAD", cells, after), [n, height * steps[0], width * steps[1], c])


def _framed(b: Builder, x: Tensor, axis: int, before: int, length: int) -> Tensor:
    """Return `x` with `before` zeros in front of an axis (cut off if negative), `length` in all."""
    after = length - before - static_size(x, axis)
    if before < 0 or after < 0:
        begin, size = np.zeros(x.rank, np.int32), np.full(x.rank, -1, np.int32)
        begin[axis] = max(-before, 0)
        size[axis] = static_size(x, axis) - max(-before, 0) - max(-after, 0)
        x = b("SLICE", x, begin, size)
    pairs = np.zeros((x.rank, 2), np.int32)
    pairs[axis] = max(before, 0), max(after, 0)
    return b("PAD", x, pairs) if pairs.any() else x


def _convolve_channels(b: Builder, x: Tensor, w: Tensor) -> Tensor:
    """Sum the `multiplier` channels that belong to each output: w: [kh, kw, out, multiplier]."""
    height, width, channels, multiplier = (static_size(w, axis) for axis in range(4))
    bias = np.zeros(channels, np.float32)
    options: dict[str, Any] = {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    if multiplier > 1:
        return b("CONV_2D", x, b.turned(w, (2, 0, 1, 3)), bias, **options)
    flat = b.reshape(w, (1, height, width, channels))
    return b("DEPTHWISE_CONV_2D", x, flat, bias, depth_multiplier=1, **options)
