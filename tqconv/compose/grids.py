"""Fake quantization: reals rounded to the grid that an integer type will have.

With one constant range it stays FAKE_QUANT, which quantization reads as the range of the tensor.
"""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ir.grid import on_stored_grid
from tqconv.ir.types import Range
from tqconv.records import dataclass

F = np.float32


@dataclass(frozen=True)
class Use:
    """What fake quantization is read for.

    quantizing: a quantizer follows that knows the ranges it says, and drops it. stored_grid:
    constants behind it are rounded to the grid of the type that stores them.
    """

    quantizing: bool = False
    stored_grid: bool = False


def fake_quant(b: Builder, x: Tensor, said: Range, use: Use, notes: list[str]) -> Tensor:
    """Return `x` rounded to a grid over a range, moved so that 0 lies on it.

    It is FAKE_QUANT where that kernel computes what trained networks saw: it refuses a narrow range
    of anything but constants, and wants 0 inside the range. UnsupportedError for a width that
    fake quantization does not have.
    """
    _check_bits(said.bits)
    if use.quantizing:
        return evidence(b, x, said, use)
    low, high = said.low, said.high
    if low == high == 0:
        notes.append(
            f"'{b.name}': the FakeQuant has the empty range [0, 0], it was never trained; all that "
            "passes it becomes 0"
        )
        return b("ZEROS_LIKE", x)
    if low <= 0 <= high and (x.is_constant or not said.narrow):
        options = {"num_bits": said.bits, "narrow_range": said.narrow}
        y = b("FAKE_QUANT", x, min=low, max=high, **options)
    else:
        ends = b.const(low, F, "min"), b.const(high, F, "max")
        y = on_grid(b, x, *ends, said.bits, said.narrow)
    if y.producer is None or y.producer.type != "FAKE_QUANT":
        y.range = said
    return y


def by_channels(
    b: Builder, x: Tensor, low: Tensor, high: Tensor, bits: int, narrow: bool, use: Use
) -> Tensor:
    """Round each slice along the last axis to a grid of its own."""
    _check_bits(bits)
    if use.quantizing and not x.is_constant:
        return clamped(b, x, low, high)
    return on_grid(b, x, low, high, bits, narrow)


def clamped(b: Builder, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Clamp without rounding, which is left to the integers: activations have one scale."""
    return b("MINIMUM", b("MAXIMUM", x, low), high)


def _check_bits(bits: int) -> None:
    if not 2 <= bits <= 16:
        raise UnsupportedError(f"num_bits is {bits}, fake quantization has 2 to 16")


def evidence(b: Builder, x: Tensor, said: Range, use: Use) -> Tensor:
    """Keep the node for the quantizer; a constant is rounded to its grid.

    The sums of a trained network saw that grid; an empty one is for the quantizer to report.
    """
    if x.data is not None and (use.stored_grid or said.low == said.high):
        y = b.const(on_stored_grid(x.data, said), F, "grid")
    else:
        options = {"num_bits": said.bits, "narrow_range": said.narrow}
        y = b("FAKE_QUANT", x, min=said.low, max=said.high, **options)
    y.range = said
    return y


def on_grid(b: Builder, x: Tensor, low: Tensor, high: Tensor, bits: int, narrow: bool) -> Tensor:
    """Clamp to a range, moved so that 0 lies on its grid, and round to its steps; 0 if it is empty.

    The grid has 2^bits steps, `narrow` leaves out the lowest. Rounding as in the kernels that train
    networks (fake_quant_ops_functor.h).
    """
    _check_bits(bits)
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
