"""Reals rounded to the grid that an integer type has."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.ir.graph import Tensor

F = np.float32


def on_grid(b: Builder, x: Tensor, low: Tensor, high: Tensor, bits: int, narrow: bool) -> Tensor:
    """Clamp to a range, moved so that 0 lies on its grid, and round to its steps; 0 if it is empty.

    The grid has 2^bits steps, `narrow` leaves out the lowest. Rounding as TensorFlow's kernel.
    """
    first, last = F(narrow), F(2**bits - 1)
    scale = b("DIV", b("SUB", high, low), last - first)
    divisor = b("SELECT_V2", b("EQUAL", scale, F(0)), F(1), scale)
    inverse = b("DIV", F(1), divisor)
    zero = b("SUB", first, b("DIV", low, divisor))
    zero = b("FLOOR", b("ADD", b("MINIMUM", b("MAXIMUM", zero, first), last), F(0.5)))
    least, most = (b("MUL", b("SUB", end, zero), scale) for end in (first, last))
    steps = b("MUL", b("SUB", b("MAXIMUM", b("MINIMUM", x, most), least), least), inverse)
    offset = b("SUB", F(0.5 + first), zero)
    return b("MUL", b("FLOOR", b("ADD", steps, offset)), scale)
