"""Examples of operations of networks: windows, normalizations, attention, softmax."""

from __future__ import annotations

from typing import Any

import keras_reference as ref
import numpy as np
from keras_rows import Draw, F, Known, Row, Table
from networks_keras import Array

TABLE = Table()


def first_of(x: Array) -> Array:
    """[n, …, c] -> [n, c, …]."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def ordered(d: Draw, x: Array, y: Array) -> tuple[Array, Array, str]:
    """Return input and result in the order of axes that is drawn, and its name."""
    if d.number(0, 2):
        return x, y, "channels_last"
    return first_of(x), first_of(y), "channels_first"


def images(d: Draw, rank: int, channels: int = 2) -> Array:
    return d.reals(2, *[d.number(5, 8) for _ in range(rank)], channels)


@TABLE.examples("nn", "MaxPool", "AveragePool", count=6)
def pools(d: Draw, op: str) -> Row:
    rank = d.number(1, 3)
    x = images(d, rank)
    size = [d.number(1, 3) for _ in range(rank)]
    strides = d.pick(None, [d.number(1, 3) for _ in range(rank)])
    padding = d.pick("valid", "same")
    y = ref.pooled(op.removesuffix("Pool"), x, size, strides or size, padding)
    x, y, order = ordered(d, x, y)
    whole = d.flag() and len(set(size)) == 1
    config = {"pool_size": size[0] if whole else size, "strides": strides}
    return Row([x], F(y), {**config, "padding": padding, "data_format": order})


@TABLE.examples("nn", "AdaptiveAveragePool", "AdaptiveMaxPool", count=4)
def adaptive_pools(d: Draw, op: str) -> Row:
    rank = d.number(1, 3)
    x = images(d, rank)
    sizes = [d.number(1, 4) for _ in range(rank)]
    y = x
    for axis, (size, count) in enumerate(zip(x.shape[1:-1], sizes, strict=True), 1):
        reduce = np.max if "Max" in op else np.mean
        ends = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        y = np.stack([reduce(y.take(range(a, z), axis), axis) for a, z in ends], axis)
    x, y, order = ordered(d, x, y)
    return Row([x], y, {"output_size": sizes, "data_format": order})


@TABLE.examples("nn", "Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", count=6)
def convolutions(d: Draw, op: str) -> Row:
    rank = d.number(1, 3 if op == "Conv" else 2)
    kernel = [d.number(1, 3) for _ in range(rank)]
    strides = [d.number(1, 3)] * rank
    rates = [d.number(1, 2) if strides[0] == 1 and op != "ConvTranspose" else 1] * rank
    padding = d.pick("valid", "same")
    x = images(d, rank)
    w = d.reals(*kernel, 2, 3)
    config: dict[str, Any] = {"strides": d.pick(strides, strides[0]), "padding": padding}
    config["dilation_rate"] = d.pick(rates, rates[0])
    weights = [w]
    if op == "Conv":
        y = ref.convolution(x, w, np.zeros(3), strides, rates, padding)
    elif op == "ConvTranspose":
        weights = [w.swapaxes(-1, -2)]
        y = ref.spread(x, weights[0], strides, padding)
        config["output_padding"] = None
    else:
        y = ref.depthwise(x, w, strides, rates, padding)
    if op == "SeparableConv":
        weights.append(d.reals(*[1] * rank, 6, 4))
        y = y @ weights[1].reshape(6, 4)
    x, y, config["data_format"] = ordered(d, x, y)
    return Row([x, *map(Known, weights)], F(y), config, close=1e-4)


@TABLE.examples("nn", "Softmax", "LogSoftmax", count=4)
def softmaxes(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    some = [int(a) for a in d.rng.permutation(x.ndim)[: d.number(1, x.ndim)]]
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), some if len(some) > 1 else -1, None)
    named = (
        tuple(range(x.ndim)) if axis is None else tuple(axis) if isinstance(axis, list) else axis
    )
    y = ref.softmax(x, named)
    return Row([x], y if op == "Softmax" else np.log(y), {"axis": axis})


@TABLE.examples("nn", "Glu")
def gated(d: Draw, op: str) -> Row:
    x = d.reals(*(2 * s for s in d.shape()))
    axis = d.axis(x.ndim)
    first, second = np.split(x, 2, axis)
    return Row([x], first * ref.sigmoid(second), {"axis": axis}, fixed=True)


@TABLE.examples("nn", "Sparsemax")
def nearest_of_simplex(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2), 5)
    rows = []
    for row in x.reshape(-1, 5):
        falling = np.sort(row)[::-1]
        sums = falling.cumsum()
        count = np.arange(1, 6)[1 + np.arange(1, 6) * falling > sums].max()
        # Keras adds up all sums where the last of them is meant.
        rows.append(np.maximum(row - (sums[:count].sum() - 1) / count, 0))
    return Row([x], F(np.reshape(rows, x.shape)), {"axis": -1})


@TABLE.examples("nn", "BatchNorm", count=5)
def batch_norms(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2))
    axis = d.axis(x.ndim)
    size = x.shape[axis]
    mean, variance = d.reals(size), d.reals(size, low=0.2)
    offset, scale = (d.pick(None, d.reals(size)) for _ in range(2))
    config = {"axis": axis, "epsilon": d.pick(1e-3, 0.1)}
    wide = [size if i == axis % x.ndim else 1 for i in range(x.ndim)]
    y = (x - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + config["epsilon"])
    y = y if scale is None else y * scale.reshape(wide)
    y = y if offset is None else y + offset.reshape(wide)
    kept = Known if d.flag() else lambda v: v
    rest = [None if v is None else kept(v) for v in (offset, scale)]
    return Row([x, kept(mean), kept(variance), *rest], y, config, fixed=True, close=1e-4)


@TABLE.examples("nn", "LayerNorm", count=6)
def layer_norms(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2))
    axis = d.pick(-1, -1, d.number(1, x.ndim - 1), [-1, 1] if x.ndim > 2 else [-1])
    axes = sorted(a % x.ndim for a in (axis if isinstance(axis, list) else [axis]))
    shape = [x.shape[a] for a in axes]
    gamma, beta = (d.pick(None, d.reals(*shape)) for _ in range(2))
    epsilon = d.pick(None, 1e-3)
    wide = [s if i in axes else 1 for i, s in enumerate(x.shape)]
    y = ref.normalized(x, tuple(axes), epsilon or 1e-7)
    y = y if gamma is None else y * gamma.reshape(wide)
    y = y if beta is None else y + beta.reshape(wide)
    kept = Known if d.flag() else lambda v: v
    scales = [None if v is None else kept(v) for v in (gamma, beta)]
    config = {"axis": axis, "epsilon": epsilon, "rms_scaling": False}
    return Row([x, *scales], y, config, close=1e-3)


@TABLE.examples("nn", "LayerNorm", count=1)
def scaled_by_deviation(d: Draw, op: str) -> Row:
    x, gamma = d.reals(3, 4), d.reals(4)
    y = x / np.sqrt(x.var(-1, keepdims=True) + 0.01) * gamma
    return Row([x, Known(gamma), None], y, {"axis": -1, "epsilon": 0.01, "rms_scaling": True})


@TABLE.examples("nn", "RMSNorm", count=5)
def rms_norms(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2))
    axis = d.pick(-1, -1, [-2, -1])
    axes = tuple(axis) if isinstance(axis, list) else axis
    scale = d.reals(*x.shape[-2:]) if isinstance(axis, list) else d.reals(x.shape[-1])
    scale = d.pick(None, scale, scale)
    epsilon = d.pick(None, 1e-3)
    y = x / np.sqrt((x * x).mean(axes, keepdims=True) + (epsilon or 1e-7))
    y = y if scale is None else y * scale
    given = d.pick(scale, None if scale is None else Known(scale))
    return Row([x], y, {"axis": axis, "epsilon": epsilon}, {"scale": given})


@TABLE.examples("nn", "DotProductAttention", count=8)
def attention(d: Draw, op: str) -> Row:
    n, t, s, h, size = 2, d.number(2, 4), d.number(2, 4), d.pick(1, 2, 4), d.number(2, 4)
    groups = d.pick(1, 2) if h == 4 else 1
    q = d.reals(n, t, h, size)
    k, v = (d.reals(n, s, h // groups, size) for _ in range(2))
    causal, scale = d.number(0, 3) == 0, d.pick(None, 0.3)
    bias = d.pick(None, d.reals(d.pick(1, n), d.pick(1, h), t, s))
    mask = d.pick(None, d.flags(d.pick(1, n), d.pick(1, h), t, s))
    cap = d.pick(None, 2.0) if bias is None else None
    scores = np.einsum("nthd,nshd->nhts", q, k.repeat(groups, 2)) * (scale or 1 / np.sqrt(size))
    scores = scores if bias is None else scores + bias
    scores = scores if cap is None else np.tanh(scores / cap) * cap
    shown = np.ones((t, s), bool) if mask is None else mask
    shown = shown & np.tri(t, s, dtype=bool) if causal else shown
    weights = ref.softmax(np.where(shown, scores, F(-1e9)))
    y = np.einsum("nhts,nshd->nthd", weights, v.repeat(groups, 2))
    config = {"is_causal": causal, "flash_attention": None, "attn_logits_soft_cap": cap}
    return Row([q, k, v], F(y), config, {"bias": bias, "mask": mask, "scale": scale})


@TABLE.examples("nn", "DepthToSpace", "SpaceToDepth")
def blocks(d: Draw, op: str) -> Row:
    size = d.number(2, 3)
    n, h, w, c = 2, d.number(1, 3), d.number(1, 3), d.number(1, 2)
    deep = d.reals(n, h, w, size * size * c)
    wide = (
        deep.reshape(n, h, w, size, size, c)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(n, h * size, w * size, c)
    )
    x, y, order = ordered(d, *((deep, wide) if op == "DepthToSpace" else (wide, deep)))
    return Row([x], y, {"block_size": size, "data_format": order})
