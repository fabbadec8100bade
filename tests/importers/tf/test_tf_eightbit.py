"""Graphs of TensorFlow 1's `quantize_nodes`: operators on reals that the integers stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import const, graph, model_of, node, placeholder, results, typed

F = np.float32
RNG = np.random.default_rng(23)
X = RNG.uniform(-1, 1, (1, 6, 6, 4)).astype(F)
QUINT8 = typed("quint8")


def quantize(name: str, of: str) -> list[Any]:
    """Return the nodes that store `of` over the range that it takes."""
    axes = const(f"{name}/axes", np.arange(4, dtype=np.int32))
    low = node(f"{name}/min", "Min", of, f"{name}/axes")
    high = node(f"{name}/max", "Max", of, f"{name}/axes")
    stored = node(name, "QuantizeV2", of, low.name, high.name, T=QUINT8, mode="MIN_FIRST")
    return [axes, low, high, stored]


def stored(name: str, reals: np.ndarray) -> list[Any]:
    """Return constants of 8 bits, called `name`, `name/min`, `name/max`."""
    low, high = min(float(reals.min()), 0.0), max(float(reals.max()), 0.0)
    codes = np.round((reals - low) / (high - low) * 255).astype(np.uint8)
    return [
        const(name, codes, "quint8"),
        const(f"{name}/min", F(low)),
        const(f"{name}/max", F(high)),
    ]


def requantize(name: str, of: str) -> list[Any]:
    operands = (of, f"{of}:1", f"{of}:2")
    span = node(f"{name}/range", "RequantizationRange", *operands, Tinput=typed("qint32"))
    ends = (span.name, f"{span.name}:1")
    return [span, node(name, "Requantize", *operands, *ends, out_type=QUINT8)]


def ranged(name: str) -> tuple[str, str, str]:
    return name, f"{name}:1", f"{name}:2"


def reals(of: str) -> Any:
    return node("y", "Dequantize", *ranged(of), T=QUINT8, mode="MIN_FIRST")


WINDOW = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
ONES = [1, 1, 1, 1]


def close(nodes: list[Any], wanted: np.ndarray, ops: list[str], steps: float = 2.0) -> None:
    """The result is that of reals, but for the rounding of constants to 8 bits."""
    message = graph(placeholder("x", F, X.shape), *nodes)
    assert [op.type for op in model_of(message, ["y"]).main.ops] == ops
    step = (wanted.max() - min(wanted.min(), 0)) / 255
    for (measured,) in results(message, {"x": X}, ["y"]):
        np.testing.assert_allclose(measured, wanted, atol=steps * step)


def test_convolution() -> None:
    w = RNG.uniform(-1, 1, (1, 1, 4, 5)).astype(F)
    conv = node(
        "c", "QuantizedConv2D", "q", "w", "q:1", "q:2", "w/min", "w/max",
        strides=ONES, padding="SAME", Tinput=QUINT8, Tfilter=QUINT8, out_type=typed("qint32"),
    )  # fmt: skip
    nodes = [*quantize("q", "x"), *stored("w", w), conv, *requantize("r", "c"), reals("r")]
    close(nodes, X @ w[0, 0], ["CONV_2D"])


def test_matrix_product_with_a_bias() -> None:
    w, bias = RNG.uniform(-1, 1, (144, 5)).astype(F), RNG.uniform(-3, 3, 5).astype(F)
    nodes = [
        *quantize("q", "x"),
        const("sizes", np.array([1, 144], np.int32)),
        node("flat", "QuantizedReshape", "q", "sizes", "q:1", "q:2", T=QUINT8),
        *stored("w", w),
        node("m", "QuantizedMatMul", "flat", "w", "flat:1", "flat:2", "w/min", "w/max"),
        *requantize("r", "m"),
        *stored("b", bias),
        node("s", "QuantizedBiasAdd", "r", "b", "r:1", "r:2", "b/min", "b/max",
             T1=QUINT8, T2=QUINT8, out_type=typed("qint32")),
        *requantize("t", "s"),
        reals("t"),
    ]  # fmt: skip
    close(nodes, X.reshape(1, 144) @ w + bias, ["RESHAPE", "FULLY_CONNECTED"], 4)


@pytest.mark.parametrize("op", ["QuantizedRelu", "QuantizedRelu6"])
def test_clamps(op: str) -> None:
    nodes = [*quantize("q", "x"), node("c", op, *ranged("q"), Tinput=QUINT8, out_type=QUINT8)]
    close([*nodes, reals("c")], np.maximum(X, 0), [op.removeprefix("Quantized").upper()])


def test_a_clamp_at_a_number() -> None:
    nodes = [*quantize("q", "x"), const("most", F(0.5))]
    nodes += [node("c", "QuantizedReluX", "q", "most", "q:1", "q:2"), reals("c")]
    close(nodes, np.clip(X, 0, 0.5), ["RELU", "MINIMUM"])


@pytest.mark.parametrize(("op", "by"), [("Max", np.max), ("Avg", np.mean)])
def test_pooling(op: str, by: Any) -> None:
    nodes = [*quantize("q", "x"), node("p", f"Quantized{op}Pool", *ranged("q"), **WINDOW)]
    blocks = X.reshape(1, 3, 2, 3, 2, 4)
    kind = {"Max": "MAX_POOL_2D", "Avg": "AVERAGE_POOL_2D"}[op]
    close([*nodes, reals("p")], by(blocks, axis=(2, 4)), [kind])


@pytest.mark.parametrize(("op", "by"), [("Add", np.add), ("Mul", np.multiply)])
def test_arithmetic(op: str, by: Any) -> None:
    k = RNG.uniform(-2, 2, 4).astype(F)
    binary = node("c", f"Quantized{op}", "q", "k", "q:1", "q:2", "k/min", "k/max")
    nodes = [*quantize("q", "x"), *stored("k", k), binary, *requantize("r", "c"), reals("r")]
    close(nodes, by(X, k), [op.upper()])


def test_joining() -> None:
    nodes = [*quantize("q", "x"), *stored("k", X * 2), const("axis", np.int32(3))]
    operands = ("axis", "q", "k", "q:1", "k/min", "q:2", "k/max")
    nodes += [node("c", "QuantizedConcat", *operands, N=2), reals("c")]
    close(nodes, np.concatenate([X, X * 2], 3), ["CONCATENATION"])


def test_a_shrunk_range() -> None:
    nodes = [*quantize("q", "x"), *stored("k", X[0, 0, 0])]
    nodes += [node("a", "QuantizedAdd", "q", "k", "q:1", "q:2", "k/min", "k/max")]
    nodes += [node("d", "QuantizeDownAndShrinkRange", *ranged("a"), out_type=QUINT8), reals("d")]
    close(nodes, X + X[0, 0, 0], ["ADD"])


def test_a_frozen_range_clamps() -> None:
    nodes = [*quantize("q", "x"), const("lo", F(-0.5)), const("hi", F(0.5))]
    nodes += [node("r", "Requantize", *ranged("q"), "lo", "hi", out_type=QUINT8)]
    message = graph(placeholder("x", F, X.shape), *nodes, reals("r"))
    for (measured,) in results(message, {"x": X}, ["y"]):
        np.testing.assert_allclose(measured, np.clip(X, -0.5, 0.5), atol=1.01 / 255)


def test_integers_that_are_wanted_are_computed() -> None:
    """Another kind of node reads the integers: they and the ends of their range are right."""
    nodes = [*quantize("q", "x"), node("c", "QuantizedRelu", *ranged("q"), out_type=QUINT8)]
    nodes += [node("y", "Cast", "c", SrcT=QUINT8, DstT=F)]
    message = graph(placeholder("x", F, X.shape), *nodes)
    for codes, low, high in results(message, {"x": X}, ["y", "c:1", "c:2"]):
        np.testing.assert_allclose((low, high), (X.min(), X.max()), rtol=1e-6)
        decoded = codes * (high - low) / 255 + low
        np.testing.assert_allclose(decoded, np.maximum(X, 0), atol=1.01 * (high - low) / 255)


def test_interpolation() -> None:
    nodes = [*quantize("q", "x"), const("size", np.array([3, 3], np.int32))]
    nodes += [node("c", "QuantizedResizeBilinear", "q", "size", "q:1", "q:2"), reals("c")]
    close(nodes, X[:, ::2, ::2], ["RESIZE_BILINEAR"])
