"""Fake quantization: reals rounded to the grid that an integer type will have."""

from __future__ import annotations

import numpy as np

from tqconv.compose import grids
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Range

F = np.float32
LARGEST = F(np.finfo(np.float32).max)


@handles("FakeQuantWithMinMaxArgs")
def fake_quant_with_args(
    b: TFBuilder,
    x: Tensor,
    *,
    min: float = -6.0,
    max: float = 6.0,
    num_bits: int = 8,
    narrow_range: bool = False,
) -> Tensor:
    """Round to a grid over [min, max], moved so that 0 lies on it."""
    return fake_quant(b, x, float(min), float(max), num_bits, narrow_range)


@handles("FakeQuantWithMinMaxVars")
def fake_quant_with_vars(
    b: TFBuilder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    num_bits: int = 8,
    narrow_range: bool = False,
) -> Tensor:
    """Round to a grid over a range that operands give."""
    if low.is_constant and high.is_constant:
        bounds = b.scalar(low, "min"), b.scalar(high, "max")
        return fake_quant(b, x, *bounds, num_bits, narrow_range)
    return grids.on_grid(b, x, low, high, num_bits, narrow_range)


@handles("FakeQuantWithMinMaxVarsPerChannel")
def fake_quant_per_channel(
    b: TFBuilder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    num_bits: int = 8,
    narrow_range: bool = False,
) -> Tensor:
    """Round each channel (the last dimension) to a grid of its own."""
    return grids.by_channels(b, x, low, high, num_bits, narrow_range, b.shared.fake_quant)


def fake_quant(b: TFBuilder, x: Tensor, low: float, high: float, bits: int, narrow: bool) -> Tensor:
    """Return `x` rounded to a grid over [low, high], moved so that 0 lies on it."""
    said = Range(low, high, "fake_quant", str(b.source), bits, narrow)
    return grids.fake_quant(b, x, said, b.shared.fake_quant, b.shared.translation.notes)


@handles("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
def quantize_and_dequantize(
    b: TFBuilder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    narrow_range: bool = False,
    axis: int = -1,
) -> Tensor:
    """Round to a grid with 0 on it, over a given range or that of the elements."""
    if round_mode not in ("HALF_TO_EVEN", "HALF_UP"):
        raise UnsupportedError(f"round_mode `{round_mode}`")
    least = 1 + signed_input
    if not least <= num_bits <= 24:
        raise UnsupportedError(f"num_bits is {num_bits}, it is {least} to 24 here")
    first = -(2 ** (num_bits - 1)) if signed_input else 0
    last = 2 ** (num_bits - signed_input) - 1
    first += int(narrow_range and signed_input)
    if range_given:
        low, high = (_along(b, bound, x.rank, axis) for bound in (low, high))
    else:
        low, high = (_extreme(b, type, x, axis) for type in ("REDUCE_MIN", "REDUCE_MAX"))
    if b.shared.fake_quant.quantizing and not x.is_constant and not range_given:
        return x  # the range of whatever passes: what calibration measures
    scale, inverse, low, high = _symmetric(b, low, high, F(first), F(last))
    if (
        b.shared.fake_quant.quantizing
        and not x.is_constant
        and low.is_constant
        and high.is_constant
    ):
        if low.size > 1 or high.size > 1:
            return grids.clamped(b, x, low, high)
        ends = b.scalar(low, "input_min"), b.scalar(high, "input_max")
        narrow = narrow_range and signed_input
        said = Range(*ends, "fake_quant", str(b.source), num_bits, narrow)
        return grids.evidence(b, x, said, b.shared.fake_quant)
    kept = b("MAXIMUM", b("MINIMUM", x, high), low) if range_given else x
    steps = b("MUL", kept, scale)
    rounded = (
        b("ROUND", steps) if round_mode == "HALF_TO_EVEN" else b("FLOOR", b("ADD", steps, F(0.5)))
    )
    return b("MUL", rounded, inverse)


@handles("QuantizeAndDequantizeV3")
def quantize_and_dequantize_v3(
    b: Builder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    num_bits: Tensor,
    *,
    signed_input: bool = True,
    range_given: bool = True,
    narrow_range: bool = False,
    axis: int = -1,
) -> Tensor:
    """The second version with the number of bits as an operand."""
    return quantize_and_dequantize(
        b,
        x,
        low,
        high,
        signed_input=signed_input,
        num_bits=b.scalar(num_bits, "num_bits"),
        range_given=range_given,
        narrow_range=narrow_range,
        axis=axis,
    )


@handles("QuantizeAndDequantize")
def quantize_and_dequantize_v1(
    b: Builder,
    x: Tensor,
    *,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    input_min: float = 0.0,
    input_max: float = 0.0,
) -> Tensor:
    """The first version, with the range as attributes."""
    return quantize_and_dequantize(
        b,
        x,
        b.const(input_min, F, "min"),
        b.const(input_max, F, "max"),
        signed_input=signed_input,
        num_bits=num_bits,
        range_given=range_given,
    )


def _along(b: Builder, bound: Tensor, rank: int, axis: int) -> Tensor:
    """A bound for each slice along `axis`, or one for all when it is -1."""
    return bound if axis < 0 else b.reshape(bound, [-1 if i == axis else 1 for i in range(rank)])


def _extreme(b: Builder, type: str, x: Tensor, axis: int) -> Tensor:
    axes = [i for i in range(x.rank) if i != axis]
    return b(type, x, np.array(axes, np.int32), keep_dims=axis >= 0)


def _symmetric(
    b: Builder, low: Tensor, high: Tensor, first: np.float32, last: np.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return steps per real, reals per step, and the range that the steps cover.

    The side that needs the larger steps decides.
    """
    from_high = steps_to(b, last, high)
    if first == 0:
        inverse = b("MUL", high, F(1) / last)
        return from_high, inverse, b.const(0, F, "zero"), high
    from_low = steps_to(b, first, low)
    lower = b("LESS", from_low, from_high)
    scale = b("SELECT_V2", lower, from_low, from_high)
    inverse = b("SELECT_V2", lower, b("DIV", low, first), b("DIV", high, last))
    least = b("SELECT_V2", lower, low, b("MUL", inverse, first))
    most = b("SELECT_V2", lower, b("MUL", inverse, last), high)
    return scale, inverse, least, most


def steps_to(b: Builder, end: np.float32, bound: Tensor) -> Tensor:
    """Return how many steps a unit has where the step `end` is a bound; many on the other side."""
    same_side = b("GREATER", b("MUL", bound, end), F(0))
    return b("SELECT_V2", same_side, b("DIV", end, bound), LARGEST)
