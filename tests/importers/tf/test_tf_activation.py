"""Activations, softmax and losses, over their domains, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op
from numpy.typing import NDArray

Array = NDArray[Any]
DOMAIN = np.array(
    [-1e30, -100, -20, -3.5, -1, -1e-3, -1e-8, -0.0, 0, 1e-8, 1e-3, 1, 3.5, 6, 7, 20, 88, 1e30],
    np.float32,
)
SHAPES = [(18,), (3, 6), (3, 2, 3), (1, 2, 3, 3), (2, 1, 3, 1, 3)]
CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # a few roundings; expm1 of LiteRT is off by 1e-7 near 0


def selu(x: Array) -> Array:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


FUNCTIONS = {
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Selu": selu,
    "LeakyRelu": lambda x: np.where(x > 0, x, 0.2 * x),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", FUNCTIONS)
def test_activation(op: str, shape: Any) -> None:
    x = DOMAIN.reshape(shape)
    assert_op(op, (x,), FUNCTIONS[op](x.astype(np.float64)).astype(np.float32), **CLOSE)


@pytest.mark.parametrize("op", ["Relu", "Relu6"])
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_activation_of_integers(op: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.max, 0, 1, 5, 6, 7, 100], dtype)
    assert_op(op, (x,), np.asarray(FUNCTIONS[op](x), dtype))


@pytest.mark.parametrize("alpha", [0.0, 0.01, 1.0, 2.0, -0.5])
def test_leaky_relu(alpha: float) -> None:
    expected = np.where(DOMAIN > 0, DOMAIN, np.float32(alpha) * DOMAIN)
    assert_op("LeakyRelu", (DOMAIN,), expected, alpha=alpha, **CLOSE)


def log_softmax(x: Array) -> Array:
    shifted = x.astype(np.float64) - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 2, 2, 3, 3)])
def test_softmax(shape: Any, scale: float) -> None:
    x = (np.random.default_rng(0).normal(size=shape) * scale).astype(np.float32)
    expected = log_softmax(x)
    assert_op("Softmax", (x,), np.exp(expected).astype(np.float32), rtol=1e-5, atol=1e-6)
    # 1e-6 of the largest logit: the difference to the maximum is rounded.
    error = {"rtol": 1e-6, "atol": 1e-6 * scale * 4}
    assert_op("LogSoftmax", (x,), expected.astype(np.float32), **error)


def test_softmax_of_five_dimensions_of_unknown_size() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 1, 4)).astype(np.float32)
    expected = np.exp(log_softmax(x)).astype(np.float32)
    assert_op("Softmax", (x,), expected, dynamic=True, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [3, 1])
def test_softmax_cross_entropy(rows: int) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(3, 5)) * 3).astype(np.float32)
    labels = rng.uniform(size=(rows, 5)).astype(np.float32)
    logs = log_softmax(x)
    loss = -(labels * logs).sum(1).astype(np.float32)
    expected = loss, (np.exp(logs) - labels).astype(np.float32)
    assert_op("SoftmaxCrossEntropyWithLogits", (x, labels), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_sparse_softmax_cross_entropy(dtype: Any, dynamic: bool) -> None:
    x = (np.random.default_rng(0).normal(size=(3, 5)) * 3).astype(np.float32)
    labels = np.array([4, 0, 2], dtype)
    logs = log_softmax(x)
    loss = -logs[np.arange(3), labels].astype(np.float32)
    expected = loss, (np.exp(logs) - np.eye(5)[labels]).astype(np.float32)
    operands = (x, labels)
    op = "SparseSoftmaxCrossEntropyWithLogits"
    assert_op(op, operands, expected, dynamic=dynamic, Tlabels=dtype, rtol=1e-5, atol=1e-5)
