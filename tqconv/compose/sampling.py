"""Reading an image at places that a graph computes."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, operand, reshaped, sizes_of
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)


def real(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a real constant of rank 0."""
    return np.array(value, FLOAT32)


def real_size(b: Builder, size: Size) -> Tensor:
    """Return a size as a real scalar."""
    return b.const(size, FLOAT32, "size") if isinstance(size, int) else b.cast(size, FLOAT32)


@dataclass(frozen=True)
class Pixels:
    """The pixels of x: [n, h, w, c] as one list: [n * h * w, c]."""

    flat: Tensor
    height: Size
    width: Size

    @staticmethod
    def of(b: Builder, x: Tensor) -> Pixels:
        """List the pixels of an image."""
        n, h, w, c = sizes_of(b, x)
        return Pixels(reshaped(b, x, [calculate(b, "MUL", n, h, w), c]), h, w)

    def at(self, b: Builder, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Return the pixels at int32 places that broadcast: [..., c]."""
        line = b("ADD", b("MUL", image, operand(self.height)), row)
        place = b("ADD", b("MUL", line, operand(self.width)), column)
        pixels: Tensor = b("GATHER", self.flat, place, axis=0)
        return pixels


def clamped(b: Builder, x: Tensor, high: Tensor) -> Tensor:
    """Return real `x` between 0 and `high`."""
    return b("MINIMUM", b("MAXIMUM", x, real(0)), high)


def inside(b: Builder, x: Tensor, high: Tensor) -> Tensor:
    """Return where 0 <= x <= high."""
    return b("LOGICAL_AND", b("GREATER_EQUAL", x, real(0)), b("LESS_EQUAL", x, high))


def rounded(b: Builder, x: Tensor) -> Tensor:
    """Return the nearest whole number; halves go away from zero, as C's `round` does.

    ROUND takes halves to even, and floor(x + 0.5) errs just below a half.
    """
    size = b("ABS", x)
    whole = b("FLOOR", size)
    up = b.cast(b("GREATER_EQUAL", b("SUB", size, whole), real(0.5)), FLOAT32)
    return b("MUL", b("SIGN", x), b("ADD", whole, up))


def between(b: Builder, first: Tensor, second: Tensor, part: Tensor) -> Tensor:
    """Return first + (second - first) * part."""
    return b("ADD", first, b("MUL", b("SUB", second, first), part))
