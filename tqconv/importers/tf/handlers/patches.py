"""Operators that look at each element of a sliding window: patches, morphology."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.windows import Window, lowest, pad_for, taps
from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor


@handles("ExtractImagePatches", "ExtractVolumePatches")
def extract_patches(
    b: TFBuilder,
    x: Tensor,
    *,
    ksizes: list[int],
    strides: list[int],
    padding: str,
    rates: Sequence[int] | None = None,
) -> Tensor:
    """Put the elements of each window into the channels, in the order of its axes."""
    windows = _windows(b, ksizes, strides, rates)
    return joined_taps(b, pad_for(b, x, padding, windows), windows)


@handles("Dilation2D")
def dilation2d(
    b: TFBuilder,
    x: Tensor,
    w: Tensor,
    *,
    strides: list[int],
    rates: list[int],
    padding: str,
) -> Tensor:
    """Return the maximum of x + w over each window, w: [kh, kw, c]."""
    if w.shape[0] is None or w.shape[1] is None:
        raise Unsupported("the size of input `filter` is unknown")
    windows = _windows(b, [1, w.shape[0], w.shape[1], 1], strides, rates)
    least = lowest(x.dtype)
    if x.dtype.kind == "i" and padding == "SAME":
        least = np.array(int(least) - min(0, int(b.value(w, "filter").min())), x.dtype)
    best = None
    for (row, column), seen in taps(b, pad_for(b, x, padding, windows, least), windows):
        place, size = np.array([row, column, 0], np.int32), np.array([1, 1, -1], np.int32)
        term = b("ADD", seen, b.reshape(b("SLICE", w, place, size), (w.shape[2],)))
        best = term if best is None else b("MAXIMUM", best, term)
    assert best is not None
    return best


def joined_taps(b: TFBuilder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return what VALID windows over `x: [n, …, c]` see: [n, …, window elements * c]."""
    parts = [seen for _, seen in taps(b, x, windows)]
    if len(parts) == 1:
        return parts[0]
    return b("CONCATENATION", *parts, axis=x.rank - 1)


def _windows(
    b: TFBuilder, kernel: Sequence[int], strides: Sequence[int], rates: Sequence[int] | None
) -> list[Window]:
    sizes, steps = b.spatial(list(kernel), "NHWC"), b.spatial(list(strides), "NHWC")
    gaps = [1] * len(sizes) if rates is None else b.spatial(list(rates), "NHWC")
    return [Window(*each) for each in zip(sizes, steps, gaps, strict=True)]
