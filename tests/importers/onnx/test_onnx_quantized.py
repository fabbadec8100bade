"""Integers that stand for reals: conversions, operators on them, and what a quantizer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from networks import assert_like_reference, load, network, node
from numpy.typing import NDArray
from onnx import TensorProto, helper

import tqconv
from tqconv import api
from tqconv.config import LoadOptions, QuantizeOptions, TocoOptions
from tqconv.jobs.quantize import quantize
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import stages_before

F = np.float32
RNG = np.random.default_rng(7)
MS = "com.microsoft"
HALVES = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 300.0, -300.0]], F)


def scaled(q: Any, scale: float, zero: int) -> Any:
    return (q.astype(np.float64) - zero) * scale


def stored(x: Any, scale: float, zero: int, dtype: Any = np.uint8) -> Any:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(x / scale) + zero, limits.min, limits.max).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16])
@pytest.mark.parametrize("back", [True, False], ids=["and_back", "integers"])
def test_halves_are_rounded_to_even(tmp_path: Path, dtype: Any, back: bool) -> None:
    zero = np.array(3, dtype)
    nodes = [node("QuantizeLinear", "x s z", "q")]
    nodes += [node("DequantizeLinear", "q s z", "y")] if back else []
    outputs = ["y"] if back else ["q"]
    model = network(nodes, {"x": HALVES}, outputs, {"s": np.array(1, F), "z": zero}, opset=21)
    q = stored(HALVES, 1, 3, dtype)
    want = scaled(q, 1, 3).astype(F) if back else q
    assert_like_reference(model, tmp_path, {"x": HALVES}, [want], rtol=0)


def test_zero_point_may_be_absent_and_is_uint8(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", "x s", "q"), node("DequantizeLinear", "q s", "y")]
    model = network(nodes, {"x": HALVES}, ["q", "y"], {"s": np.array(0.5, F)}, opset=21)
    assert_like_reference(model, tmp_path, {"x": HALVES})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scales_along_an_axis(tmp_path: Path, axis: int) -> None:
    x = RNG.normal(size=(3, 3, 3)).astype(F)
    constants = {"s": np.array([0.1, 0.02, 0.3], F), "z": np.array([1, -2, 3], np.int8)}
    nodes = [
        node("QuantizeLinear", "x s z", "q", axis=axis),
        node("DequantizeLinear", "q s z", "y", axis=axis),
    ]
    assert_like_reference(network(nodes, {"x": x}, ["y"], constants, opset=21), tmp_path, {"x": x})


def test_scales_of_blocks(tmp_path: Path) -> None:
    x = RNG.integers(-128, 128, (2, 6)).astype(np.int8)
    constants = {"s": RNG.uniform(0.1, 1, (2, 3)).astype(F)}
    nodes = [node("DequantizeLinear", "x s", "y", axis=1, block_size=2)]
    assert_like_reference(network(nodes, {"x": x}, ["y"], constants, opset=21), tmp_path, {"x": x})


def test_four_bits_have_their_own_limits(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "y")]
    model = network(nodes, {"x": HALVES}, ["y"], {"s": np.array(1, F)}, opset=21)
    model.graph.initializer.append(helper.make_tensor("z", TensorProto.INT4, [], [1]))
    want = np.clip(np.rint(HALVES) + 1, -8, 7) - 1
    assert_like_reference(model, tmp_path, {"x": HALVES}, [want])


def test_what_moves_integers_moves_the_reals(tmp_path: Path) -> None:
    x = RNG.normal(size=(1, 2, 4, 4)).astype(F)
    constants = {"s": np.array(0.02, F), "z": np.array(100, np.uint8), "n": np.array([1, -1])}
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("MaxPool", "q", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "p", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t n", "r"),
        node("DequantizeLinear", "r s z", "y"),
    ]
    model = network(nodes, {"x": x}, ["y"], constants)
    pooled = x.reshape(1, 2, 2, 2, 2, 2).max((3, 5)).transpose(0, 2, 3, 1).reshape(1, -1)
    want = scaled(stored(pooled, F(0.02), 100), F(0.02), 100)
    assert_like_reference(model, tmp_path, {"x": x}, [want])
    ops = api.optimize(load(model, tmp_path)).main.ops
    assert all(t.dtype == F for op in ops for t in op.outputs)


def pair(name: str, scale: float, zero: int) -> dict[str, Any]:
    return {f"{name}s": np.array(scale, F), f"{name}z": np.array(zero, np.uint8)}


A = RNG.integers(0, 256, (2, 8)).astype(np.uint8)
B = RNG.integers(0, 256, (2, 8)).astype(np.uint8)
AR, BR = scaled(A, F(0.02), 120), scaled(B, F(0.05), 90)
UNARY, BINARY = "a as az ys yz", "a as az b bs bz ys yz"
OPERATORS = {
    "QLinearAdd": (BINARY, AR + BR, {}),
    "QLinearMul": (BINARY, AR * BR, {}),
    "QLinearSigmoid": (UNARY, 1 / (1 + np.exp(-AR)), {}),
    "QLinearLeakyRelu": (UNARY, np.where(AR < 0, 0.1 * AR, AR), {"alpha": 0.1}),
    "QLinearSoftmax": (
        UNARY,
        np.exp(AR) / np.exp(AR).sum(1, keepdims=True),
        {"axis": 1, "opset": 13},
    ),
    "QLinearConcat": ("ys yz a as az b bs bz", np.concatenate([AR, BR], 1), {"axis": 1}),
    "QLinearReduceMean": (UNARY, AR.mean(1, keepdims=True), {"axes": [1]}),
    "QGemm": ("a as az b bs bz _ ys yz", AR @ BR.T, {"transB": 1}),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_on_integers(tmp_path: Path, name: str) -> None:
    inputs, reals, attributes = OPERATORS[name]
    scale = float(np.abs(reals).max()) / 110
    constants = pair("a", 0.02, 120) | pair("b", 0.05, 90) | pair("y", scale, 128)
    feeds = {"a": A, "b": B} if " b " in inputs else {"a": A}
    model = network([node(name, inputs, "y", MS, **attributes)], feeds, ["y"], constants)
    want = stored(reals, F(scale), 128)
    for delegate in (True, False):
        found = run_litert(api.optimize(load(model, tmp_path)), dict(feeds), delegate)[0]
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - want).max() <= 1
        assert (found == want).mean() > 0.9


@pytest.mark.parametrize("inner", [4, 4000], ids=["few", "many"])
def test_products_of_integers_are_exact(tmp_path: Path, inner: int) -> None:
    x = RNG.integers(200, 256, (2, inner)).astype(np.uint8)
    w = RNG.integers(200, 256, (inner, 3)).astype(np.uint8)
    zeros = {"xz": np.array(1, np.uint8), "wz": np.array([0, 1, 255], np.uint8), "w": w}
    model = network([node("MatMulInteger", "x w xz wz", "y")], {"x": x}, ["y"], zeros)
    want = (x.astype(np.int32) - 1) @ (w.astype(np.int32) - zeros["wz"])
    assert_like_reference(model, tmp_path, {"x": x}, [want], rtol=0)


def test_convolutions_of_integers_are_exact(tmp_path: Path) -> None:
    x = RNG.integers(100, 256, (1, 64, 5, 5)).astype(np.uint8)
    w = RNG.integers(-128, 128, (2, 64, 3, 3)).astype(np.int8)
    constants = {"w": w, "xz": np.array(9, np.uint8)}
    nodes = [node("ConvInteger", "x w xz", "y", pads=[1, 1, 1, 1])]
    padded = np.pad(x.astype(np.int64) - 9, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    want = np.einsum("nchwij,ocij->nohw", windows, w.astype(np.int64)).astype(np.int32)
    assert_like_reference(network(nodes, {"x": x}, ["y"], constants), tmp_path, {"x": x}, [want], 0)


@pytest.mark.parametrize("x", [HALVES, np.zeros((1, 3), F), np.array([[2.0, 3.0]], F)])
def test_dynamic_quantization(tmp_path: Path, x: Any) -> None:
    model = network([node("DynamicQuantizeLinear", "x", "y s z")], {"x": x}, ["y", "s", "z"])
    span = F(max(x.max(), 0)) - F(min(x.min(), 0))
    scale = F(span / F(255)) if span else F(1)
    zero = np.uint8(np.rint(-min(x.min(), 0) / scale))
    want = [stored(x, scale, int(zero)), scale, zero]
    assert_like_reference(model, tmp_path, {"x": x}, want)


def trained() -> tuple[Any, dict[str, Any]]:
    """Return a convolution between Q/DQ pairs, with weights by channels and an int32 bias."""
    w = RNG.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    w[:, 0, 0, 0] = 127
    scales = RNG.uniform(0.001, 0.01, 4).astype(F)
    constants = pair("x", 0.0213, 117) | pair("y", 0.041, 130)
    constants |= {"w": w, "ws": scales, "wz": np.zeros(4, np.int8)}
    constants |= {"b": np.arange(4, dtype=np.int32) * 100, "bs": F(0.0213) * scales}
    nodes = [
        node("QuantizeLinear", "x xs xz", "xq"),
        node("DequantizeLinear", "xq xs xz", "xd"),
        node("DequantizeLinear", "w ws wz", "wd", axis=0),
        node("DequantizeLinear", "b bs", "bd", axis=0),
        node("Conv", "xd wd bd", "c"),
        node("QuantizeLinear", "c ys yz", "yq"),
        node("DequantizeLinear", "yq ys yz", "y"),
    ]
    x = RNG.normal(size=(1, 3, 6, 6)).astype(F)
    return network(nodes, {"x": x}, ["y"], constants), {"x": x, **constants}


def test_trained_scales_are_kept_without_calibration(tmp_path: Path) -> None:
    model, constants = trained()
    made = load(model, tmp_path, LoadOptions(quantizing=True))
    run_stages(made, stages_before(TocoOptions(), quantizing=True, channels_first=True))
    quantize(made, QuantizeOptions(mode="int8", integer_only=True), toco=TocoOptions())
    (conv,) = (op for op in made.main.ops if op.type == "CONV_2D")
    x, w, bias = (t.quant for t in conv.inputs if t is not None)
    y = conv.output.quant
    assert x is not None and w is not None and y is not None and bias is not None  # noqa: PT018
    assert (F(x.scale[0]), x.zero_point[0]) == (constants["xs"], 117 - 128)
    assert (F(y.scale[0]), y.zero_point[0]) == (constants["ys"], 130 - 128)
    np.testing.assert_allclose(w.scale, constants["ws"], rtol=1e-6)
    np.testing.assert_array_equal(conv.input(1).data, constants["w"].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(conv.input(2).data, constants["b"])


def dynamically(zero: int, outputs: Sequence[str]) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    """Return a dense layer as dynamic quantizers write it, an input, and real results."""
    integers = RNG.integers(0, 256, (8, 5)).astype(np.uint8)
    nodes = [
        node("DynamicQuantizeLinear", "x", "xq xs xz"),
        node("MatMulInteger", "xq w xz wz", "i"),
        node("Cast", "i", "r", to=1),
        node("Mul", "xs ws", "s"),
        node("Mul", "r s", "p"),
        node("Add", "p b", "y"),
    ]
    bias, scale = RNG.normal(size=5).astype(F), F(0.011)
    constants = {"w": integers, "wz": np.array(zero, np.uint8), "ws": scale, "b": bias}
    x = RNG.normal(size=(3, 8)).astype(F)
    want = x @ ((integers.astype(F) - zero) * scale) + bias
    return network(nodes, {"x": x}, outputs, constants), x, want


@pytest.mark.parametrize("zero", [128, 117])
@pytest.mark.parametrize("mode", ["dynamic", "int8"])
def test_a_quantizer_rounds_what_is_rounded_by_the_range_of_each_run(
    tmp_path: Path, mode: str, zero: int
) -> None:
    model, x, want = dynamically(zero, ["y"])
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(model.SerializeToString())
    np.savez(tmp_path / "s.npz", x=x[None])
    more: dict[str, Any] = {"min_weight_elements": 1}
    more = more if mode == "dynamic" else {"calibration_data": tmp_path / "s.npz"}
    report = tqconv.convert(source, target, quantize=mode, **more)
    found = [op.type for op in report.model.main.ops if not op.type.endswith("QUANTIZE")]
    assert found == ["FULLY_CONNECTED"]
    (dense,) = (op for op in report.model.main.ops if op.type == "FULLY_CONNECTED")
    assert dense.input(1).dtype == np.int8
    for delegate in (True, False):
        (got,) = run_litert(target.read_bytes(), {"x": x}, delegate)
        assert np.abs(got - want).max() <= 0.02 * np.abs(want).max()


def test_a_bias_of_integers_is_added_to_integers(tmp_path: Path) -> None:
    """As quantizers before onnxruntime 1.8 write it: floor(b / scale) beside the int32 sums."""
    weights = RNG.integers(0, 256, (5, 3, 1, 1)).astype(np.uint8)
    nodes = [
        node("DynamicQuantizeLinear", "x", "xq xs xz"),
        node("ConvInteger", "xq w xz wz", "i", kernel_shape=[1, 1]),
        node("Mul", "xs ws", "s"),
        node("Div", "b s", "steps"),
        node("Floor", "steps", "whole"),
        node("Cast", "whole", "bq", to=TensorProto.INT32),
        node("Reshape", "bq shape", "bias"),
        node("Add", "i bias", "sum"),
        node("Cast", "sum", "r", to=1),
        node("Mul", "r s", "y"),
    ]
    bias, scale = RNG.normal(size=5).astype(F), F(0.011)
    constants = {"w": weights, "wz": np.array(128, np.uint8), "ws": scale, "b": bias}
    x = RNG.normal(size=(2, 3, 4, 4)).astype(F)
    model = network(nodes, {"x": x}, ["y"], {**constants, "shape": np.array([1, 5, 1, 1])})
    matrix = (weights[..., 0, 0].astype(F) - 128) * scale
    want = np.einsum("nchw,oc->nohw", x, matrix) + bias[:, None, None]
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(model.SerializeToString())
    np.savez(tmp_path / "s.npz", x=x[None])
    report = tqconv.convert(source, target, quantize="int8", calibration_data=tmp_path / "s.npz")
    found = {op.type for op in report.model.main.ops if not op.type.endswith("QUANTIZE")}
    assert found == {"TRANSPOSE", "CONV_2D"}
    (got,) = run_litert(target.read_bytes(), {"x": x})
    assert np.abs(got - want).max() <= 0.02 * np.abs(want).max()


def test_integers_that_somebody_else_reads_are_rounded(tmp_path: Path) -> None:
    model, *_ = dynamically(128, ["y", "xq"])
    made = load(model, tmp_path, LoadOptions(rounds_products=True))
    (_, integers) = made.main.outputs
    assert integers.dtype == np.uint8
    assert "ROUND" in {op.type for op in made.main.ops}


@pytest.mark.parametrize("zero", [[0, 0, 0], [7, -3, 2**31 - 1]])
@pytest.mark.parametrize("known", [False, True])
def test_integers_of_more_digits_than_reals_have(
    tmp_path: Path, zero: list[int], known: bool
) -> None:
    """Biases beside weights of 16 bits, as onnxruntime's quantizer stores them."""
    x = np.array([[-763579678, 740182252, -(2**31)], [2**31 - 1, 1, 0]], np.int32)
    scale, points = np.array([1e-10, 2e-10, 3e-10], np.float32), np.array(zero, np.int32)
    nodes = [node("DequantizeLinear", "x s z", "d", axis=1), node("Add", "d a", "y")]
    constants = {"s": scale, "z": points, **({"x": x} if known else {})}
    feeds = {"a": np.zeros((2, 3), F), **({} if known else {"x": x})}
    want = ((x.astype(np.int64) - points) * scale.astype(np.float64)).astype(F)
    model = network(nodes, feeds, ["y"], constants, opset=21)
    assert_like_reference(model, tmp_path, feeds, [want])


