"""Sliding windows: their padding, and their elements one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, size_of, vector
from tqconv.errors import Unsupported
from tqconv.ir.graph import Tensor


@dataclass(frozen=True)
class Window:
    """A window along one axis."""

    kernel: int
    stride: int
    rate: int = 1

    @property
    def reach(self) -> int:
        """How many positions it spans, gaps included."""
        return (self.kernel - 1) * self.rate + 1


def lowest(dtype: np.dtype) -> NDArray[Any]:
    """Return the value that never wins a maximum."""
    least = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
    return np.array(least, dtype)


def explicit_pairs(amounts: Sequence[int], data_format: str) -> NDArray[np.int32]:
    """Return [rank, 2] of paddings before and after, channels last.

    `amounts`: before and after for each dimension, in the order of `data_format`.
    """
    pairs = np.array(amounts, np.int32).reshape(-1, 2)
    if data_format.startswith("NC"):
        pairs = np.concatenate([pairs[:1], pairs[2:], pairs[1:2]])
    return pairs


def pad_explicitly(
    b: Builder,
    x: Tensor,
    padding: str,
    amounts: Sequence[int],
    data_format: str,
    value: NDArray[Any] | None = None,
) -> tuple[Tensor, str]:
    """Return `x` (channels last) with EXPLICIT padding applied, and the padding left to do."""
    if padding != "EXPLICIT":
        return x, padding
    return padded(b, x, explicit_pairs(amounts, data_format), value), "VALID"


def padded(
    b: Builder, x: Tensor, pairs: NDArray[np.int32] | Tensor, value: NDArray[Any] | None = None
) -> Tensor:
    """Return `x` with [rank, 2] elements added before and after: zeros, or `value`."""
    if isinstance(pairs, np.ndarray) and not pairs.any():
        return x
    return b("PAD", x, pairs) if value is None else b("PADV2", x, pairs, value)


def pad_for(
    b: Builder,
    x: Tensor,
    padding: str,
    windows: Sequence[Window],
    value: NDArray[Any] | None = None,
) -> Tensor:
    """Return `x: [n, …, c]` padded so that the windows over its inner axes are VALID."""
    if padding == "VALID":
        return x
    if padding != "SAME":
        raise Unsupported(f"padding `{padding}` is not supported")
    amounts: list[Size] = [0, 0]
    for axis, window in enumerate(windows, 1):
        amounts += same_amounts(b, size_of(b, x, axis), window)
    flat = vector(b, [*amounts, 0, 0])
    if isinstance(flat, np.ndarray):
        return padded(b, x, flat.reshape(-1, 2), value)
    return padded(b, x, b("RESHAPE", flat, np.array([x.rank, 2], np.int32)), value)


def same_amounts(b: Builder, size: Size, window: Window) -> tuple[Size, Size]:
    """Return the padding before and after: what the last window lacks, the larger half behind."""
    if window.stride == 1:
        return (window.reach - 1) // 2, window.reach // 2
    steps = calculate(b, "FLOOR_DIV", calculate(b, "ADD", size, -1), window.stride)
    covered = calculate(b, "ADD", calculate(b, "MUL", steps, window.stride), window.reach)
    total = calculate(b, "MAXIMUM", calculate(b, "SUB", covered, size), 0)
    before = calculate(b, "FLOOR_DIV", total, 2)
    return before, calculate(b, "SUB", total, before)


def taps(
    b: Builder, x: Tensor, windows: Sequence[Window]
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Yield each place in the window and what VALID windows over `x: [n, …, c]` see there."""
    inner = range(1, 1 + len(windows))
    strides = np.array([1, *(w.stride for w in windows), 1], np.int32)
    outside = 1 | 1 << (1 + len(windows))
    for place in product(*(range(w.kernel) for w in windows)):
        begin = [p * w.rate for p, w in zip(place, windows, strict=True)]
        end = [p * w.rate + 1 - w.reach for p, w in zip(place, windows, strict=True)]
        open_end = sum(1 << axis for axis, e in zip(inner, end, strict=True) if e == 0)
        seen = b(
            "STRIDED_SLICE",
            x,
            np.array([0, *begin, 0], np.int32),
            np.array([0, *end, 0], np.int32),
            strides,
            begin_mask=outside,
            end_mask=outside | open_end,
        )
        yield place, seen
