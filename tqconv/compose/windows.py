"""Sliding windows over x: [n, …, c]: their padding, and their elements one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

SAME: Literal["SAME"] = "SAME"
"""What makes ceil(size / stride) windows fit, the larger half behind."""
SAME_LOWER: Literal["SAME_LOWER"] = "SAME_LOWER"
"""The same with the larger half in front."""
VALID = (0, 0)
Padding = tuple[int, int] | Literal["SAME", "SAME_LOWER"]


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis.

    `rate`: how far apart its elements are. `padding`: how many elements are added before and after
    (negative ones are taken away), or SAME. `kernel` None: that of a filter whose size is unknown.
    """

    kernel: int | None
    stride: int = 1
    rate: int = 1
    padding: Padding = VALID

    @property
    def size(self) -> int:
        """How many elements it has; UnsupportedError where that is unknown."""
        if self.kernel is None:
            raise UnsupportedError(
                "the size of the window is unknown", hint="give the filter a shape"
            )
        return self.kernel

    @property
    def reach(self) -> int:
        """How many positions it spans, gaps included."""
        return (self.size - 1) * self.rate + 1

    @property
    def is_trivial(self) -> bool:
        """Whether it sees each element once, whatever SAME padding says."""
        return (self.kernel, self.stride) == (1, 1) and (self.padding in (SAME, SAME_LOWER, VALID))


def windows_over(
    kernel: Sequence[int | None],
    strides: Sequence[int] = (),
    rates: Sequence[int] = (),
    padding: Padding | Sequence[Padding] = VALID,
) -> list[Window]:
    """Return one window for each axis; strides and rates are 1 where none are given.

    `padding`: one for all axes, or one for each. Raises UnsupportedError where there are more or
    fewer of a kind than axes, and for steps below 1.
    """
    count = len(kernel)
    alike = isinstance(padding, str) or (len(padding) == 2 and isinstance(padding[0], int))
    each: Any = [padding] * count if alike else padding
    strides, rates = strides or [1] * count, rates or [1] * count
    for what, values in (("strides", strides), ("dilations", rates), ("paddings", each)):
        if len(values) != count:
            raise UnsupportedError(f"{what} {list(values)} for a window over {count} axes")
    for what, values in (("kernel", kernel), ("strides", strides), ("dilations", rates)):
        if any(value is not None and value < 1 for value in values):
            raise UnsupportedError(f"{what} {list(values)} of a window")
    return [Window(*axis) for axis in zip(kernel, strides, rates, each, strict=True)]


def lowest(dtype: np.dtype) -> NDArray[Any]:
    """Return the value that never wins a maximum."""
    least = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
    return np.array(least, dtype)


def padded(
    b: Builder, x: Tensor, pairs: NDArray[np.int32] | Tensor, value: NDArray[Any] | None = None
) -> Tensor:
    """Return `x` with [rank, 2] elements added before and after: zeros, or `value`."""
    if isinstance(pairs, np.ndarray) and not pairs.any():
        return x
    return b("PAD", x, pairs) if value is None else b("PADV2", x, pairs, value)


def framed(
    b: Builder, x: Tensor, windows: Sequence[Window], value: NDArray[Any] | None = None
) -> Tensor:
    """Return `x` padded (with zeros, or `value`) so that the windows over its axes are VALID."""
    if all(window.padding == VALID for window in windows):
        return x
    amounts: list[Size] = [0, 0]
    for axis, window in enumerate(windows, 1):
        amounts += amounts_of(b, size_of(b, x, axis), window)
    flat = vector(b, [*amounts, 0, 0])
    if isinstance(flat, np.ndarray):
        return _cut_or_padded(b, x, flat.reshape(-1, 2), value)
    return padded(b, x, b("RESHAPE", flat, np.array([x.rank, 2], np.int32)), value)


def _cut_or_padded(
    b: Builder, x: Tensor, pairs: NDArray[np.int32], value: NDArray[Any] | None
) -> Tensor:
    if (pairs < 0).any():
        begin = np.maximum(-pairs[:, 0], 0)
        cut = begin + np.maximum(-pairs[:, 1], 0)
        sizes = [calculate(b, "SUB", size_of(b, x, i), int(n)) for i, n in enumerate(cut)]
        x = b("SLICE", x, begin, vector(b, sizes))
    return padded(b, x, np.maximum(pairs, 0), value)


def kernel_padding(windows: Sequence[Window]) -> Literal["SAME", "VALID"] | None:
    """Return the padding that a kernel of the windows can do itself; None: it has to be done."""
    paddings = {window.padding for window in windows if not window.is_trivial}
    paddings = paddings or {window.padding for window in windows}
    if paddings == {SAME}:
        return "SAME"
    return "VALID" if paddings == {VALID} else None


def left_to_kernel(
    b: Builder, x: Tensor, windows: Sequence[Window], value: NDArray[Any] | None = None
) -> tuple[Tensor, str]:
    """Return `x` as a kernel of the windows takes it, and the padding that the kernel does."""
    left = kernel_padding(windows)
    return (framed(b, x, windows, value), "VALID") if left is None else (x, left)


def amounts_of(b: Builder, size: Size, window: Window) -> tuple[Size, Size]:
    """Return the padding before and after an axis: with SAME what the last window lacks."""
    if isinstance(window.padding, tuple):
        return window.padding
    if window.stride == 1:
        total: Size = window.reach - 1
    else:
        steps = calculate(b, "FLOOR_DIV", calculate(b, "ADD", size, -1), window.stride)
        covered = calculate(b, "ADD", calculate(b, "MUL", steps, window.stride), window.reach)
        total = calculate(b, "MAXIMUM", calculate(b, "SUB", covered, size), 0)
    smaller = calculate(b, "FLOOR_DIV", total, 2)
    larger = calculate(b, "SUB", total, smaller)
    return (smaller, larger) if window.padding == SAME else (larger, smaller)


def known_amounts(b: Builder, size: int, window: Window) -> tuple[int, int]:
    """Return the padding before and after an axis of a known size."""
    before, after = amounts_of(b, size, window)
    assert isinstance(before, int)
    assert isinstance(after, int)
    return before, after


def taps(
    b: Builder, x: Tensor, windows: Sequence[Window]
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Yield each place in the window and what VALID windows over `x: [n, …, c]` see there."""
    inner = range(1, 1 + len(windows))
    strides = np.array([1, *(w.stride for w in windows), 1], np.int32)
    outside = 1 | 1 << (1 + len(windows))
    count = math.prod(w.size for w in windows)
    b.graph.budget.expand(count, f"a window of {count} elements")
    for place in product(*(range(w.size) for w in windows)):
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
