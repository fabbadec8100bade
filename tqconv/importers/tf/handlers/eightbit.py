"""Graphs of TensorFlow 1's `quantize_nodes`: operators on integers beside which a range goes.

They become the operators on reals that the integers stand for. Rounding in between is left out,
and so are ranges that are measured at run time: a quantizer measures them again. The integers are
computed only where a node of another kind reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.compose.pool import Pool, average_pool, max_pool
from tqconv.importers.tf.handlers import matmul, pool, shape
from tqconv.importers.tf.handlers.array import concat
from tqconv.importers.tf.handlers.conv import conv2d
from tqconv.importers.tf.handlers.fakequant import fake_quant
from tqconv.importers.tf.handlers.quantized import Steps, dequantize, stored
from tqconv.importers.tf.handlers.resize import resize_bilinear
from tqconv.importers.tf.node import TypeNumber, dtype_of
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
INT32 = np.dtype(np.int32)
ROOM = F(1 << 17)
"""How far the range of a sum in 32 bits goes beyond its operands': quantization_utils.h."""

Ranged = tuple[Tensor, Tensor, Tensor]
"""Integers, and the reals that the ends of their type stand for."""


def reals(b: TFBuilder, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return what integers stand for."""
    found = b.shared.reals.get(x)
    return dequantize(b, x, low, high, mode="MIN_FIRST") if found is None else found


def ranged(b: TFBuilder, y: Tensor, low: Tensor, high: Tensor, dtype: np.dtype) -> Ranged:
    """Return the integers that stand for `y`, and remember it."""
    integers = stored(b, y, low, high, dtype)
    b.shared.reals[integers] = y
    return integers, low, high


def _product(b: TFBuilder, y: Tensor, *ranges: Tensor) -> Ranged:
    """Return a sum of products in 32 bits; its step is the product of those of the operands."""
    left, right = b("SUB", ranges[1], ranges[0]), b("SUB", ranges[3], ranges[2])
    scale = b("MUL", b("MUL", left, right), F(1 / 255**2))
    steps = Steps.of(INT32)
    return ranged(b, y, b("MUL", scale, steps.lowest), b("MUL", scale, steps.highest), INT32)


def _sum(b: TFBuilder, y: Tensor, *ranges: Tensor) -> Ranged:
    """Return a sum in 32 bits."""
    widest = b("ABS", ranges[0])
    for end in ranges[1:]:
        widest = b("MAXIMUM", widest, b("ABS", end))
    high = b("MUL", widest, ROOM)
    return ranged(b, y, b("MUL", high, F(-1)), high, INT32)


@handles("QuantizedConv2D")
def quantized_conv2d(
    b: TFBuilder,
    x: Tensor,
    w: Tensor,
    min_x: Tensor,
    max_x: Tensor,
    min_w: Tensor,
    max_w: Tensor,
    *,
    strides: list[int],
    padding: str,
    out_type: TypeNumber | None = None,
    dilations: Sequence[int] = (1, 1, 1, 1),
) -> Ranged:
    """Convolve."""
    left, right = reals(b, x, min_x, max_x), reals(b, w, min_w, max_w)
    y = conv2d(b, left, right, strides=strides, padding=padding, dilations=dilations)
    return _product(b, y, min_x, max_x, min_w, max_w)


@handles("QuantizedMatMul")
def quantized_matmul(
    b: TFBuilder,
    x: Tensor,
    w: Tensor,
    min_x: Tensor,
    max_x: Tensor,
    min_w: Tensor,
    max_w: Tensor,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Ranged:
    """Multiply two matrices."""
    left, right = reals(b, x, min_x, max_x), reals(b, w, min_w, max_w)
    y = matmul.matmul(b, left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    return _product(b, y, min_x, max_x, min_w, max_w)


@handles(QuantizedAdd=("ADD", _sum), QuantizedBiasAdd=("ADD", _sum), QuantizedMul=("MUL", _product))
def quantized_binary(
    b: TFBuilder,
    how: tuple[str, Callable[..., Ranged]],
    x: Tensor,
    y: Tensor,
    min_x: Tensor,
    max_x: Tensor,
    min_y: Tensor,
    max_y: Tensor,
    *,
    out_type: TypeNumber | None = None,
) -> Ranged:
    """Add or multiply element by element."""
    type, in_32_bits = how
    made = b(type, reals(b, x, min_x, max_x), reals(b, y, min_y, max_y))
    return in_32_bits(b, made, min_x, max_x, min_y, max_y)


@handles(QuantizedRelu="RELU", QuantizedRelu6="RELU6")
def quantized_relu(
    b: TFBuilder,
    type: str,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    out_type: TypeNumber | None = None,
) -> Ranged:
    """Clamp to what is not below 0, or to [0, 6]."""
    return ranged(b, b(type, reals(b, x, low, high)), low, high, x.dtype)


@handles("QuantizedReluX")
def quantized_relu_x(
    b: TFBuilder,
    x: Tensor,
    most: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    out_type: TypeNumber | None = None,
) -> Ranged:
    """Clamp to [0, most]."""
    y = b("MINIMUM", b("RELU", reals(b, x, low, high)), most)
    return ranged(b, y, low, high, x.dtype)


@handles(QuantizedMaxPool=max_pool, QuantizedAvgPool=average_pool)
def quantized_pool(
    b: TFBuilder,
    kind: Pool,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
) -> Ranged:
    """Pool over windows."""
    y = pool.pool(b, kind, reals(b, x, low, high), ksize=ksize, strides=strides, padding=padding)
    return ranged(b, y, low, high, x.dtype)


@handles("QuantizedReshape")
def quantized_reshape(b: TFBuilder, x: Tensor, sizes: Tensor, low: Tensor, high: Tensor) -> Ranged:
    """Reshape."""
    return ranged(b, shape.reshape(b, reals(b, x, low, high), sizes), low, high, x.dtype)


@handles("QuantizedResizeBilinear")
def quantized_resize_bilinear(
    b: TFBuilder,
    x: Tensor,
    size: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Ranged:
    """Interpolate between four neighbours."""
    y = resize_bilinear(
        b,
        reals(b, x, low, high),
        size,
        align_corners=align_corners,
        half_pixel_centers=half_pixel_centers,
    )
    return ranged(b, y, low, high, x.dtype)


@handles("QuantizedConcat")
def quantized_concat(b: TFBuilder, axis: Tensor, *operands: Tensor) -> Ranged:
    """Join along an axis; the operands are all parts, then their lower ends, then their upper."""
    count = len(operands) // 3
    parts, lows, highs = (operands[i * count : (i + 1) * count] for i in range(3))
    low, high = b.const(0, F, "low"), b.const(0, F, "high")
    for end in lows:
        low = b("MINIMUM", low, end)
    for end in highs:
        high = b("MAXIMUM", high, end)
    joined = [reals(b, *part) for part in zip(parts, lows, highs, strict=True)]
    return ranged(b, concat(b, axis, *joined), low, high, parts[0].dtype)


@handles("RequantizationRange")
def requantization_range(
    b: TFBuilder, x: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the range that the values take, with 0 in it."""
    values = reals(b, x, low, high)
    axes = np.arange(values.rank, dtype=np.int32)
    least = b("REDUCE_MIN", values, axes) if values.rank else values
    most = b("REDUCE_MAX", values, axes) if values.rank else values
    return b("MINIMUM", least, F(0)), most


@handles("Requantize")
def requantize(
    b: TFBuilder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    wanted_low: Tensor,
    wanted_high: Tensor,
    *,
    out_type: TypeNumber,
) -> Ranged:
    """Store in fewer bits; a range that is known beforehand clamps."""
    y, dtype = reals(b, x, low, high), dtype_of(int(out_type))
    if wanted_low.is_constant and wanted_high.is_constant:
        ends = b.scalar(wanted_low, "requested_output_min"), b.scalar(wanted_high, "max")
        y = fake_quant(b, y, *ends, 8 * dtype.itemsize, False)
    return ranged(b, y, wanted_low, wanted_high, dtype)


@handles("QuantizeDownAndShrinkRange")
def quantize_down(
    b: TFBuilder, x: Tensor, low: Tensor, high: Tensor, *, out_type: TypeNumber
) -> Ranged:
    """Store in fewer bits over the range that the values take."""
    least, most = requantization_range(b, x, low, high)
    return ranged(b, reals(b, x, low, high), least, most, dtype_of(int(out_type)))
