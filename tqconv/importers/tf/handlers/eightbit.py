"""Graphs of TensorFlow 1's `quantize_nodes`: operators on integers beside which a range goes.

They become the operators on reals that the integers stand for. Rounding in between is left out,
and so are ranges that are measured at run time: a quantizer measures them again. The integers are
computed only where a node of another kind reads them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.pool import Pool, average_pool, max_pool
from tqconv.importers.registry import Handler
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

Ends = Callable[..., tuple[Tensor, Tensor]]
"""(builder, lower and upper end of each operand) -> the ends of the result."""


def reals(b: TFBuilder, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return what integers stand for."""
    found = b.shared.reals.get(x)
    return dequantize(b, x, low, high, mode="MIN_FIRST") if found is None else found


def ranged(b: TFBuilder, y: Tensor, low: Tensor, high: Tensor, dtype: np.dtype) -> Ranged:
    """Return the integers that stand for `y`, and remember it."""
    integers = stored(b, y, low, high, dtype)
    b.shared.reals[integers] = y
    return integers, low, high


def on_reals(count: int, ends_of: Ends, dtype: np.dtype | None = None) -> Callable[[Handler], Any]:
    """Make a handler of reals one of the integers that stand for them.

    Its first `count` operands are integers, and behind the others comes the range of each. The
    result has the ends that `ends_of` makes of those ranges, and the type of the first operand if
    there is no `dtype`. What `@handles` tells the handler stays in front.
    """

    def of_integers(handler: Handler) -> Handler:
        def handle(b: TFBuilder, *given: Any, **attributes: Any) -> Ranged:
            first = next(i for i, operand in enumerate(given) if isinstance(operand, Tensor))
            told, operands, ends = given[:first], given[first : -2 * count], given[-2 * count :]
            values = [reals(b, x, *ends[2 * i : 2 * i + 2]) for i, x in enumerate(operands[:count])]
            y = handler(b, *told, *values, *operands[count:], **attributes)
            type = operands[0].dtype if dtype is None else dtype
            return ranged(b, y, *ends_of(b, *ends), type)

        signature = inspect.signature(handler)
        of_reals = list(signature.parameters.values())
        operands = [p for p in of_reals if p.kind is p.POSITIONAL_OR_KEYWORD]
        named = [p for p in of_reals if p.kind is p.KEYWORD_ONLY]
        names = [f"{end}_{i}" for i in range(count) for end in ("low", "high")]
        ends = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        update_wrapper(handle, handler)
        vars(handle)["__signature__"] = signature.replace(parameters=[*operands, *ends, *named])
        return handle

    return of_integers


def _kept(b: Builder, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of the operand."""
    return low, high


def _of_product(b: Builder, *ends: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of a sum of products in 32 bits: its step is that of the operands'."""
    left, right = b("SUB", ends[1], ends[0]), b("SUB", ends[3], ends[2])
    scale = b("MUL", b("MUL", left, right), F(1 / 255**2))
    steps = Steps.of(INT32)
    return b("MUL", scale, steps.lowest), b("MUL", scale, steps.highest)


def _of_sum(b: Builder, *ends: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of a sum in 32 bits."""
    widest = b("ABS", ends[0])
    for end in ends[1:]:
        widest = b("MAXIMUM", widest, b("ABS", end))
    high = b("MUL", widest, ROOM)
    return b("MUL", high, F(-1)), high


keeping = on_reals(1, _kept)
multiplying = on_reals(2, _of_product, INT32)
adding = on_reals(2, _of_sum, INT32)


@handles("QuantizedConv2D")
@multiplying
def quantized_conv2d(
    b: Builder,
    x: Tensor,
    w: Tensor,
    *,
    strides: list[int],
    padding: str,
    out_type: TypeNumber | None = None,
    dilations: Sequence[int] = (1, 1, 1, 1),
) -> Tensor:
    """Convolve."""
    return conv2d(b, x, w, strides=strides, padding=padding, dilations=dilations)


@handles("QuantizedMatMul")
@multiplying
def quantized_matmul(
    b: Builder, x: Tensor, w: Tensor, *, transpose_a: bool = False, transpose_b: bool = False
) -> Tensor:
    """Multiply two matrices."""
    return matmul.matmul(b, x, w, transpose_a=transpose_a, transpose_b=transpose_b)


@handles("QuantizedMul")
@multiplying
def quantized_mul(
    b: Builder, x: Tensor, y: Tensor, *, out_type: TypeNumber | None = None
) -> Tensor:
    """Multiply element by element."""
    return b("MUL", x, y)


@handles("QuantizedAdd", "QuantizedBiasAdd")
@adding
def quantized_add(
    b: Builder, x: Tensor, y: Tensor, *, out_type: TypeNumber | None = None
) -> Tensor:
    """Add element by element."""
    return b("ADD", x, y)


@handles(QuantizedRelu="RELU", QuantizedRelu6="RELU6")
@keeping
def quantized_relu(
    b: Builder, type: str, x: Tensor, *, out_type: TypeNumber | None = None
) -> Tensor:
    """Clamp to what is not below 0, or to [0, 6]."""
    return b(type, x)


@handles("QuantizedReluX")
@keeping
def quantized_relu_x(
    b: Builder, x: Tensor, most: Tensor, *, out_type: TypeNumber | None = None
) -> Tensor:
    """Clamp to [0, most]."""
    return b("MINIMUM", b("RELU", x), most)


@handles(QuantizedMaxPool=max_pool, QuantizedAvgPool=average_pool)
@keeping
def quantized_pool(
    b: Builder, kind: Pool, x: Tensor, *, ksize: list[int], strides: list[int], padding: str
) -> Tensor:
    """Pool over windows."""
    return pool.pool(b, kind, x, ksize=ksize, strides=strides, padding=padding)


@handles("QuantizedReshape")
@keeping
def quantized_reshape(b: Builder, x: Tensor, sizes: Tensor) -> Tensor:
    """Reshape."""
    return shape.reshape(b, x, sizes)


@handles("QuantizedResizeBilinear")
@keeping
def quantized_resize_bilinear(
    b: Builder,
    x: Tensor,
    size: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Interpolate between four neighbours."""
    return resize_bilinear(
        b, x, size, align_corners=align_corners, half_pixel_centers=half_pixel_centers
    )


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
