"""What the weights of an operator meet: the second moments of its input columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Op

ROWS_PER_WEIGHT, ROWS_AT_LEAST = 6, 2048
"""Columns over all samples that are looked at: more change the moments little."""
FEWEST_ROWS = 32
"""Columns of one sample, at least."""
TOGETHER = 1024
"""Columns that are multiplied at once."""
WIDEST = 4608
"""Weights per output beyond which the moments would take too long (512 channels of 3 x 3)."""
FITTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})

Floats = NDArray[np.floating[Any]]


@dataclass
class Moments:
    """Sums over input columns x: `second` = sum x x' [g, n, n], `first` = sum x [g, n].

    g: independent groups of outputs (the channels of a depthwise convolution), else 1; n: weights
    that one output multiplies with.
    """

    second: NDArray[np.float64]
    first: NDArray[np.float64]
    rows: int = 0
    waiting: list[Floats] = field(default_factory=list)

    def add(self, columns: Floats) -> None:
        """Take in columns [rows, g, n]."""
        self.waiting.append(columns)
        if sum(c.shape[0] for c in self.waiting) >= TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Multiply what is waiting; until then `second` and `first` lack it."""
        if not self.waiting:
            return
        columns = np.concatenate(self.waiting)
        self.waiting.clear()
        grouped = np.ascontiguousarray(columns.transpose(1, 0, 2), np.float32)
        self.second += np.matmul(grouped.transpose(0, 2, 1), grouped)
        self.first += columns.sum(axis=0, dtype=np.float64)
        self.rows += columns.shape[0]


def joined(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all columns of the parts."""
    if len(parts) == 1:
        return parts[0]
    second = np.sum([p.second for p in parts], axis=0)
    return Moments(second, np.sum([p.first for p in parts], axis=0), sum(p.rows for p in parts))


def can_fit(op: Op) -> bool:
    """Whether the operator's rounding can be fitted: plain products of moderate width."""
    if op.type not in FITTED or op.input(1).data is None or not op.input(1).is_static:
        return False
    w = op.input(1).shape
    if op.type == "CONV_2D" and op.input(0).shape[3] != w[3]:
        return False
    return width(op) <= WIDEST


def width(op: Op) -> int:
    """Return how many weights one output multiplies with."""
    w = [int(d or 0) for d in op.input(1).shape]
    return w[1] * w[2] if op.type == "DEPTHWISE_CONV_2D" else int(np.prod(w[1:]))


def empty(op: Op) -> Moments:
    """Return moments of no columns."""
    groups = int(op.input(0).shape[3] or 1) if op.type == "DEPTHWISE_CONV_2D" else 1
    n = width(op)
    return Moments(np.zeros((groups, n, n)), np.zeros((groups, n)))


def rows_each(op: Op, samples: int) -> int:
    """Return how many columns of each of so many samples are worth looking at."""
    return max(FEWEST_ROWS, (ROWS_PER_WEIGHT * width(op) + ROWS_AT_LEAST) // max(samples, 1))


def columns(op: Op, x: Floats, most: int) -> Floats:
    """Return columns [rows, g, n] that the weights meet in one sample `x` of the input.

    At most so many; an even selection of them.
    """
    if op.type == "FULLY_CONNECTED":
        flat = x.reshape(-1, int(op.input(1).shape[1] or 1))
        return np.array(_some(flat, most)[:, None, :])
    kernel = [int(d or 1) for d in op.input(1).shape[1:3]]
    patches = _patches(op, x, kernel, most)
    if op.type == "DEPTHWISE_CONV_2D":
        return patches.transpose(0, 2, 1)
    return patches.reshape(patches.shape[0], 1, -1)


def _some(rows: Floats, most: int) -> Floats:
    return rows[:: max(1, -(-rows.shape[0] // most))]


def _patches(op: Op, x: Floats, kernel: list[int], most: int) -> Floats:
    """Return windows [rows, kh * kw, c] of an image [b, h, w, c], an even selection of them."""
    option = op.options.get
    strides = [option("stride_h", 1), option("stride_w", 1)]
    dilations = [option("dilation_h_factor", 1), option("dilation_w_factor", 1)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    x = _padded(x, reach, strides) if option("padding", "SAME") == "SAME" else x
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    windows = windows[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
    batch, height, wide, channels = windows.shape[:4]
    places = _some(np.arange(batch * height * wide), most)
    b, rest = np.divmod(places, height * wide)
    chosen = windows[b, rest // wide, rest % wide]
    return chosen.reshape(len(places), channels, -1).transpose(0, 2, 1)


def _padded(x: Floats, reach: list[int], strides: list[int]) -> Floats:
    """Return the image with the zeros that SAME padding adds, the odd one at the end."""
    pads = [(0, 0)]
    for size, window, stride in zip(x.shape[1:3], reach, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, [*pads, (0, 0)])
