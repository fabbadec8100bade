"""Graphs of QuantizeLinear and DequantizeLinear pairs become integers without calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from networks import network, node
from numpy.typing import NDArray

import tqconv
from tqconv.errors import QuantizationError
from tqconv.jobs.convert import Report

F = np.float32
RNG = np.random.default_rng(19)
X = RNG.uniform(-2, 2, (1, 4, 6, 6)).astype(F)
Q = np.uint8
"""What onnxruntime's quantizers store activations in."""


def rounded(x: NDArray[Any], scale: float, zero: int) -> NDArray[Any]:
    """Return what a pair of uint8 makes of reals; its scale is a float32."""
    step = np.float64(F(scale))
    return (np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step


class Pairs:
    """Nodes and constants of a graph in which pairs stand behind operators."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def add(self, op: str, inputs: str, output: str, **attributes: Any) -> None:
        self.nodes.append(node(op, inputs, output, **attributes))

    def pair(self, x: str, y: str, scale: float, zero: int) -> None:
        self.constants |= {f"{y}_s": np.array(scale, F), f"{y}_z": np.array(zero, Q)}
        self.add("QuantizeLinear", f"{x} {y}_s {y}_z", f"{y}_q")
        self.add("DequantizeLinear", f"{y}_q {y}_s {y}_z", y)

    def weights(self, name: str, integers: NDArray[np.int8], scale: float) -> None:
        self.constants |= {f"{name}_q": integers, f"{name}_s": np.array(scale, F)}
        self.add("DequantizeLinear", f"{name}_q {name}_s", name)

    def converted(self, folder: Path, outputs: Sequence[str], **options: Any) -> Report:
        model = network(self.nodes, {"x": X}, outputs, self.constants)
        path = folder / "net.onnx"
        path.write_bytes(model.SerializeToString())
        return tqconv.convert(path, folder / "net.tflite", quantize="int8", **options)


def types(report: Report) -> Mapping[str, str]:
    """Return the element type of each result by its operator; conversions apart."""
    ops = [op for op in report.model.main.ops if op.type not in ("QUANTIZE", "DEQUANTIZE")]
    return {op.type: op.outputs[0].dtype.name for op in ops}


def test_a_mean_is_stored_as_the_pair_behind_it_says(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("GlobalAveragePool", "a", "m")
    graph.pair("m", "b", 0.002, 128)
    report = graph.converted(tmp_path, ["b"])
    mean = next(op.output for op in report.model.main.ops if op.type == "MEAN")
    assert mean.quant is not None
    assert (mean.quant.scale, mean.quant.zero_point) == (np.float64(F(0.002)), 0)
    content = (tmp_path / "net.tflite").read_bytes()
    want = rounded(rounded(X, 4 / 255, 128).mean((2, 3), keepdims=True), 0.002, 128)
    for delegate in (True, False):
        (got,) = run_litert(content, {"x": X}, delegate)
        np.testing.assert_allclose(got, want, rtol=0, atol=1.001 * 0.002)


def head() -> Pairs:
    """A convolution between pairs, and a dense layer that was left in reals."""
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.weights("w", RNG.integers(-127, 128, (8, 4, 1, 1)).astype(np.int8), 0.01)
    graph.add("Conv", "a w", "c")
    graph.pair("c", "d", 0.05, 128)
    graph.add("Flatten", "d", "e")
    graph.constants["v"] = RNG.normal(size=(288, 3)).astype(F)
    graph.add("Gemm", "e v", "y")
    return graph


def test_what_has_no_pair_stays_float_and_is_said(tmp_path: Path) -> None:
    report = head().converted(tmp_path, ["y"])
    assert types(report)["CONV_2D"] == "int8"
    assert types(report)["FULLY_CONNECTED"] == "float32"
    assert "float: FULLY_CONNECTED 'y': no range is known of 'y'" in report.notes


def test_where_no_float_may_remain_the_range_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="1 tensor without a range of values\n  'y'"):
        head().converted(tmp_path, ["y"], integer_only=True)


def test_an_interval_is_no_range_that_was_trained(tmp_path: Path) -> None:
    """Squares of deviations have an interval that is far wider than their values."""
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("ReduceMean", "a", "m", axes=[1])
    graph.add("Sub", "a m", "s")
    graph.add("Mul", "s s", "p")
    graph.pair("p", "y", 0.05, 0)
    found = types(graph.converted(tmp_path, ["y"]))
    assert found["SQUARED_DIFFERENCE"] == found["MEAN"] == "float32"


def test_a_dense_layer_of_rows_keeps_the_range_of_its_pair(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.constants["rows"] = np.array([-1, 6])
    graph.add("Reshape", "a rows", "r")
    graph.weights("w", RNG.integers(-127, 128, (6, 5)).astype(np.int8), 0.01)
    graph.constants["b"] = np.zeros(5, F)
    graph.add("Gemm", "r w b", "g")
    graph.pair("g", "h", 0.03, 100)
    graph.constants["back"] = np.array([1, 4, 6, 5])
    graph.add("Reshape", "h back", "i")
    graph.pair("i", "y", 0.03, 100)
    report = graph.converted(tmp_path, ["y"])
    dense = next(op.output for op in report.model.main.ops if op.type == "FULLY_CONNECTED")
    assert dense.quant is not None
    assert (dense.quant.scale, dense.quant.zero_point) == (np.float64(F(0.03)), -28)


def outputs(folder: Path) -> list[NDArray[Any]]:
    """Return the only output as LiteRT computes it, with the delegate and without."""
    content = (folder / "net.tflite").read_bytes()
    return [run_litert(content, {"x": X}, delegate)[0] for delegate in (True, False)]


def test_what_computes_with_reals_reads_the_rounded_ones(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("Sin", "a", "y")
    graph.converted(tmp_path, ["y"])
    for got in outputs(tmp_path):
        np.testing.assert_allclose(got, np.sin(rounded(X, 4 / 255, 128)), rtol=0, atol=1e-5)


def test_an_input_of_two_pairs_is_rounded_for_both_readers_alone(tmp_path: Path) -> None:
    """As onnxruntime's quantizer writes them with `DedicatedQDQPair`."""
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.pair("x", "b", 4 / 255, 128)
    graph.add("Sin", "a", "s")
    graph.add("Relu", "b", "r")
    graph.pair("r", "c", 2 / 255, 0)
    graph.add("Add", "s c", "t")
    graph.add("Sub", "t x", "y")
    report = graph.converted(tmp_path, ["y"])
    assert types(report)["RELU"] == "int8"
    a = rounded(X, 4 / 255, 128)
    want = np.sin(a) + rounded(np.maximum(a, 0), 2 / 255, 0) - X
    for got in outputs(tmp_path):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


FIXED = {"Sigmoid": (1 / 255, 0), "Tanh": (0.0075, 128), "Softmax": (1 / 255, 0)}


@pytest.mark.parametrize("op", FIXED)
def test_other_steps_than_those_of_a_kernel_are_kept(tmp_path: Path, op: str) -> None:
    """The pair behind it rounds once: to the steps that the network was trained with."""
    scale, zero = FIXED[op]
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add(op, "a", "p")
    graph.pair("p", "b", scale, zero)
    graph.weights("w", np.full((4, 4, 1, 1), 127, np.int8), 0.01)
    graph.add("Conv", "b w", "c")
    graph.pair("c", "y", 0.04, 0)
    report = graph.converted(tmp_path, ["y"])
    kernel = {"Sigmoid": "LOGISTIC"}.get(op, op.upper())
    assert types(report)[kernel] == "float32"
    assert any(kernel in n and "its result was trained with" in n for n in report.notes)
    a = rounded(X, 4 / 255, 128)
    shares = np.exp(a) / np.exp(a).sum(-1, keepdims=True)
    reals = {"Sigmoid": 1 / (1 + np.exp(-a)), "Tanh": np.tanh(a), "Softmax": shares}[op]
    sums = 127 * np.float64(F(0.01)) * rounded(reals, scale, zero).sum(1, keepdims=True)
    want = rounded(np.broadcast_to(sums, X.shape), 0.04, 0)
    for got in outputs(tmp_path):
        assert np.mean(np.abs(got - want) > 1e-5) < 0.02  # a sum beside the middle of two steps
    own = types(graph.converted(tmp_path, ["y"], integer_only=True))
    assert own[kernel] == "int8"


def test_a_result_that_no_pair_rounds_is_not_rounded_by_a_kernel(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("Tanh", "a", "t")
    graph.add("Sin", "t", "y")
    graph.converted(tmp_path, ["y"])
    for got in outputs(tmp_path):
        want = np.sin(np.tanh(rounded(X, 4 / 255, 128)))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_steps_on_both_sides_of_an_average_are_kept(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("AveragePool", "a", "p", kernel_shape=[3, 3])
    graph.pair("p", "y", 0.004, 128)
    graph.converted(tmp_path, ["y"])
    a = rounded(X, 4 / 255, 128)
    means = np.lib.stride_tricks.sliding_window_view(a, (3, 3), (2, 3)).mean((4, 5))
    for got in outputs(tmp_path):
        np.testing.assert_allclose(got, rounded(means, 0.004, 128), rtol=0, atol=1e-6)


def test_parts_of_a_join_keep_their_steps(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.weights("w", RNG.integers(-127, 128, (8, 4, 1, 1)).astype(np.int8), 0.01)
    graph.add("Conv", "a w", "c")
    graph.pair("c", "d", 0.033, 128)
    graph.add("Concat", "a d", "j", axis=1)
    graph.pair("j", "y", 0.031, 128)
    report = graph.converted(tmp_path, ["y"])
    (conv,) = (op.output for op in report.model.main.ops if op.type == "CONV_2D")
    assert conv.quant is not None
    assert float(conv.quant.scale[0]) == float(F(0.033))


def test_a_constant_factor_lies_on_its_own_steps(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.weights("f", np.array([[[100]], [[-13]], [[7]], [[90]]], np.int8), 0.01)
    graph.add("Mul", "a f", "p")
    graph.pair("p", "y", 4 / 255, 128)
    report = graph.converted(tmp_path, ["y"])
    assert types(report)["MUL"] == "int8"
    factors = graph.constants["f_q"] * np.float64(F(0.01))
    want = rounded(rounded(X, 4 / 255, 128) * factors, 4 / 255, 128)
    for got in outputs(tmp_path):
        # int8 kernels round halves away from zero, and twice where they shift.
        assert np.mean(np.abs(got - want) > 1e-5) < 0.01


def test_sixteen_bits_keep_their_scale(tmp_path: Path) -> None:
    graph = Pairs()
    graph.constants |= {"s": np.array(1e-4, F), "z": np.array(0, np.int16)}
    graph.add("QuantizeLinear", "x s z", "q")
    graph.add("DequantizeLinear", "q s z", "a")
    graph.add("Relu", "a", "y")
    path = tmp_path / "net.onnx"
    model = network(graph.nodes, {"x": X}, ["y"], graph.constants, opset=21)
    path.write_bytes(model.SerializeToString())
    made = tqconv.convert(path, tmp_path / "net.tflite", quantize="int16x8", integer_only=True)
    (x,) = made.model.main.inputs
    assert x.quant is not None
    assert float(x.quant.scale[0]) == float(F(1e-4))


def test_a_divisor_that_a_pair_may_round_to_zero_is_kept_from_it(tmp_path: Path) -> None:
    """Where no float may remain: the kernel ends the process at a zero."""
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("Abs", "a", "b")
    graph.pair("b", "d", 2 / 255, 0)
    graph.add("Div", "a d", "q")
    graph.pair("q", "y", 2 / 255, 128)
    report = graph.converted(
        tmp_path, ["y"], integer_only=True, input_type="float32", output_type="float32"
    )
    assert types(report)["DIV"] == "int8"
    a, d = rounded(X, 4 / 255, 128), rounded(np.abs(rounded(X, 4 / 255, 128)), 2 / 255, 0)
    want = rounded(a / np.maximum(d, 3 * 2 / 255), 2 / 255, 128)  # 0.01 of its range, rounded
    for got in outputs(tmp_path):
        np.testing.assert_allclose(got, want, rtol=0, atol=1.001 * 2 / 255)


def test_an_input_that_one_reader_rounds_is_fed_in_those_steps(tmp_path: Path) -> None:
    """Where it may not be fed as reals, the other reader gets the same."""
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.weights("w", RNG.integers(-127, 128, (4, 4, 1, 1)).astype(np.int8), 0.01)
    graph.add("Conv", "a w", "c")
    graph.pair("c", "d", 0.03, 128)
    graph.add("Sub", "x d", "s")
    graph.pair("s", "y", 0.04, 128)
    report = graph.converted(tmp_path, ["y"], integer_only=True)
    (x,) = report.model.main.inputs
    assert x.quant is not None
    assert (float(x.quant.scale[0]), int(x.quant.zero_point[0])) == (float(F(4 / 255)), 0)
    assert set(types(report).values()) == {"int8"}


def test_cells_of_which_nothing_is_known_have_room_for_all_that_counts(tmp_path: Path) -> None:
    x = RNG.normal(size=(6, 1, 4)).astype(F)
    graph = Pairs()
    graph.pair("x", "a", 8 / 255, 128)
    for name, shape in (("w", (1, 20, 4)), ("r", (1, 20, 5)), ("b", (1, 40))):
        graph.constants[name] = RNG.normal(0, 0.5, shape).astype(F)
    graph.add("LSTM", "a w r b", "h", hidden_size=5)
    graph.pair("h", "y", 2 / 255, 128)
    path = tmp_path / "net.onnx"
    model = network(graph.nodes, {"x": x}, ["y"], graph.constants)
    path.write_bytes(model.SerializeToString())
    (want,) = run_litert(bytes(tqconv.convert(path)), {"x": x})
    made = tqconv.convert(
        path,
        tmp_path / "net.tflite",
        quantize="int8",
        integer_only=True,
        input_type="float32",
        output_type="float32",
    )
    assert types(made)["UNIDIRECTIONAL_SEQUENCE_LSTM"] == "int8"
    (got,) = run_litert((tmp_path / "net.tflite").read_bytes(), {"x": x})
    np.testing.assert_allclose(got, want, rtol=0, atol=6 * 2 / 255)  # six steps round each


def test_values_without_a_range_are_told_by_the_nodes_that_make_them(tmp_path: Path) -> None:
    graph = Pairs()
    graph.constants |= {"g": np.ones(6, F), "b": np.zeros(6, F)}
    graph.add("LayerNormalization", "x g b", "y")
    with pytest.raises(QuantizationError) as caught:
        graph.converted(tmp_path, ["y"], integer_only=True)
    (_, first, second) = str(caught.value).splitlines()
    assert first == "  'x', an input"
    assert second == "  'y/mean' and 6 more, made by MEAN for LayerNormalization 'y'"


def test_what_a_pair_says_behind_a_norm_says_nothing_before_it(tmp_path: Path) -> None:
    graph = Pairs()
    graph.constants |= {"g": np.ones(6, F), "b": np.zeros(6, F)}
    graph.add("LayerNormalization", "x g b", "n")
    graph.pair("n", "y", 4 / 255, 128)
    with pytest.raises(QuantizationError, match=r"^1 tensor .*\n  'x', an input") as caught:
        graph.converted(tmp_path, ["y"], integer_only=True)
    assert "without `--integer_only`" in (caught.value.hint or "")


def test_samples_tell_of_results_that_no_pair_rounds(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.add("Tanh", "a", "t")
    graph.weights("w", RNG.integers(-127, 128, (4, 4, 1, 1)).astype(np.int8), 0.01)
    graph.add("Conv", "t w", "c")
    graph.pair("c", "y", 0.02, 128)
    np.savez(tmp_path / "s.npz", x=X)
    assert types(graph.converted(tmp_path, ["y"]))["TANH"] == "float32"
    report = graph.converted(tmp_path, ["y"], calibration_data=tmp_path / "s.npz")
    assert types(report)["TANH"] == "int8"


def test_integers_at_the_borders_say_their_ranges(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (2, 4)).astype(np.uint8)
    w = RNG.integers(-127, 128, (4, 3)).astype(np.int8)
    constants: dict[str, Any] = {"s": np.array(0.02, F), "z": np.array(120, np.uint8)}
    constants |= {"w": w, "ws": np.array(0.01, F), "wz": np.array(0, np.int8)}
    constants |= {"t": np.array(0.05, F), "n": np.array(130, np.uint8)}
    nodes = [node("QLinearMatMul", "x s z w ws wz t n", "y")]
    path = tmp_path / "net.onnx"
    path.write_bytes(network(nodes, {"x": x}, ["y"], constants).SerializeToString())
    report = tqconv.convert(path, tmp_path / "net.tflite", quantize="int8")
    assert types(report)["FULLY_CONNECTED"] == "int8"
    sums = (x.astype(np.int64) - 120) @ w.astype(np.int64)
    exact = sums * (np.float64(F(0.02)) * np.float64(F(0.01)) / np.float64(F(0.05)))
    want = np.clip(np.rint(exact) + 130, 0, 255)
    for delegate in (True, False):
        (got,) = run_litert((tmp_path / "net.tflite").read_bytes(), {"x": x}, delegate)
        assert got.dtype == np.uint8
        assert np.abs(got.astype(np.int64) - want).max() <= 1  # halves go to the even neighbour
