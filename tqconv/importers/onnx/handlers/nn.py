"""Convolutions, pools and normalizations. Images have channels first: [n, c, …]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import activations, functions, norm, products
from tqconv.compose import conv as convolution
from tqconv.compose.operands import told_size
from tqconv.compose.sizes import inserted, removed, reshaped
from tqconv.compose.windows import Window
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.handlers.windows import windows_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("Conv")
def conv(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Convolve x: [n, c, …] with w: [out, c / group, k…]."""
    told_size(x, 1, None if w.shape[1] is None else w.shape[1] * group)
    windows = windows_of(
        x, w.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    y = b.channels_last(x, True, lambda t: _convolved(b, t, w, bias, windows, group))
    return y


def _convolved(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    windows: Sequence[Window],
    group: int,
) -> Tensor:
    """Convolve x: [n, …, c]; as many groups as channels are a depthwise convolution."""
    out, own, *kernel = w.shape
    spatial = range(2, w.rank)
    channels = x.shape[-1]
    if own is not None and channels is not None and own * group != channels:
        raise UnsupportedError(f"a filter of {own} channels in {group} groups for {channels}")
    if channels is None and group > 1 and len(kernel) == 3:
        raise UnsupportedError(
            "a convolution of groups over three axes of an unknown number of channels",
            hint="give the inputs a shape with --input_shapes",
        )
    if group > 1 and own == 1 and out is not None:
        w = b.reshape(w, (group, out // group, *kernel))
        filters = b.turned(w, (*spatial, 0, 1))
        y = convolution.depthwise(b, x, filters, windows)
    else:
        y = convolution.conv(b, x, b.turned(w, (*spatial, 1, 0)), windows)
    return y if bias is None else b("ADD", y, bias)


@handles("BatchNormalization")
def batch_norm(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
    training_mode: int = 0,
) -> Tensor | tuple[Tensor, ...]:
    """Normalize each channel with stored statistics, or, in training, with its own ones."""
    if not spatial and x.rank > 2:
        raise UnsupportedError("a batch normalization with statistics for every element")
    if training_mode:
        return _trained(b, x, scale, offset, mean, variance, epsilon, momentum)
    if any(map(b.wants, range(1, 5))):
        # Before opset 14, further results said that it is in training; mostly nobody reads them.
        if any(map(b.read_later, b.node.outputs[1:])):
            raise UnsupportedError("the statistics of a batch normalization in training mode")
        return _trained(b, x, scale, offset, mean, variance, epsilon, momentum)[:1]
    return norm.normalized(b, x, scale, offset, mean, variance, epsilon, axis=1)


def _trained(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    momentum: float,
) -> tuple[Tensor, ...]:
    """Return x, normalized, and the statistics that move towards those of x."""
    own, spread, centered = norm.statistics(b, x, [i for i in range(x.rank) if i != 1])
    factor, shift = (norm.per_channel(b, t, x.rank, axis=1) for t in (scale, offset))
    inverse = b("RSQRT", b("ADD", spread, np.array(epsilon, F)))
    y = norm.scaled(b, centered, inverse, factor, shift)
    flat = (reshaped(b, t, [-1]) for t in (own, spread))
    kept = 1.0 - momentum
    moved = (
        norm.moving_average(b, o, n, kept) for o, n in zip((mean, variance), flat, strict=True)
    )
    return y, *moved


@handles("Gemm")
def gemm(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803  (ONNX's spelling)
    transB: int = 0,  # noqa: N803  (ONNX's spelling)
) -> Tensor:
    """Return alpha x w + beta c, x and w transposed where that is asked for."""
    y = products.product(b, x, w, adj_x=bool(transA), adj_w=bool(transB))
    if alpha != 1:
        y = b("MUL", y, np.array(alpha, y.dtype))
    if c is None or beta == 0:
        return y
    return b("ADD", y, c if beta == 1 else b("MUL", c, np.array(beta, c.dtype)))


@handles("MatMul")
def matmul(b: ONNXBuilder, x: Tensor, w: Tensor) -> Tensor:
    """Multiply matrices; the axes before the last two broadcast, vectors are rows or columns."""
    left = inserted(b, x, 0) if x.rank == 1 else x
    right = inserted(b, w, 1) if w.rank == 1 else w
    y = products.product(b, left, right)
    y = removed(b, y, y.rank - 1) if w.rank == 1 else y
    return removed(b, y, y.rank - (1 if w.rank == 1 else 2)) if x.rank == 1 else y


@handles("com.microsoft:FusedMatMul", "com.microsoft:TransposeMatMul")
def fused_matmul(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  (ONNX's spelling)
    transB: int = 0,  # noqa: N803  (ONNX's spelling)
    transBatchA: int = 0,  # noqa: N803  (ONNX's spelling)
    transBatchB: int = 0,  # noqa: N803  (ONNX's spelling)
) -> Tensor:
    """Return alpha x w, of which the last two axes are exchanged where that is asked for.

    transBatch: the first axis goes behind those of the batch before that.
    """
    x = _batch_first(b, x) if transBatchA else x
    w = _batch_first(b, w) if transBatchB else w
    y = products.product(b, x, w, adj_x=bool(transA), adj_w=bool(transB))
    return y if alpha == 1 else b("MUL", y, np.array(alpha, y.dtype))


@handles("com.microsoft:CDist")
def distances(b: ONNXBuilder, x: Tensor, y: Tensor, *, metric: str = "sqeuclidean") -> Tensor:
    """The distance of each row of x: [m, k] from each row of y: [n, k], or its square."""
    if metric not in ("euclidean", "sqeuclidean"):
        raise UnsupportedError(f"the metric `{metric}`")
    apart = b("SQUARED_DIFFERENCE", inserted(b, x, 1), inserted(b, y, 0))
    squares = b("SUM", apart, np.array([2], np.int32), keep_dims=False)
    return squares if metric == "sqeuclidean" else b("SQRT", squares)


def _batch_first(b: ONNXBuilder, x: Tensor) -> Tensor:
    """[m, batch…, k] -> [batch…, m, k]."""
    return b.transpose(x, (*range(1, x.rank - 1), 0, x.rank - 1))


def _activated(b: ONNXBuilder, x: Tensor, name: str, params: Sequence[float]) -> Tensor:
    if name not in ACTIVATIONS:
        raise UnsupportedError(f"the activation `{name}`")
    wanted, apply = ACTIVATIONS[name]
    if len(params) not in (0, wanted):
        raise UnsupportedError(f"{len(params)} parameters of the activation `{name}`")
    return apply(b, x, *params)


def _sigmoid(b: ONNXBuilder, x: Tensor) -> Tensor:
    return b("LOGISTIC", x)


def _tanh(b: ONNXBuilder, x: Tensor) -> Tensor:
    return b("TANH", x)


ACTIVATIONS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    "": (0, lambda b, x: x),
    "Clip": (2, activations.clamp),
    "Elu": (1, activations.elu),
    "HardSigmoid": (2, lambda b, x, p=0.2, q=0.5: activations.hard_sigmoid(b, x, p, q)),
    "LeakyRelu": (1, lambda b, x, p=0.01: activations.leaky_relu(b, x, p)),
    "Relu": (0, activations.relu),
    "Selu": (2, activations.selu),
    "Sigmoid": (0, _sigmoid),
    "Softplus": (0, functions.softplus),
    "Softsign": (0, functions.softsign),
    "Tanh": (0, _tanh),
    "ThresholdedRelu": (1, lambda b, x, p=1.0: activations.thresholded(b, x, p)),
}
"""What ONNX Runtime puts behind a convolution or product, and how many parameters it has."""


@handles("com.microsoft:FusedConv")
def fused_conv(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    other: Tensor | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    **told: Any,
) -> Tensor:
    """Convolve, add another tensor, and apply an activation."""
    y = conv(b, x, w, bias, **told)
    y = y if other is None else b("ADD", y, other)
    return _activated(b, y, activation, activation_params)


@handles("com.microsoft:FusedGemm")
def fused_gemm(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    c: Tensor | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    **told: Any,
) -> Tensor:
    """Multiply matrices, add, and apply an activation."""
    told_params = (activation_alpha, activation_beta, activation_gamma)
    params = [p for p in told_params if p is not None]
    return _activated(b, gemm(b, x, w, c, **told), activation, params)
