"""Conversions between reals and the integers that stand for them, and arithmetic of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tqconv.compose import arithmetic, products
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.handlers import nn
from tqconv.importers.onnx.handlers.recurrent import Functions, Layer, lstm_layer
from tqconv.importers.onnx.model import Node
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.stored import (
    INT32,
    Params,
    behind,
    blocks,
    decoded,
    encoded,
    limits_of,
    steps_of,
)
from tqconv.importers.onnx.tensors import dtype_of
from tqconv.ir.graph import Tensor
from tqconv.ir.match import made_by

F = np.float32
UINT8 = np.dtype(np.uint8)
EXACT = 2**24
"""Sums of integers up to this one are exact in float32."""


@handles("QuantizeLinear", "com.microsoft:QuantizeLinear")
def quantize(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    """Divide by the scale, round halves to even, add the zero point, stay within the type."""
    dtype = zero.dtype if zero is not None else dtype_of(output_dtype) if output_dtype else UINT8
    if dtype.kind not in "iu":
        raise UnsupportedError(f"a quantization to {dtype}")
    ends = limits_of(b, dtype, 2, output_dtype)
    params = Params(scale, zero, axis, blocks(x, block_size, axis, scale))
    return encoded(b, x, params, dtype, ends)


@handles("DequantizeLinear", "com.microsoft:DequantizeLinear")
def dequantize(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    """Subtract the zero point and multiply by the scale."""
    return decoded(b, x, Params(scale, zero, axis, blocks(x, block_size, axis, scale)))


@handles("DynamicQuantizeLinear")
def dynamic_quantize(b: ONNXBuilder, x: Tensor) -> tuple[Tensor, ...]:
    """Store in uint8 with the range of the elements, which has 0 in it.

    A quantizer rounds products in its own way: their reals are not rounded before.
    """
    if b.shared.rounds_products and _only_multiplied(b, b.node.outputs[0]):
        return x, b.const(1, F, "one"), b.const(0, UINT8, "zero")
    params = _dynamic(b, x)
    assert params.zero is not None
    y = encoded(b, x, params, UINT8)
    return y, params.scale, b.cast(b.cast(params.zero, INT32), UINT8)


def _only_multiplied(b: ONNXBuilder, name: str) -> bool:
    """Whether integers are read by products alone, whose sums become reals.

    Quantizers before onnxruntime 1.8 add an int32 bias to the sums before (see `add`).
    """
    products = _readers(b, name)
    sums = [reader for node in products or () for reader in _readers(b, node.outputs[0]) or (node,)]
    multiplied = {node.op for node in products or ()} <= {"MatMulInteger", "ConvInteger"}
    return bool(products) and multiplied and {node.op for node in sums} <= {"Cast", "Add"}


def _readers(b: ONNXBuilder, name: str) -> list[Node] | None:
    """Return the nodes that read a tensor; None where the model ends in it."""
    body = b.shared.network.body
    if any(name == output.name for output in body.outputs):
        return None
    return [node for node in body.nodes if name in node.inputs]


def _dynamic(b: ONNXBuilder, x: Tensor) -> Params:
    """Return the parameters of a tensor's own range; the zero point as a real."""
    axes = np.arange(x.rank, dtype=np.int32)
    low = b("MINIMUM", b("REDUCE_MIN", x, axes, keep_dims=False), F(0))
    high = b("MAXIMUM", b("REDUCE_MAX", x, axes, keep_dims=False), F(0))
    scale = b("DIV", b("SUB", high, low), F(255))
    scale = b("SELECT_V2", b("EQUAL", scale, F(0)), F(1), scale)
    zero = b("ROUND", b("DIV", b("SUB", F(0), low), scale))
    return Params(scale, b("MINIMUM", b("MAXIMUM", zero, F(0)), F(255)))


