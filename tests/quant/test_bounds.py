"""What arithmetic says of values between those that a source rounds, and how integers hold them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse
from networks import network, node
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import tqconv
from tqconv.errors import QuantizationError
from tqconv.ir.types import Range
from tqconv.quant.evidence.bounds import Bounds, loose

F = np.float32
RNG = np.random.default_rng(29)


def bounds(text: str, **told: tuple[float, float]) -> Mapping[str, tuple[float, float]]:
    """Return the ends of all values of a graph in which those of some are known."""
    graph = parse(text)
    found = {
        t: Range(*told[t.name], "fake_quant", exact=True) for t in graph.tensors() if t.name in told
    }
    return {t.name: (k.low, k.high) for t, k in Bounds(graph, found).ranges.items()}


def test_a_function_of_one_value_is_followed_along_it() -> None:
    """Its parts alone would say [-8, 8]."""
    found = bounds("x: f32[1,4] -> y\ng = LOGISTIC(x)\ny = MUL(x, g)", x=(-8.0, 8.0))
    assert found["y"] == pytest.approx((-0.2785, 8.0), abs=0.003)


def test_channels_have_functions_of_their_own() -> None:
    text = "x: f32[1,2] -> y\na = MUL(x, [1.0,-3.0])\ny = RELU(a)"
    assert bounds(text, x=(-1.0, 2.0))["y"] == pytest.approx((0.0, 3.0))


def test_two_values_are_known_by_their_ends() -> None:
    text = "a: f32[1,4], b: f32[1,4] -> y\ny = DIV(a, b)"
    assert bounds(text, a=(-1.0, 2.0), b=(0.5, 4.0))["y"] == (-2.0, 4.0)
    assert "y" not in bounds(text, a=(-1.0, 2.0), b=(-0.5, 4.0))


def test_sums_of_products_reach_as_far_as_their_weights_let_them() -> None:
    graph = parse("x: f32[1,2] -> y\ny = FULLY_CONNECTED(x, f32[2,2], [0.0,10.0])")
    graph.ops[0].input(1).data = np.array([[1, -2], [0.5, 0.5]], F)
    (y,) = graph.outputs
    known = Bounds(graph, {graph.inputs[0]: Range(-1.0, 3.0, "fake_quant", exact=True)}).ranges[y]
    assert (known.low, known.high) == (-7.0, 13.0)


LAYER = """
x: f32[1,4,16] -> y
m = MEAN(x, [2]) {keep_dims=true}
d = SUB(x, m)
s = MUL(d, d)
v = MEAN(s, [2]) {keep_dims=true}
e = ADD(v, 0.00001)
r = RSQRT(e)
y = MUL(d, r)
"""


def test_a_normalized_row_has_the_length_that_its_number_of_values_gives() -> None:
    found = bounds(LAYER, x=(-4.0, 4.0))
    assert found["v"] == (0.0, 16.0)
    assert found["y"] == (-4.0, 4.0)
    assert found["r"][1] == pytest.approx(1 / math.sqrt(1e-5 + (16 / 255) ** 2 / 12))


def test_a_clamp_at_both_uses_changes_nothing_of_that() -> None:
    clamped = LAYER.replace("s = MUL(d, d)", "c = MINIMUM(d, 6.0)\ns = MUL(c, c)")
    assert bounds(clamped, x=(-4.0, 4.0))["y"] == (-4.0, 4.0)


def test_what_is_added_before_the_square_is_no_deviation() -> None:
    other = LAYER.replace("s = MUL(d, d)", "c = ADD(d, 2.0)\ns = MUL(c, c)")
    assert bounds(other, x=(-4.0, 4.0))["y"][1] > 100


def test_sums_of_many_products_are_too_wide_for_eight_bits() -> None:
    wide, narrow = (
        parse(f"x: f32[1,{n}] -> y\ny = FULLY_CONNECTED(x, f32[3,{n}], [0.0,0.0,0.0])")
        for n in (600, 20)
    )
    for graph, count in ((wide, 1), (narrow, 0)):
        found = Bounds(graph, {graph.inputs[0]: Range(-1.0, 1.0, "fake_quant", exact=True)})
        assert len(loose(graph, found.ranges)) == count


# Graphs of pairs: what lies between them is computed in 16 bits.
Nodes = list[Any]
Real = Callable[[NDArray[Any]], NDArray[Any]]
SCALE, STEP = F(8 / 255), F(6 / 255)


def pairs(nodes: Nodes, constants: dict[str, Any], x: NDArray[Any]) -> bytes:
    """Return the bytes of a network between a pair of its input and one of its result."""
    stored = {"s": SCALE, "t": STEP, "z": np.array(128, np.uint8)}
    before = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "a"),
    ]
    after = [
        node("QuantizeLinear", "b t z", "bq"),
        node("DequantizeLinear", "bq t z", "y"),
    ]
    whole = [*before, *nodes, *after]
    return network(whole, {"x": x}, ["y"], {**stored, **constants}).SerializeToString()


def layer(x: NDArray[Any]) -> NDArray[Any]:
    d = x - x.mean(-1, keepdims=True)
    return np.asarray(d / np.sqrt(np.square(d).mean(-1, keepdims=True) + 1e-5))


def instance(x: NDArray[Any]) -> NDArray[Any]:
    d = x - x.mean((2, 3), keepdims=True)
    return np.asarray(d / np.sqrt(np.square(d).mean((2, 3), keepdims=True) + 1e-5))


def error_function(x: NDArray[Any]) -> NDArray[Any]:
    return np.vectorize(math.erf)(x).astype(F)


ONES = {"g": np.ones(16, F), "o": np.zeros(16, F)}
BETWEEN: dict[str, tuple[Nodes, dict[str, Any], Real, tuple[int, ...]]] = {
    "LayerNormalization": (
        [node("LayerNormalization", "a g o", "b")],
        ONES,
        layer,
        (1, 4, 16),
    ),
    "InstanceNormalization": (
        [node("InstanceNormalization", "a g o", "b")],
        ONES,
        instance,
        (1, 16, 5, 6),
    ),
    "Erf": ([node("Erf", "a", "b")], {}, error_function, (1, 4, 16)),
    "Softplus": ([node("Softplus", "a", "b")], {}, lambda x: np.log1p(np.exp(x)), (1, 4, 16)),
    "Elu": (
        [node("Elu", "a", "b")],
        {},
        lambda x: np.where(x > 0, x, np.expm1(x)),
        (1, 4, 16),
    ),
    "Div": (
        [
            node("Abs", "a", "c"),
            node("Add", "c one", "d"),
            node("Div", "a d", "b"),
        ],
        {"one": F(1)},
        lambda x: x / (1 + np.abs(x)),
        (1, 4, 16),
    ),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_integers_between_pairs_need_no_samples(kind: str, tmp_path: Path) -> None:
    nodes, constants, real, shape = BETWEEN[kind]
    x = RNG.normal(0, 1.2, shape).astype(F)
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(pairs(nodes, constants, x))
    report = tqconv.convert(source, target, quantize="int8", integer_only=True)
    graph = report.model.main
    assert not [op.type for op in graph.ops for t in op.outputs if t.dtype.kind == "f"]
    told = any(note.startswith("nobody tells the ranges of ") for note in report.notes)
    assert told == (kind != "Elu")  # its result alone has a range: that of the pair behind it
    (quant,) = (t.quant for t in graph.outputs)
    assert quant is not None
    assert (quant.scale[0], quant.zero_point[0]) == (np.float64(STEP), 0)
    integers = np.clip(np.rint(x / SCALE), -128, 127)
    want = np.clip(np.rint(real(integers * SCALE) / STEP), -128, 127)
    for delegate in (True, False):
        (got,) = run_litert(target.read_bytes(), {"x": integers.astype(np.int8)}, delegate)
        assert np.abs(got.astype(int) - want).max() <= 1


def test_an_output_that_eight_bits_would_spoil_is_refused(tmp_path: Path) -> None:
    """A sum of 600 products may be 600 times as large as one, and is about 25 times."""
    x = RNG.normal(0, 1.2, (1, 600)).astype(F)
    nodes = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "a"),
        node("MatMul", "a w", "y"),
    ]
    constants = {"s": SCALE, "z": np.array(128, np.uint8), "w": RNG.normal(size=(600, 3)).astype(F)}
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(network(nodes, {"x": x}, ["y"], constants).SerializeToString())
    with pytest.raises(QuantizationError, match="1 tensor without a range of values\n  'y'"):
        tqconv.convert(source, target, quantize="int8", integer_only=True)
    tqconv.convert(source, target, quantize="int8", integer_only=True, output_type="int16")


def test_a_share_of_two_values_lies_between_them() -> None:
    text = """
    x: f32[1,4], a: f32[1,4], b: f32[1,4] -> y
    z = LOGISTIC(x)
    r = SUB(1.0, z)
    p = MUL(z, a)
    q = MUL(r, b)
    y = ADD(p, q)
    """
    assert bounds(text, x=(-3.0, 3.0), a=(-1.0, 2.0), b=(-2.0, 1.0))["y"] == (-2.0, 2.0)


@pytest.mark.parametrize("steps", [1, 5])
def test_a_loop_of_known_rounds_is_written_out(steps: int, tmp_path: Path) -> None:
    cells, x = 8, RNG.normal(0, 1, (steps, 1, 6)).astype(F)
    constants = {
        "w": RNG.normal(0, 0.4, (1, 3 * cells, 6)).astype(F),
        "r": RNG.normal(0, 0.4, (1, 3 * cells, cells)).astype(F),
        "c": RNG.normal(0, 0.2, (1, 6 * cells)).astype(F),
        "axes": np.array([1]),
    }
    nodes = [
        node("GRU", "a w r c", "g", hidden_size=cells),
        node("Squeeze", "g axes", "b"),
    ]
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(pairs(nodes, constants, x))
    tqconv.convert(source, target)
    (want,) = run_litert(target.read_bytes(), {"x": x})
    report = tqconv.convert(source, target, quantize="int8", integer_only=True)
    kinds = {op.type for op in report.model.main.ops}
    assert "WHILE" not in kinds
    integers = np.clip(np.rint(x / SCALE), -128, 127).astype(np.int8)
    for delegate in (True, False):
        (got,) = run_litert(target.read_bytes(), {"x": integers}, delegate)
        assert np.abs(got.astype(int) * STEP - want).max() <= 1.01 * STEP


def test_a_loop_whose_rounds_data_decides_stays() -> None:
    cases = np.zeros((2, 3), F)
    body = helper.make_graph(
        [node("Identity", "go", "on"), node("Mul", "v half", "out")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, (2, 3)),
        ],
        [helper.make_empty_tensor_value_info(n) for n in ("on", "out")],
        [numpy_helper.from_array(F(0.5), "half")],
    )
    nodes = [helper.make_node("Loop", ["m", "", "x"], ["y"], body=body)]
    model = network(nodes, {"x": cases, "m": np.array(3)}, ["y"])
    with pytest.raises(QuantizationError, match="bodies of control flow stay float"):
        tqconv.convert(
            model.SerializeToString(),
            quantize="int8",
            integer_only=True,
            input_ranges={"x": (-1, 1)},
        )


def test_a_share_of_what_is_clamped_is_no_mean() -> None:
    text = """z: f32[1,4], a: f32[1,4], b: f32[1,4] -> y
        p = MUL(z, a) {fused_activation_function=RELU}
        o = SUB(1.0, z)
        q = MUL(o, b)
        y = ADD(p, q)"""
    told = {"z": (0.0, 1.0), "a": (-2.0, -1.0), "b": (-2.0, -1.0)}
    assert bounds(text, **told)["y"][1] >= 0
    assert bounds(text.replace(" {fused_activation_function=RELU}", ""), **told)["y"] == (-2, -1)


def test_deviations_over_those_of_other_rows_have_no_bound() -> None:
    text = """d: f32[4,4] -> y
        s = MUL(d, d)
        v = MEAN(s, [1]) {keep_dims=False}
        e = ADD(v, 0.0001)
        r = RSQRT(e)
        y = MUL(d, r)"""
    assert bounds(text, d=(-1.0, 1.0))["y"][1] > 2
    assert bounds(text.replace("False", "True"), d=(-1.0, 1.0))["y"] == (-2, 2)


def _behind_a_layer_of_reals() -> Any:
    """A dense layer whose input no pair rounds, and a pair behind it."""
    nodes = [
        node("MatMul", "x w", "m"),
        node("Tanh", "m", "t"),
        node("QuantizeLinear", "t s z", "tq"),
        node("DequantizeLinear", "tq s z", "y"),
    ]
    constants = {"s": F(1 / 128), "z": np.array(128, np.uint8)}
    constants["w"] = RNG.normal(size=(6, 4)).astype(F)
    x = RNG.uniform(-1.9, 1.9, (3, 6)).astype(F)
    return network(nodes, {"x": x}, ["y"], constants), x, np.tanh(x @ constants["w"])


def test_what_it_is_fed_with_is_all_that_is_asked_for(tmp_path: Path) -> None:
    model, x, want = _behind_a_layer_of_reals()
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(model.SerializeToString())
    with pytest.raises(QuantizationError, match="1 tensor without a range of values\n  'x'") as no:
        tqconv.convert(source, target, quantize="int8", integer_only=True)
    assert no.value.hint is not None
    assert no.value.hint.startswith("`--input_range 'x:MIN,MAX'` (what it is fed with) will do; or")
    template = tmp_path / "t.json"
    with pytest.raises(QuantizationError):
        tqconv.convert(source, target, quantize="int8", integer_only=True, ranges_template=template)
    assert template.read_text().count('"name"') == 1
    tqconv.convert(
        source, target, quantize="int8", integer_only=True, input_ranges={"x": (-2.0, 2.0)}
    )
    integers = np.clip(np.rint(x * 255 / 4), -128, 127).astype(np.int8)
    (got,) = run_litert(target.read_bytes(), {"x": integers})
    np.testing.assert_allclose(got / 128, want, atol=0.08)


def test_an_output_of_wide_bounds_is_asked_for_in_16_bits(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "a"),
        node("MatMul", "a w", "y"),
    ]
    constants = {"s": SCALE, "z": np.array(128, np.uint8), "w": RNG.normal(size=(600, 3)).astype(F)}
    model = network(nodes, {"x": np.ones((1, 600), F)}, ["y"], constants)
    source = tmp_path / "net.onnx"
    source.write_bytes(model.SerializeToString())
    with pytest.raises(QuantizationError) as no:
        tqconv.convert(source, tmp_path / "y.tflite", quantize="int8", integer_only=True)
    assert no.value.hint is not None
    assert no.value.hint.startswith("`--inference_output_type INT16` (bounds of sums are too wide")


@pytest.mark.parametrize("more", [{"integer_only": True}, {"input_type": "int8"}])
def test_half_precision_at_a_border_becomes_integers(tmp_path: Path, more: dict[str, Any]) -> None:
    w = RNG.normal(size=(6, 4)).astype(np.float16)
    x = RNG.uniform(-1, 1, (3, 6)).astype(np.float16)
    model = network([node("MatMul", "x w", "y")], {"x": x}, ["y"], {"w": w})
    source, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    source.write_bytes(model.SerializeToString())
    np.savez(tmp_path / "s.npz", x=x[None])
    report = tqconv.convert(
        source, target, quantize="int8", calibration_data=tmp_path / "s.npz", **more
    )
    (fed,), (made,) = report.model.main.inputs, report.model.main.outputs
    assert fed.dtype == np.int8
    assert (made.dtype == np.int8) == ("integer_only" in more)
    assert "CAST" not in {op.type for op in report.model.main.ops[:-1]}
    integers = np.rint(x / fed.quant.scale[0] + fed.quant.zero_point[0]).astype(np.int8)
    (got,) = run_litert(target.read_bytes(), {"x": integers})
    reals = (got.astype(F) - made.quant.zero_point) * made.quant.scale if made.quant else got
    np.testing.assert_allclose(reals, x @ w, atol=0.05)