def _without_samples(model: Any, tmp_path: Path, **more: Any) -> Any:
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(model.SerializeToString())
    return tqconv.convert(source, target, **more), target.read_bytes()


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_pairs_of_uint16_are_ranges(tmp_path: Path, mode: str) -> None:
    constants = {"xs": F(1e-4), "xz": np.array(30000, np.uint16), "ys": F(4e-4)}
    constants |= {"yz": np.array(32768, np.uint16), "w": RNG.normal(size=(4, 3, 1, 1)).astype(F)}
    nodes = [
        node("QuantizeLinear", "x xs xz", "xq"),
        node("DequantizeLinear", "xq xs xz", "xd"),
        node("Conv", "xd w", "c"),
        node("QuantizeLinear", "c ys yz", "yq"),
        node("DequantizeLinear", "yq ys yz", "y"),
    ]
    x = RNG.uniform(-2, 2, (1, 3, 4, 4)).astype(F)
    model = network(nodes, {"x": x}, ["y"], constants, opset=21)
    report, data = _without_samples(model, tmp_path, quantize=mode)
    assert "CONV_2D" in {op.type for op in report.model.main.ops}
    want = np.einsum("oc,nchw->nohw", constants["w"][:, :, 0, 0], x)
    for delegate in (True, False):
        (got,) = run_litert(data, {"x": x}, delegate)
        assert np.abs(got - want).max() < (0.02 if mode == "int8" else 0.01) * np.abs(want).max()


@pytest.mark.parametrize("moved", ["Gather", "Reshape"])
def test_rows_of_an_embedding_of_integers_stand_for_reals(tmp_path: Path, moved: str) -> None:
    w = RNG.integers(0, 256, (9, 6)).astype(np.uint8)
    constants = {"w": w, "s": F(0.02), "z": np.array(117, np.uint8), "a": F(0.5)}
    nodes = [
        node("Gather", "w i", "g"),
        node("DequantizeLinear", "g s z", "d"),
        node("Mul", "d a", "y"),
    ]
    if moved == "Reshape":
        nodes[:1] = [node("Gather", "w i", "r"), node("Reshape", "r n", "g")]
        constants["n"] = np.array([2, 9])
    i = np.array([3, 0, 8])
    model = network(nodes, {"i": i}, ["y"], constants, opset=13)
    _, data = _without_samples(model, tmp_path, quantize="int8")
    want = (w[i].astype(F) - 117) * F(0.01)
    (got,) = run_litert(data, {"i": i})
    np.testing.assert_allclose(got, want.reshape(got.shape), atol=0.011)
