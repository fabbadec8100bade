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
