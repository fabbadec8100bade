"""Values between pairs of which the graph does not say how they are stored stay reals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from networks import network, node
from test_onnx_pairs import RNG, Pairs, X, rounded, types

import tqconv

F = np.float32


def check(folder: Path, want: Any, atol: float) -> None:
    content = (folder / "net.tflite").read_bytes()
    for delegate in (True, False):
        (got,) = run_litert(content, {"x": X}, delegate)
        np.testing.assert_allclose(got, want, rtol=0, atol=atol)


def test_the_range_of_a_minimum_says_little_of_what_it_is_chosen_of(tmp_path: Path) -> None:
    graph = Pairs()
    graph.add("ReduceMin", "x", "m", keepdims=1)
    graph.pair("m", "a", 2 / 255, 255)
    graph.add("Add", "x a", "s")
    graph.pair("s", "y", 4 / 255, 255)
    report = graph.converted(tmp_path, ["y"])
    assert types(report)["REDUCE_MIN"] == "float32"
    want = rounded(X + rounded(X.min(), 2 / 255, 255), 4 / 255, 255)
    check(tmp_path, want, 1.001 * 4 / 255)


def test_a_bound_says_nothing_of_what_it_bounds(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.constants |= {"most": np.array(1e9, F), "two": np.array(2, F)}
    graph.add("Mul", "a two", "t")
    graph.add("Min", "t most", "m")
    graph.add("Sin", "m", "y")
    report = graph.converted(tmp_path, ["y"])
    assert "int8" not in types(report).values()
    check(tmp_path, np.sin(2 * rounded(X, 4 / 255, 128)), 4 / 255)


def test_large_and_small_values_that_meet_in_one_tensor_stay_reals(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 4 / 255, 128)
    graph.constants |= {"much": np.array(100, F)}
    graph.add("Sigmoid", "a", "p")
    graph.pair("p", "b", 1 / 256, 0)
    graph.add("Mul", "a much", "l")
    graph.pair("l", "c", 400 / 255, 128)
    graph.add("Concat", "b c", "y", axis=1)
    report = graph.converted(tmp_path, ["y"])
    assert types(report)["CONCATENATION"] == "float32"
    assert types(report)["LOGISTIC"] == types(report)["MUL"] == "int8"
    content = (tmp_path / "net.tflite").read_bytes()
    a = rounded(X, 4 / 255, 128)
    for delegate in (True, False):
        (got,) = run_litert(content, {"x": X}, delegate)
        np.testing.assert_allclose(got[:, :4], 1 / (1 + np.exp(-a)), rtol=0, atol=1.1 / 255)
        np.testing.assert_allclose(got[:, 4:], 100 * a, rtol=0, atol=1.1 * 400 / 255)


def test_an_average_of_reals_is_not_cut_off_at_its_own_range(tmp_path: Path) -> None:
    graph = Pairs()
    graph.add("AveragePool", "x", "p", kernel_shape=[3, 3])
    graph.pair("p", "y", 0.004, 128)
    graph.converted(tmp_path, ["y"])
    means = np.lib.stride_tricks.sliding_window_view(X, (3, 3), (2, 3)).mean((4, 5))
    check(tmp_path, rounded(means, 0.004, 128), 1.001 * 0.004)


def test_a_minimum_with_a_stored_value_is_not_cut_off_at_its_range(tmp_path: Path) -> None:
    graph = Pairs()
    graph.pair("x", "a", 1 / 255, 128)
    graph.constants["ten"] = np.array(10, F)
    graph.add("Mul", "x ten", "t")
    graph.add("Min", "a t", "m")
    graph.add("Abs", "m", "y")
    graph.converted(tmp_path, ["y"])
    check(tmp_path, np.abs(np.minimum(rounded(X, 1 / 255, 128), 10 * X)), 1e-5)


def test_one_reads_what_another_reads_rounded(tmp_path: Path) -> None:
    """Layout passes give both one transpose, which must stay real."""
    graph = Pairs()
    graph.pair("x", "a", 1 / 255, 128)
    graph.weights("w", RNG.integers(-127, 128, (4, 4, 1, 1)).astype(np.int8), 0.01)
    graph.add("Conv", "a w", "c")
    graph.pair("c", "d", 0.02, 128)
    graph.add("Sub", "x d", "y")
    graph.converted(tmp_path, ["y"])
    w = graph.constants["w_q"][:, :, 0, 0] * np.float64(F(0.01))
    sums = np.einsum("oi,nihw->nohw", w, rounded(X, 1 / 255, 128))
    check(tmp_path, X - rounded(sums, 0.02, 128), 1.001 * 0.02)


@pytest.mark.parametrize("filled", ["zero", "z", "other"])
@pytest.mark.parametrize("zero", [0, 120])
def test_integers_between_operators_may_be_padded(tmp_path: Path, zero: int, filled: str) -> None:
    fill = {"zero": 0, "z": zero, "other": 200}[filled]
    constants: dict[str, Any] = {"s": np.array(4 / 255, F), "z": np.array(zero, np.uint8)}
    constants |= {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "f": np.array(fill, np.uint8)}
    constants |= {"t": np.array(16 / 255, F), "n": np.array(0, np.uint8)}
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("Pad", "q p f", "r"),
        node("QLinearMul", "r s z r s z t n", "u", "com.microsoft"),
        node("DequantizeLinear", "u t n", "y"),
    ]
    path = tmp_path / "net.onnx"
    path.write_bytes(network(nodes, {"x": X}, ["y"], constants).SerializeToString())
    kinds = types(tqconv.convert(path, tmp_path / "net.tflite", quantize="int8"))
    assert kinds["MUL"] == kinds.get("PADV2", kinds.get("PAD")) == "int8"
    padded = np.full((1, 4, 8, 8), (fill - zero) * np.float64(F(4 / 255)))
    padded[:, :, 1:-1, 1:-1] = rounded(X, 4 / 255, zero)
    check(tmp_path, padded**2, 1.1 * 16 / 255)
