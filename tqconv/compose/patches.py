"""What each element of a sliding window sees: patches, morphology."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.windows import VALID, Window, framed, lowest, taps
from tqconv.ir.graph import Tensor


def patches(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Put the elements of each window over x: [n, …, c] into the channels: [n, …, window * c]."""
    return joined_taps(b, framed(b, x, windows), windows)


def joined_taps(b: Builder, x: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return what VALID windows over `x: [n, …, c]` see: [n, …, window elements * c]."""
    parts = [seen for _, seen in taps(b, x, windows)]
    if len(parts) == 1:
        return parts[0]
    return b("CONCATENATION", *parts, axis=x.rank - 1)


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
