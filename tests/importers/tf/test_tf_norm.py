"""Biases and normalizations, and the nodes that TensorFlow's optimizer fuses, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from graphs import assert_op, const, graph, model_of, node, placeholder, results
from numpy.typing import NDArray
from window_reference import conv

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # a dozen roundings of numbers about 1


X = numbers(2, 5, 6, 4) * 2 + 1
SCALE, OFFSET, MEAN = (numbers(4, seed=i) for i in (1, 2, 3))
VARIANCE = np.abs(numbers(4, seed=4)) + np.float32(0.1)
STATISTICS = (SCALE, OFFSET, MEAN, VARIANCE)
EMPTY = np.zeros(0, np.float32)


def normalized(x: Array, scale: Array, offset: Array, mean: Array, variance: Array) -> Array:
    return ((x - mean) / np.sqrt(variance + 1e-3) * scale + offset).astype(np.float32)


@pytest.mark.parametrize("op", ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
def test_batch_norm_of_given_statistics(op: str) -> None:
    expected = normalized(X, *STATISTICS), MEAN, VARIANCE
    attrs = {"epsilon": 1e-3, "is_training": False}
    assert_op(op, (X, *STATISTICS), expected, constants=range(1, 5), **attrs, **CLOSE)
    assert_op(op, (X, *STATISTICS), expected[0], **attrs, **CLOSE)


def test_batch_norm_with_channels_first() -> None:
    x, expected = (t.transpose(0, 3, 1, 2).copy() for t in (X, normalized(X, *STATISTICS)))
    attrs = {"epsilon": 1e-3, "is_training": False, "data_format": "NCHW"}
    operands = (x, *STATISTICS)
    assert_op("FusedBatchNormV3", operands, expected, constants=range(1, 5), **attrs, **CLOSE)


def test_batch_norm_of_volumes() -> None:
    x = numbers(2, 3, 2, 3, 4)
    attrs = {"epsilon": 1e-3, "is_training": False, "data_format": "NDHWC"}
    expected = normalized(x, *STATISTICS)
    operands = (x, *STATISTICS)
    assert_op("FusedBatchNormV3", operands, expected, constants=range(1, 5), **attrs, **CLOSE)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("op", ["FusedBatchNorm", "FusedBatchNormV3"])
def test_batch_norm_in_training_computes_its_statistics(op: str, dynamic: bool) -> None:
    mean, variance = X.mean((0, 1, 2)), X.var((0, 1, 2))
    count = X[..., 0].size
    y = normalized(X, SCALE, OFFSET, mean, variance)
    expected = y, mean, variance * np.float32(count / (count - 1)), mean, variance
    dims = (None, None, None, 4) if dynamic else X.shape
    constants = {"scale": SCALE, "offset": OFFSET, "mean": EMPTY, "variance": EMPTY}
    nodes = [placeholder("x", np.float32, dims)]
    nodes += [const(name, value) for name, value in constants.items()]
    nodes.append(node("y", op, "x", *constants, epsilon=1e-3, is_training=True))
    names = ["y", "y:1", "y:2", "y:3", "y:4"]
    for measured in results(graph(*nodes), {"x": X}, names):
        for have, want in zip(measured, expected, strict=True):
            np.testing.assert_allclose(have, want, **CLOSE)


def test_batch_norm_in_training_moves_the_running_values() -> None:
    mean, variance = X.mean((0, 1, 2)), X.var((0, 1, 2))
    count, new = X[..., 0].size, np.float32(0.25)
    unbiased = variance * np.float32(count / (count - 1))
    expected = (
        normalized(X, SCALE, OFFSET, mean, variance),
        (1 - new) * MEAN + new * mean,
        (1 - new) * VARIANCE + new * unbiased,
    )
    attrs = {"epsilon": 1e-3, "is_training": True, "exponential_avg_factor": 0.25}
    operands = (X, *STATISTICS)
    assert_op("FusedBatchNormV3", operands, expected, constants=range(1, 5), **attrs, **CLOSE)


@pytest.mark.parametrize("scaled", [False, True])
def test_batch_norm_before_tensorflow_1(scaled: bool) -> None:
    scale = SCALE if scaled else np.ones_like(SCALE)
    expected = normalized(X, scale, OFFSET, MEAN, VARIANCE)
    attrs = {"variance_epsilon": 1e-3, "scale_after_normalization": scaled}
    operands = (X, MEAN, VARIANCE, OFFSET, SCALE)
    op = "BatchNormWithGlobalNormalization"
    assert_op(op, operands, expected, constants=range(1, 5), **attrs, **CLOSE)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int32, np.int64, np.uint8, np.uint64])
@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_bias_add(rank: int, dtype: Any) -> None:
    x = np.arange(np.prod((2, 3, 1, 2, 3)[-rank:])).reshape((2, 3, 1, 2, 3)[-rank:]).astype(dtype)
    bias = np.array([1, 2, 5], dtype)
    assert_op("BiasAdd", (x, bias), x + bias, constants=(1,))
    if dtype == np.float32:
        assert_op("BiasAddV1", (x, bias), x + bias, constants=(1,))


@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_bias_add_with_channels_first(rank: int) -> None:
    x, bias = numbers(*(2, 3, 4, 2, 2)[:rank]), numbers(3)
    expected = x + bias.reshape(3, *(1,) * (rank - 2))
    assert_op("BiasAdd", (x, bias), expected, constants=(1,), data_format="NCHW", **CLOSE)


@pytest.mark.parametrize(
    ("radius", "bias", "alpha", "beta"),
    [(5, 1.0, 1.0, 0.5), (2, 0.5, 0.1, 0.75), (9, 1.0, 1e-4, 1.0)],
)
def test_local_response_normalization(radius: int, bias: float, alpha: float, beta: float) -> None:
    x = numbers(2, 3, 4, 7)
    near = np.abs(np.subtract.outer(np.arange(7), np.arange(7))) <= radius
    expected = x / (bias + alpha * (np.square(x) @ near)) ** beta
    attrs = {"depth_radius": radius, "bias": bias, "alpha": alpha, "beta": beta}
    assert_op("LRN", (x,), expected.astype(np.float32), **attrs, **CLOSE)


FOLLOWING = {
    "Relu": lambda y: np.maximum(y, 0),
    "Relu6": lambda y: np.clip(y, 0, 6),
    "LeakyRelu": lambda y: np.where(y > 0, y, 0.25 * y),
    "Tanh": np.tanh,
}


@pytest.mark.parametrize("name", [None, *FOLLOWING])
def test_fused_conv2d(name: str | None) -> None:
    w, bias = numbers(3, 3, 4, 5), numbers(5, seed=1)
    y = conv(X, w, (1, 1), "SAME") + bias
    expected = FOLLOWING[name](y) if name else y
    assert_op(
        "_FusedConv2D",
        (X, w, bias),
        expected.astype(np.float32),
        constants=(1, 2),
        strides=[1, 1, 1, 1],
        padding="SAME",
        num_args=1,
        fused_ops=["BiasAdd", *([name] if name else [])],
        leakyrelu_alpha=0.25,
        **CLOSE,
    )


def test_fused_depthwise_conv2d() -> None:
    w, bias = numbers(3, 3, 4, 2), numbers(8, seed=1)
    parts = [conv(X[..., i : i + 1], w[:, :, i : i + 1], (1, 1), "SAME") for i in range(4)]
    expected = np.maximum(np.concatenate(parts, -1) + bias, 0).astype(np.float32)
    attrs: Any = {"strides": [1, 1, 1, 1], "padding": "SAME", "num_args": 1}
    op, fused = "_FusedDepthwiseConv2dNative", ["BiasAdd", "Relu"]
    assert_op(op, (X, w, bias), expected, constants=(1, 2), fused_ops=fused, **attrs, **CLOSE)


def test_fused_conv2d_with_batch_norm() -> None:
    w = numbers(3, 3, 4, 4)
    expected = np.maximum(normalized(conv(X, w, (1, 1), "SAME"), *STATISTICS), 0)
    attrs: Any = {"strides": [1, 1, 1, 1], "padding": "SAME", "num_args": 4, "epsilon": 1e-3}
    operands = (X, w, *STATISTICS)
    fused = ["FusedBatchNorm", "Relu"]
    constants = range(1, 6)
    assert_op(
        "_FusedConv2D", operands, expected, constants=constants, fused_ops=fused, **attrs, **CLOSE
    )


@pytest.mark.parametrize("name", FOLLOWING)
def test_fused_matmul(name: str) -> None:
    x, w, bias = numbers(3, 4), numbers(4, 5), numbers(5)
    expected = FOLLOWING[name](x @ w + bias).astype(np.float32)
    attrs: Any = {"num_args": 1, "fused_ops": ["BiasAdd", name], "leakyrelu_alpha": 0.25}
    assert_op("_FusedMatMul", (x, w, bias), expected, constants=(1, 2), **attrs, **CLOSE)


def test_fused_batch_norm_adds_then_activates() -> None:
    side = numbers(*X.shape, seed=9)
    expected = np.maximum(normalized(X, *STATISTICS) + side, 0)
    attrs: Any = {"epsilon": 1e-3, "is_training": False, "num_side_inputs": 1}
    operands = (X, *STATISTICS, side)
    op = "_FusedBatchNormEx"
    assert_op(
        op, operands, expected, constants=range(1, 5), activation_mode="Relu", **attrs, **CLOSE
    )


def test_an_unknown_fused_operator_is_refused() -> None:
    y = node("y", "_FusedMatMul", "x", "w", num_args=0, fused_ops=["Softmax"])
    message = graph(placeholder("x", np.float32, (3, 4)), const("w", numbers(4, 5)), y)
    with pytest.raises(UnsupportedError, match="`Softmax` in fused_ops"):
        model_of(message, ["y"])


def test_channels_farther_away_than_there_are_cost_nothing() -> None:
    """The kernel makes room for all that the radius reaches: 8 GB here."""
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 2, 3, 4)
    expected = x / np.sqrt(1 + 0.5 * np.square(x).sum(-1, keepdims=True))
    attrs = {"depth_radius": 10**9, "bias": 1.0, "alpha": 0.5, "beta": 0.5}
    assert_op("LRN", (x,), expected, **attrs, **CLOSE)
