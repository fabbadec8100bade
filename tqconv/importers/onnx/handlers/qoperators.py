"""Operators on integers that stand for reals: the reals are read, computed with, and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import activations, arithmetic, products
from tqconv.compose.rearrange import joined
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.handlers import elementwise, nn, pools
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.stored import Params, decoded, encoded
from tqconv.importers.onnx.triples import Given, Wanted, in_triples
from tqconv.ir.graph import Tensor

F = np.float32


@handles("QLinearConv")
@in_triples
def conv(
    b: ONNXBuilder,
    x: Given,
    w: Given,
    y: Wanted,
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
    shape = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    return y.stored(b, _sums(b, x.reals(b), x, w, bias, group=group, **shape), x)


@handles("com.microsoft:QLinearConv")
@in_triples
def conv_of_images(
    b: ONNXBuilder,
    x: Given,
    w: Given,
    y: Wanted,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    channels_last: int = 0,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The same; what is read and made may have channels last. Weights have them second."""
    told = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    images = x.reals(b, -1 if channels_last else 1)
    if not channels_last:
        return y.stored(b, _sums(b, images, x, w, bias, group=group, **told), x)
    sums = _sums(b, b.to_channels_first(images), x, w, bias, group=group, **told)
    return y.stored(b, b.to_channels_last(sums), x, -1)


def _sums(
    b: ONNXBuilder, images: Tensor, x: Given, w: Given, bias: Tensor | None, **told: Any
) -> Tensor:
    if bias is not None:
        bias = decoded(b, bias, Params(b("MUL", x.scale, w.scale), None, 0))
    return nn.conv(b, images, w.reals(b, 0), bias, **told)


@handles("QLinearMatMul", "com.microsoft:QLinearMatMul")
@in_triples
def matmul(b: ONNXBuilder, x: Given, w: Given, y: Wanted) -> Tensor:
    """Multiply matrices; the left one has scales of rows, the right one of columns."""
    return y.stored(b, products.product(b, x.reals(b, -2), w.reals(b, -1)), x, -2)


@handles("com.microsoft:QGemm")
@in_triples
def gemm(
    b: ONNXBuilder,
    x: Given,
    w: Given,
    c: Tensor | None = None,
    y: Wanted | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  (ONNX's spelling)
    transB: int = 0,  # noqa: N803  (ONNX's spelling)
) -> Tensor:
    """Return alpha x w + c; without a scale of the result it stays reals."""
    right = w.reals(b, 0 if transB else 1)
    sums = nn.gemm(b, x.reals(b), right, alpha=alpha, transA=transA, transB=transB)
    if c is not None:
        step = b("MUL", b("MUL", x.scale, w.scale), F(alpha))
        sums = b("ADD", sums, decoded(b, c, Params(step, None, -1)))
    return sums if y is None else y.stored(b, sums, x)


@handles("com.microsoft:QLinearAdd", "com.microsoft:QLinearMul")
@in_triples
def combine(b: ONNXBuilder, x: Given, y: Given, z: Wanted) -> Tensor:
    """Sum or product."""
    type = b.node.op.removeprefix("com.microsoft:QLinear").upper()
    return z.stored(b, arithmetic.combine(b, type, x.reals(b), y.reals(b)), x)


@handles("com.microsoft:QLinearSigmoid")
@in_triples
def sigmoid(b: ONNXBuilder, x: Given, y: Wanted) -> Tensor:
    """The logistic function."""
    return y.stored(b, b("LOGISTIC", x.reals(b)), x)


@handles("com.microsoft:QLinearLeakyRelu")
@in_triples
def leaky_relu(b: ONNXBuilder, x: Given, y: Wanted, *, alpha: float = 0.01) -> Tensor:
    """Alpha times x where that is negative."""
    return y.stored(b, b("LEAKY_RELU", x.reals(b), alpha=alpha), x)


@handles("com.microsoft:QLinearSoftmax")
@in_triples
def softmax(b: ONNXBuilder, x: Given, y: Wanted, *, axis: int = -1, opset: int = 13) -> Tensor:
    """A distribution along one axis; before opset 13 over all axes from it on."""
    reals = x.reals(b)
    if opset < 13:
        shares = elementwise.over_all_behind(b, reals, axis, activations.softmax)
    else:
        shares = activations.softmax(b, reals, axis)
    return y.stored(b, shares, x)


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
@in_triples
def global_average_pool(b: ONNXBuilder, x: Given, y: Wanted, *, channels_last: int = 0) -> Tensor:
    """The mean over all places."""
    reals = x.reals(b)
    axes = np.arange(1, reals.rank - 1) if channels_last else np.arange(2, reals.rank)
    return y.stored(b, b("MEAN", reals, axes.astype(np.int32), keep_dims=True), x)


@handles("com.microsoft:QLinearAveragePool")
@in_triples
def average_pool(
    b: ONNXBuilder,
    x: Given,
    y: Wanted,
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
    reals = x.reals(b)
    means = pools.average_pool(
        b,
        b.to_channels_first(reals) if channels_last else reals,
        kernel_shape=kernel_shape,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        pads=pads,
        strides=strides,
    )
    return y.stored(b, b.to_channels_last(means) if channels_last else means, x)


@handles("com.microsoft:QLinearReduceMean")
@in_triples
def reduce_mean(
    b: ONNXBuilder,
    x: Given,
    y: Wanted,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
) -> Tensor:
    """The mean over axes, over all without them."""
    reals = x.reals(b)
    over = np.array([axis % reals.rank for axis in axes or range(reals.rank)], np.int32)
    return y.stored(b, b("MEAN", reals, over, keep_dims=bool(keepdims)), x)


@handles("com.microsoft:QLinearWhere")
@in_triples
def where(b: ONNXBuilder, condition: Tensor, x: Given, y: Given, z: Wanted) -> Tensor:
    """Choose between elements."""
    if condition.dtype != np.bool_:
        raise UnsupportedError(f"a condition of {condition.dtype}")
    return z.stored(b, b("SELECT_V2", condition, x.reals(b), y.reals(b)), x)
