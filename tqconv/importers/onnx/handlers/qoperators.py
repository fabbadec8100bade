"""Operators on integers that stand for reals: the reals are read, computed with, and stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose import activations, arithmetic, products
from tqconv.compose.rearrange import joined
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.handlers import elementwise, nn, pools
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.stored import Params, decoded, encoded
from tqconv.ir.graph import Tensor

F = np.float32


def _stored(b: ONNXBuilder, y: Tensor, scale: Tensor, zero: Tensor | None, like: Tensor) -> Tensor:
    """Return the integers of a result; without a zero point they have the type of an operand."""
    return encoded(b, y, Params(scale, zero), like.dtype if zero is None else zero.dtype)


def _of_rows(b: ONNXBuilder, x: Tensor, scale: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Read a matrix with one scale, or one for each slice along an axis."""
    return decoded(b, x, Params(scale, zero, axis))


@handles("QLinearConv")
def conv(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Convolve; the bias counts in steps of the product of both scales."""
    if bias is not None:
        bias = decoded(b, bias, Params(b("MUL", x_scale, w_scale), None, 0))
    y = nn.conv(
        b,
        decoded(b, x, Params(x_scale, x_zero)),
        decoded(b, w, Params(w_scale, w_zero, 0)),
        bias,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        pads=pads,
        strides=strides,
    )
    return _stored(b, y, y_scale, y_zero, x)


@handles("QLinearMatMul", "com.microsoft:QLinearMatMul")
def matmul(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    """Multiply matrices; the left one has scales of rows, the right one of columns."""
    left = _of_rows(b, x, x_scale, x_zero, -2)
    right = _of_rows(b, w, w_scale, w_zero, -1)
    y = products.product(b, left, right)
    return encoded(b, y, Params(y_scale, y_zero, -2), y_zero.dtype)


@handles("com.microsoft:QGemm")
def gemm(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    c: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero: Tensor | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  (ONNX's spelling)
    transB: int = 0,  # noqa: N803  (ONNX's spelling)
) -> Tensor:
    """Return alpha x w + c; without a scale of the result it stays reals."""
    left = decoded(b, x, Params(x_scale, x_zero))
    right = decoded(b, w, Params(w_scale, w_zero, 0 if transB else 1))
    y = nn.gemm(b, left, right, alpha=alpha, transA=transA, transB=transB)
    if c is not None:
        step = b("MUL", b("MUL", x_scale, w_scale), F(alpha))
        y = b("ADD", y, decoded(b, c, Params(step, None, -1)))
    return y if y_scale is None else _stored(b, y, y_scale, y_zero, x)


@handles("com.microsoft:QLinearAdd", "com.microsoft:QLinearMul")
def combine(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y: Tensor,
    y_scale: Tensor,
    y_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
) -> Tensor:
    """Sum or product."""
    left = decoded(b, x, Params(x_scale, x_zero))
    right = decoded(b, y, Params(y_scale, y_zero))
    type = b.node.op.removeprefix("com.microsoft:QLinear").upper()
    return _stored(b, arithmetic.combine(b, type, left, right), scale, zero, x)


@handles("com.microsoft:QLinearSigmoid")
def sigmoid(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
) -> Tensor:
    """The logistic function."""
    return _stored(b, b("LOGISTIC", decoded(b, x, Params(x_scale, x_zero))), scale, zero, x)


@handles("com.microsoft:QLinearLeakyRelu")
def leaky_relu(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    alpha: float = 0.01,
) -> Tensor:
    """Alpha times x where that is negative."""
    y = b("LEAKY_RELU", decoded(b, x, Params(x_scale, x_zero)), alpha=alpha)
    return _stored(b, y, scale, zero, x)


@handles("com.microsoft:QLinearSoftmax")
def softmax(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = -1,
    opset: int = 13,
) -> Tensor:
    """A distribution along one axis; before opset 13 over all axes from it on."""
    reals = decoded(b, x, Params(x_scale, x_zero))
    if opset < 13:
        y = elementwise.over_all_behind(b, reals, axis, activations.softmax)
    else:
        y = activations.softmax(b, reals, axis)
    return _stored(b, y, scale, zero, x)


@handles("com.microsoft:QLinearConcat")
def concat(b: ONNXBuilder, scale: Tensor, zero: Tensor, *parts: Tensor | None, axis: int) -> Tensor:
    """Put tensors behind each other; each has its own scale."""
    if len(parts) % 3:
        raise FormatError(f"QLinearConcat has {len(parts)} inputs behind its zero point")
    reals = []
    for place in range(0, len(parts), 3):
        x, own, own_zero = parts[place : place + 3]
        if x is None or own is None:
            raise FormatError("QLinearConcat lacks an input")
        reals.append(decoded(b, x, Params(own, own_zero)))
    y = joined(b, reals, axis % reals[0].rank)
    return encoded(b, y, Params(scale, zero), zero.dtype)


@handles("com.microsoft:QLinearGlobalAveragePool")
def global_average_pool(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    channels_last: int = 0,
) -> Tensor:
    """The mean over all places."""
    reals = decoded(b, x, Params(x_scale, x_zero))
    axes = np.arange(1, x.rank - 1) if channels_last else np.arange(2, x.rank)
    y = b("MEAN", reals, axes.astype(np.int32), keep_dims=True)
    return _stored(b, y, scale, zero, x)


@handles("com.microsoft:QLinearAveragePool")
def average_pool(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The mean of each window."""
    reals = decoded(b, x, Params(x_scale, x_zero))
    y = pools.average_pool(
        b,
        b.to_channels_first(reals) if channels_last else reals,
        kernel_shape=kernel_shape,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        pads=pads,
        strides=strides,
    )
    return _stored(b, b.to_channels_last(y) if channels_last else y, scale, zero, x)


@handles("com.microsoft:QLinearReduceMean")
def reduce_mean(
    b: ONNXBuilder,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
) -> Tensor:
    """The mean over axes, over all without them."""
    reals = decoded(b, x, Params(x_scale, x_zero))
    over = np.array([axis % x.rank for axis in axes or range(x.rank)], np.int32)
    return _stored(b, b("MEAN", reals, over, keep_dims=bool(keepdims)), scale, zero, x)


@handles("com.microsoft:QLinearWhere")
def where(
    b: ONNXBuilder,
    condition: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y: Tensor,
    y_scale: Tensor,
    y_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
) -> Tensor:
    """Choose between elements."""
    if condition.dtype != np.bool_:
        raise UnsupportedError(f"a condition of {condition.dtype}")
    left = decoded(b, x, Params(x_scale, x_zero))
    right = decoded(b, y, Params(y_scale, y_zero))
    return _stored(b, b("SELECT_V2", condition, left, right), scale, zero, x)
