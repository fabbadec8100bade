"""Convolutions whose elements lie beside their regular places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import lattice, products
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import joined
from tqconv.compose.sizes import reshaped, size_of, sizes_of
from tqconv.compose.slices import along
from tqconv.compose.windows import Window
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.handlers.windows import windows_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("DeformConv", since=19)
def deform_conv(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    offset: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Convolve x: [n, c, h, w] with elements that lie beside their regular places.

    offset: [n, offset groups * taps * (y, x), h, w], mask: [n, offset groups * taps, h, w].
    """
    if x.rank != 4:
        raise UnsupportedError(f"DeformConv over {x.rank - 2} axes")
    windows = windows_of(
        x, w.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad="NOTSET"
    )
    count = windows[0].size * windows[1].size
    n, _, rows, columns = sizes_of(b, offset)
    moved = reshaped(b, offset, [n, offset_group, count, 2, rows, columns])
    counts = [static_size(offset, axis) for axis in (2, 3)]
    b.pay(2 * count * counts[0] * counts[1], "offset")
    regular = _regular(windows, counts)
    channels = static_size(x, 1) // offset_group
    pixels = b.to_channels_last(x)
    parts = []
    for number in range(offset_group):
        own = along(b, moved, 1, number, number + 1)
        away = [along(b, own, 3, axis, axis + 1) for axis in (0, 1)]
        places = [
            b("ADD", reshaped(b, shift, [n, count, rows, columns]), grid)
            for shift, grid in zip(away, regular, strict=True)
        ]
        group_pixels = along(b, pixels, 3, number * channels, (number + 1) * channels)
        parts.append(lattice.read(b, group_pixels, places))
    seen = joined(b, parts, 4)
    if mask is not None:
        seen = _weighted(b, seen, mask, offset_group)
    y = _combined(b, b.transpose(seen, (0, 2, 3, 1, 4)), w, group)
    return b.to_channels_first(y if bias is None else b("ADD", y, bias))


def _regular(windows: Sequence[Window], counts: Sequence[int]) -> list[NDArray[np.float32]]:
    """Return where taps would lie without offsets, for both axes: [1, taps, h, w]."""
    taps = [(i, k) for i in range(windows[0].size) for k in range(windows[1].size)]
    grids = []
    for axis, (window, count) in enumerate(zip(windows, counts, strict=True)):
        assert isinstance(window.padding, tuple)
        starts = np.arange(count, dtype=F) * window.stride - window.padding[0]
        first = np.array([tap[axis] for tap in taps], F) * window.rate
        column = starts.reshape((-1, 1) if axis == 0 else (1, -1))
        grids.append(np.asarray(first[:, None, None] + column, F)[None])
    return grids


def _weighted(b: ONNXBuilder, seen: Tensor, mask: Tensor, groups: int) -> Tensor:
    """Multiply what taps see, [n, taps, h, w, c], by one weight for each group of channels."""
    n, taps, rows, columns, channels = sizes_of(b, seen)
    assert isinstance(channels, int)
    parts = reshaped(b, seen, [n, taps, rows, columns, groups, channels // groups])
    weights = b.transpose(reshaped(b, mask, [n, groups, taps, rows, columns]), (0, 2, 3, 4, 1))
    weights = reshaped(b, weights, [n, taps, rows, columns, groups, 1])
    return reshaped(b, b("MUL", parts, weights), [n, taps, rows, columns, channels])


def _combined(b: ONNXBuilder, seen: Tensor, w: Tensor, groups: int) -> Tensor:
    """Multiply what taps see, [n, h, w, taps, c], with w: [out, c / groups, k…]."""
    n, rows, columns = sizes_of(b, seen)[:3]
    taps, out, own = static_size(seen, 3), static_size(w, 0), static_size(w, 1)
    filters = reshaped(b, w, [out, own, taps])
    parts = []
    for number in range(groups):
        inputs = along(b, seen, 4, number * own, (number + 1) * own)
        chosen = along(b, filters, 0, number * out // groups, (number + 1) * out // groups)
        matrix = reshaped(b, b.transpose(chosen, (2, 1, 0)), [taps * own, size_of(b, chosen, 0)])
        flat = reshaped(b, inputs, [n, rows, columns, taps * own])
        parts.append(products.product(b, flat, matrix))
    return joined(b, parts, 3)
