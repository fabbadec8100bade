"""Small operators that ONNX Runtime's optimizer and quantizers write, against numpy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Array, assert_like_reference, load, network, node
from onnx.reference import ReferenceEvaluator

from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.handlers.refused import Refusal
from tqconv.importers.onnx.registry import ONNX
from tqconv.importers.registry import Bound

F = np.float32
RNG = np.random.default_rng(10)
MS = "com.microsoft"
X = RNG.normal(size=(3, 6)).astype(F)
BIAS = RNG.normal(size=6).astype(F)


def gelu(x: Array) -> Array:
    return np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2)(x)


def by_tanh(x: Array) -> Array:
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


ACTIVATIONS: dict[str, tuple[str, Array]] = {
    "Gelu": ("x", gelu(X)),
    "BiasGelu": ("x b", gelu(X + BIAS)),
    "FastGelu": ("x b", by_tanh(X + BIAS)),
    "QuickGelu": ("x", X / (1 + np.exp(-1.702 * X))),
}


@pytest.mark.parametrize("op", ACTIVATIONS)
def test_activations(tmp_path: Path, op: str) -> None:
    reads, want = ACTIVATIONS[op]
    constants = {"b": BIAS} if "b" in reads else {}
    model = network([node(op, reads, "y", MS)], {"x": X}, ["y"], constants)
    assert_like_reference(model, tmp_path, {"x": X}, [want])


@pytest.mark.parametrize("domain", [MS, ""])
def test_norm_by_root_mean_square(tmp_path: Path, domain: str) -> None:
    nodes = [node("SimplifiedLayerNormalization", "x b", "y", domain)]
    want = X / np.sqrt((X**2).mean(1, keepdims=True) + 1e-5) * BIAS
    assert_like_reference(network(nodes, {"x": X}, ["y"], {"b": BIAS}), tmp_path, {"x": X}, [want])


def test_product_with_an_activation(tmp_path: Path) -> None:
    constants = {"w": RNG.normal(size=(6, 4)).astype(F), "b": RNG.normal(size=4).astype(F)}
    nodes = [node("FusedGemm", "x w b", "y", MS, activation="LeakyRelu", activation_alpha=0.2)]
    y = X @ constants["w"] + constants["b"]
    want = np.where(y < 0, 0.2 * y, y)
    assert_like_reference(network(nodes, {"x": X}, ["y"], constants), tmp_path, {"x": X}, [want])


def test_optional_values(tmp_path: Path) -> None:
    nodes = [
        node("Optional", "x", "some"),
        node("OptionalGetElement", "some", "z"),
        node("OptionalHasElement", "some", "has"),
        node("Where", "has z b", "y"),
    ]
    model = network(nodes, {"x": X}, ["y"], {"b": BIAS}, opset=18)
    assert_like_reference(model, tmp_path, {"x": X}, [X])


SCALE, ZERO = np.array(0.02, F), np.array(120, np.uint8)


def coded(x: Array, scale: Any = SCALE, zero: Any = ZERO) -> Array:
    return np.clip(np.rint(x / scale) + float(zero), 0, 255).astype(np.uint8)


def reals(x: Array, scale: Any = SCALE, zero: Any = ZERO) -> Array:
    return (x.astype(F) - float(zero)) * scale


def test_codes(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q", MS),
        node("DequantizeLinear", "q s z", "y", MS),
    ]
    model = network(nodes, {"x": X}, ["y"], {"s": SCALE, "z": ZERO})
    assert_like_reference(model, tmp_path, {"x": X}, [reals(coded(X))])


W = RNG.integers(-100, 100, (6, 4)).astype(np.int8)
W_SCALE = np.array(0.01, F)


def test_products_of_codes(tmp_path: Path) -> None:
    codes = coded(X)
    constants = {"w": W, "s": SCALE, "t": W_SCALE, "z": ZERO, "b": RNG.normal(size=4).astype(F)}
    nodes = [node("MatMulIntegerToFloat", "x w s t z _ b", "y", MS)]
    want = reals(codes) @ (W * W_SCALE) + constants["b"]
    model = network(nodes, {"x": codes}, ["y"], constants)
    assert_like_reference(model, tmp_path, {"x": codes}, [want])


def test_product_with_codes_that_are_found(tmp_path: Path) -> None:
    constants = {"w": W, "t": W_SCALE, "b": RNG.normal(size=4).astype(F)}
    nodes = [node("DynamicQuantizeMatMul", "x w t _ b", "y", MS)]
    scale = F((max(X.max(), 0) - min(X.min(), 0)) / 255)
    zero = np.rint(-min(X.min(), 0) / scale)
    want = reals(coded(X, scale, zero), scale, zero) @ (W * W_SCALE) + constants["b"]
    model = network(nodes, {"x": X}, ["y"], constants)
    assert_like_reference(model, tmp_path, {"x": X}, [want], rtol=1e-2)


@pytest.mark.parametrize(
    ("op", "told"),
    [
        ("QLinearGlobalAveragePool", {}),
        ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ],
)
def test_means_of_codes(tmp_path: Path, op: str, told: Any) -> None:
    codes = RNG.integers(0, 255, (2, 3, 4, 4)).astype(np.uint8)
    nodes = [node(op, "x s z s z", "y", MS, **told)]
    blocks = reals(codes).reshape(2, 3, 2, 2, 2, 2).mean((3, 5))
    want = blocks if told else reals(codes).mean((2, 3), keepdims=True)
    model = network(nodes, {"x": codes}, ["y"], {"s": SCALE, "z": ZERO})
    assert_like_reference(model, tmp_path, {"x": codes}, [coded(want)], rtol=1 / 100)


def test_chosen_codes_and_their_product(tmp_path: Path) -> None:
    codes, other = coded(X), coded(X[::-1].copy())
    marks = RNG.integers(0, 2, X.shape).astype(bool)
    nodes = [
        node("QLinearWhere", "c x s z o s z s z", "q", MS),
        node("QLinearMatMul", "q s z w t u v z", "y", MS),
    ]
    constants = {"o": other, "s": SCALE, "z": ZERO, "w": W, "t": W_SCALE}
    constants |= {"u": np.array(0, np.int8), "v": np.array(0.1, F)}
    feeds = {"c": marks, "x": codes}
    chosen = np.where(marks, reals(codes), reals(other))
    want = coded(chosen @ (W * W_SCALE), 0.1)
    assert_like_reference(network(nodes, feeds, ["y"], constants), tmp_path, feeds, [want], 1 / 100)


def test_lstm_of_coded_weights(tmp_path: Path) -> None:
    x = RNG.normal(size=(3, 2, 4)).astype(F)
    shapes = {"w": (1, 4, 20), "r": (1, 5, 20)}
    codes = {n: RNG.integers(-100, 100, s).astype(np.int8) for n, s in shapes.items()}
    constants = codes | {"s": np.array([0.01], F), "z": np.array([0], np.int8)}
    reads = "x w r _ _ _ _ _ s z s z"
    nodes = [node("DynamicQuantizeLSTM", reads, "y", MS, hidden_size=5)]
    plain = {n: (c * F(0.01)).transpose(0, 2, 1).copy() for n, c in codes.items()}
    judge = network([node("LSTM", "x w r", "y", hidden_size=5)], {"x": x}, ["y"], plain)
    want = ReferenceEvaluator(judge).run(None, {"x": x})
    assert_like_reference(network(nodes, {"x": x}, ["y"], constants), tmp_path, {"x": x}, want)


REFUSED = sorted(
    name
    for name, versions in ONNX.handlers.items()
    if any(isinstance(h, Bound) and isinstance(h.argument, Refusal) for _, h in versions)
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_translation_says_what_to_do(tmp_path: Path, name: str) -> None:
    domain, _, op = name.rpartition(":")
    model = network([node(op, "x", "y", domain)], {"x": X}, ["y"])
    with pytest.raises(UnsupportedError) as caught:
        load(model, tmp_path)
    assert name in str(caught.value)
    assert caught.value.hint