def _operand(b: ONNXBuilder, x: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Return integers minus their zero point, as reals. axis: of zero points with a dimension."""
    if x.dtype == F:
        return x  # the reals for which they would stand, see `dynamic_quantize`
    one = b.const(1, F, "one")
    if x.data is None and x.dtype != np.uint8 and x.dtype != np.int8:
        raise UnsupportedError(f"a product of {x.dtype}")
    known = behind(b, x)
    if known is not None and not b.shared.quantizing and known.params.scale.size == 1:
        own = known.params
        if replace(own, scale=one).means(Params(one, zero)):
            made = known.tensor.producer
            if made is not None and made.type == "MUL" and made.input(1).size == 1:
                return made.input(0)
    if zero is not None and zero.rank == 1 and axis < 0:
        axis += x.rank
    return steps_of(b, x, Params(one, zero, axis))


def exact(b: ONNXBuilder, x: Tensor, terms: float, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the int32 results of a linear function of x, whose elements are in [-255, 255].

    terms: the largest sum of magnitudes that an element of `x` meets. Digits of x are computed
    apart where their sums would not be exact in float32.
    """
    base, digits = 256, 1
    while (base - 1) * terms >= EXACT:
        if base == 2:
            raise UnsupportedError("integer sums of too many terms")
        digits *= 2
        base = round(256 ** (1 / digits))
    parts, rest = [], x
    for _ in range(digits - 1):
        higher = b("FLOOR", b("MUL", rest, F(1 / base)))
        parts.append(b("SUB", rest, b("MUL", higher, F(base))))
        rest = higher
    total = b.cast(compute(rest), INT32)
    for part in reversed(parts):
        total = b("ADD", b("MUL", total, np.array(base, INT32)), b.cast(compute(part), INT32))
    return total


def _terms(b: ONNXBuilder, w: Tensor, axes: Sequence[int]) -> float:
    """Return the largest sum of magnitudes of weights over axes."""
    if w.data is not None:
        return float(np.abs(w.data.astype(np.float64)).sum(axis=tuple(axes)).max(initial=0))
    sizes = [w.shape[axis] for axis in axes]
    if None in sizes:
        raise UnsupportedError("a product of integers over an unknown number of terms")
    return 255.0 * float(np.prod([d or 0 for d in sizes], dtype=np.float64))


@handles("MatMulInteger")
def matmul_integer(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    x_zero: Tensor | None = None,
    w_zero: Tensor | None = None,
) -> Tensor:
    """Multiply matrices of integers; the sums are int32."""
    left, right = _operand(b, x, x_zero, -2), _operand(b, w, w_zero, -1)
    if F in (x.dtype, w.dtype):
        return _sum(b, products.product(b, left, right))
    terms = _terms(b, right, [right.rank - 2] if right.rank > 1 else [0])
    return exact(b, left, terms, lambda t: products.product(b, t, right))


@handles("ConvInteger")
def conv_integer(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    x_zero: Tensor | None = None,
    w_zero: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Convolve integers; the sums are int32. Padding is the zero point."""
    left, right = _operand(b, x, x_zero, 1), _operand(b, w, w_zero, 0)
    shape = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    if x.dtype == F:
        return _sum(b, nn.conv(b, left, right, group=group, **shape))
    terms = _terms(b, right, range(1, right.rank))
    return exact(b, left, terms, lambda t: nn.conv(b, t, right, group=group, **shape))


def _sum(b: ONNXBuilder, y: Tensor) -> Tensor:
    b.shared.sums.add(y)
    return y


@handles("Add")
def add(b: ONNXBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Sum; also of products of which reals are computed, and an int32 bias in their unit."""
    if not b.shared.sums.isdisjoint((x, y)) and INT32 in (x.dtype, y.dtype):
        x, y = (_unrounded(b, t) if t.dtype == INT32 else t for t in (x, y))
        return _sum(b, b("ADD", x, y))
    return arithmetic.combine(b, "ADD", x, y)


def _unrounded(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Return integers as reals; what was rounded and cast to be integers, as before that."""
    op = x.producer
    if op is not None and op.type == "RESHAPE":
        return b("RESHAPE", _unrounded(b, op.input(0)), op.input(1))
    if op is None or op.type != "CAST" or op.input(0).dtype != F:
        return b.cast(x, F)
    rounded = made_by(op.input(0), "FLOOR", "ROUND")
    return op.input(0) if rounded is None else rounded.input(0)


@handles("com.microsoft:MatMulIntegerToFloat")
def matmul_integer_to_float(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    x_scale: Tensor,
    w_scale: Tensor,
    x_zero: Tensor | None = None,
    w_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Multiply matrices of integers that stand for reals."""
    left = decoded(b, x, Params(x_scale, x_zero, -2))
    right = decoded(b, w, Params(w_scale, w_zero, -1))
    y = products.product(b, left, right)
    return y if bias is None else b("ADD", y, bias)


@handles("com.microsoft:DynamicQuantizeMatMul")
def dynamic_quantize_matmul(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Multiply a matrix, rounded to 8 bits over its own range, by integers that stand for reals."""
    if not b.shared.rounds_products:
        x = b.shared.reals[encoded(b, x, _dynamic(b, x), UINT8)].tensor
    y = products.product(b, x, decoded(b, w, Params(w_scale, w_zero, -1)))
    return y if bias is None else b("ADD", y, bias)


@handles("com.microsoft:DynamicQuantizeLSTM")
def dynamic_quantize_lstm(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    peephole: Tensor | None = None,
    w_scale: Tensor | None = None,
    w_zero: Tensor | None = None,
    r_scale: Tensor | None = None,
    r_zero: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
) -> list[Tensor]:
    """An LSTM with stored weights [directions, inputs, 4 x cells]; activations stay reals."""
    if w_scale is None or r_scale is None:
        raise UnsupportedError("a DynamicQuantizeLSTM without scales")
    b.shared.translation.notes.append(
        f"'{b.source.node}': DynamicQuantizeLSTM keeps its 8-bit weights; its activations, which "
        "onnxruntime rounds to 8 bits, are computed as reals"
    )
    w, r = _gates_first(b, w, w_scale, w_zero), _gates_first(b, r, r_scale, r_zero)
    functions = Functions(activations, activation_alpha, activation_beta)
    layer = Layer(x, w, r, bias, lengths, (h, c), peephole, direction, functions=functions)
    return lstm_layer(b, layer, clip, input_forget)


def _gates_first(b: ONNXBuilder, w: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """Return reals [directions, 4 x cells, inputs]; scales: one a direction, or one a gate row."""
    shape = (scale.shape[0], 1, scale.shape[1] if scale.rank == 2 else 1)
    if scale.size != 1:
        scale = b.reshape(scale, shape)
        zero = None if zero is None else b.reshape(zero, shape)
    return b.transpose(decoded(b, w, Params(scale, zero)), (0, 2, 1))
