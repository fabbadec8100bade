"""Sliding windows in numpy, the plain way: what the convolution and pooling tests expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def same_padding(size: int, kernel: int, stride: int, rate: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME: what the last window lacks, the larger half behind."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * rate + 1 - size, 0)
    return total // 2, total - total // 2


def pads(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    rates: Sequence[int],
    padding: Any,
) -> list[tuple[int, int]]:
    """Padding before and after each inner axis; `padding` may be a list of pairs."""
    if padding == "VALID":
        return [(0, 0)] * len(sizes)
    if padding == "SAME":
        return [same_padding(*each) for each in zip(sizes, kernel, strides, rates, strict=True)]
    return [tuple(pair) for pair in padding]


def windows(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Any = "VALID",
    rates: Sequence[int] | None = None,
    value: Any = 0,
) -> Array:
    """All windows over x: [n, *sizes, c] as [n, *places, *kernel, c]; `value` fills the padding."""
    rates = [1] * len(kernel) if rates is None else rates
    around = pads(x.shape[1:-1], kernel, strides, rates, padding)
    x = np.pad(x, [(0, 0), *around, (0, 0)], constant_values=value)
    reach = [(k - 1) * r + 1 for k, r in zip(kernel, rates, strict=True)]
    counts = [(s - r) // t + 1 for s, r, t in zip(x.shape[1:-1], reach, strides, strict=True)]
    out = np.empty((x.shape[0], *counts, *kernel, x.shape[-1]), x.dtype)
    for place in np.ndindex(*counts):
        cut = tuple(
            slice(p * t, p * t + r, rate)
            for p, t, r, rate in zip(place, strides, reach, rates, strict=True)
        )
        out[(slice(None), *place)] = x[(slice(None), *cut)]
    return out


def conv(
    x: Array,
    w: Array,
    strides: Sequence[int],
    padding: Any = "SAME",
    rates: Sequence[int] | None = None,
) -> Array:
    """Convolve x: [n, *sizes, c] with w: [*kernel, c / groups, out]."""
    kernel, groups = w.shape[:-2], x.shape[-1] // w.shape[-2]
    parts = []
    for part, filters in zip(np.split(x, groups, -1), np.split(w, groups, -1), strict=True):
        seen = windows(part, kernel, strides, padding, rates)
        parts.append(np.tensordot(seen, filters, len(kernel) + 1))
    return np.concatenate(parts, -1)


def transposed(
    x: Array, w: Array, sizes: Sequence[int], strides: Sequence[int], padding: Any = "SAME"
) -> Array:
    """The adjoint of `conv` with w: [*kernel, out, in]: y with `sizes` along the inner axes."""
    kernel = w.shape[:-2]
    around = pads(sizes, kernel, strides, [1] * len(kernel), padding)
    whole = [s + a + b for s, (a, b) in zip(sizes, around, strict=True)]
    y = np.zeros((x.shape[0], *whole, w.shape[-2]), x.dtype)
    for place in np.ndindex(*x.shape[1:-1]):
        cut = tuple(slice(p * t, p * t + k) for p, t, k in zip(place, strides, kernel, strict=True))
        spread = np.einsum("nc,...oc->n...o", x[(slice(None), *place)], w)
        y[(slice(None), *cut)] += spread
    kept = tuple(slice(a, a + s) for s, (a, _) in zip(sizes, around, strict=True))
    return y[(slice(None), *kept)]
