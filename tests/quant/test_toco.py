"""TOCO's uint8: the numbers of its documentation, and what is done better than it did."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError, UsageError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model
from tqconv.ir.grid import grid, on_stored_grid
from tqconv.ir.types import Range
from tqconv.jobs.quantize import quantize
from tqconv.passes.driver import run_stage
from tqconv.passes.toco import stages
from tqconv.quant.evidence.ranges import Ranges, Record

UNIT = ((127.5, 127.5),)
UINT8, INT8 = np.dtype(np.uint8), np.dtype(np.int8)


def quantized(text: str, stats=UNIT, type="uint8", input_type=None, **toco) -> Graph:
    graph = parse(text)
    model = Model([graph])
    for stage in stages.stages():
        run_stage(stage, graph, check=True)
    options = QuantizeOptions(mode=type, input_stats=stats, input_type=input_type)
    quantize(model, options, toco=TocoOptions(inference_type=type, **toco))
    graph.check()
    return graph


def scale_and_zero(graph: Graph, name: str) -> tuple[float, int]:
    tensor = next(t for t in graph.tensors() if t.name == name)
    return float(np.float32(tensor.quant.scale[0])), int(tensor.quant.zero_point[0])


def types(graph: Graph) -> list[str]:
    return [op.type for op in graph.ops]


@pytest.mark.parametrize(
    ("mean", "std", "scale", "zero"),
    [
        (0, 255, 0.003921568859368563, 0),
        (128, 127, 0.007874015718698502, 128),
        (127.5, 127.5, 0.007843137718737125, 128),
        (128, 128, 0.0078125, 128),
        (0, 1, 1.0, 0),
    ],
)
def test_mean_and_std_of_an_input(mean, std, scale, zero):
    graph = quantized("x: f32[1,4] -> y\ny = RELU(x)", stats=((mean, std),))
    assert scale_and_zero(graph, "x") == (scale, zero)


@pytest.mark.parametrize(
    ("ends", "scale", "zero"),
    [((-100, 100), 0.7843137383460999, 128), ((0, 6), 0.0235294122248888, 0)],
)
def test_default_ranges(ends, scale, zero):
    graph = quantized("x: f32[1,4] -> y\ny = MUL(x, f32[4])", default_ranges=ends)
    assert scale_and_zero(graph, "y") == (scale, zero)


@pytest.mark.parametrize(
    ("op", "scale", "zero"),
    [
        ("SOFTMAX", 1 / 256, 0),
        ("LOGISTIC", 1 / 256, 0),
        ("TANH", 1 / 128, 128),
        ("L2_NORMALIZATION", 1 / 128, 128),
        ("LOG_SOFTMAX", 16 / 256, 255),
    ],
)
@pytest.mark.parametrize("toco", [{}, {"default_ranges": (-4, 6)}])
def test_fixed_outputs(op, scale, zero, toco):
    graph = quantized(f"x: f32[1,4] -> y\ny = {op}(x)", **toco)
    assert scale_and_zero(graph, "y") == (scale, zero)


@pytest.mark.parametrize(
    ("narrow", "scale"), [(False, 0.007843137718737125), (True, 0.007874015718698502)]
)
def test_fake_quant_of_unit_range(narrow, scale):
    chosen = grid(-1.0, 1.0, UINT8, narrow=narrow)
    assert (float(np.float32(chosen.scale)), chosen.zero_point) == (scale, 128)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero"),
    [
        (-100.0, 100.0, 0.7843137383460999, -1),
        (0.0, 6.0, 0.0235294122248888, -128),
        (-127.5 / 127.7, 127.5 / 127.7, 0.007830853573977947, -1),
    ],
)
def test_int8_numbers(low, high, scale, zero):
    chosen = grid(low, high, INT8)
    assert (float(np.float32(chosen.scale)), chosen.zero_point) == (scale, zero)


def test_mean_of_int8_inputs():
    graph = quantized("x: f32[1,4] -> y\ny = RELU(x)", ((-0.5, 127.7),), type="int8")
    assert scale_and_zero(graph, "x") == (0.007830853573977947, -1)
    with pytest.raises(
        UsageError, match=r"mean 127.5 std 127.5 of input 'x': 0 is not a value of int8"
    ) as caught:
        quantized("x: f32[1,4] -> y\ny = RELU(x)", type="int8")
    assert "128 less" in caught.value.hint


def test_bias_has_the_product_of_the_scales():
    graph = quantized(
        "x: f32[1,4] -> y\ny = FULLY_CONNECTED(x, f32[3,4], f32[3])", default_ranges=(-4, 6)
    )
    x, w, b = graph.ops[0].inputs
    assert b.dtype == np.int32
    assert int(b.quant.zero_point[0]) == 0
    product = x.quant.scale[0] * w.quant.scale[0]
    assert float(b.quant.scale[0]) == pytest.approx(product, rel=2e-7)  # two float32 roundings


def test_weights_without_range_have_the_range_of_their_data():
    text = """x: f32[1,2] -> y
    w = RESHAPE([0.5,1.0,0.25,0.125], [2,2])
    y = FULLY_CONNECTED(x, w)"""
    graph = quantized(text, default_ranges=(-4, 6))
    w = graph.ops[0].input(1)
    assert (float(w.quant.scale[0]), int(w.quant.zero_point[0])) == (np.float32(1 / 255), 0)
    np.testing.assert_array_equal(w.data, [[128, 255], [64, 32]])


def test_missing_ranges_are_one_report():
    text = """x: f32[1,4] -> z
    y = MUL(x, f32[4])
    z = ADD(y, f32[4])"""
    with pytest.raises(QuantizationError) as caught:
        quantized(text, stats=None)
    message = str(caught.value)
    assert "3 tensors without a range" in message
    for line in ("'x', an input", "'y', made by MUL", "'z', made by ADD"):
        assert line in message
    for way in ("--calibration_data", "--ranges", "--default_ranges_min", "--mean_values"):
        assert way in caught.value.hint


def test_operators_without_a_kernel_are_one_report():
    with pytest.raises(QuantizationError) as caught:
        quantized("x: f32[1,4] -> z\ny = EXP(x)\nz = SIN(y)", default_ranges=(-4, 6))
    assert "2 operators cannot run on integers" in str(caught.value)
    assert "'y'" in str(caught.value)
    assert "'z'" in str(caught.value)


def test_clamps_inside_the_range_vanish():
    text = """x: f32[1,4] -> c
    y = MUL(x, f32[4])
    f = FAKE_QUANT(y) {min=0.0, max=6.0, num_bits=8}
    a = RELU(f)
    b = MINIMUM(a, 6.5)
    c = ADD(b, f32[4])"""
    graph = quantized(text, default_ranges=(-4, 6))
    assert types(graph) == ["MUL", "ADD"]


def test_a_pool_with_another_range_is_requantized(rng):
    """TOCO gave the pool's result the range of the FakeQuant, but the kernel copies codes."""
    text = """x: f32[1,4,4,2] -> g
    y = MAX_POOL_2D(x) {padding=VALID, stride_h=2, stride_w=2, filter_height=2, filter_width=2}
    g = FAKE_QUANT(y) {min=-0.25, max=0.5, num_bits=8}"""
    graph = quantized(text)
    assert types(graph) == ["MAX_POOL_2D", "QUANTIZE"]
    codes = rng.integers(0, 256, (1, 4, 4, 2)).astype(np.uint8)
    reals = (codes.astype(np.float64) - 128) * 2 / 255
    expected = np.clip(reals.reshape(1, 2, 2, 2, 2, 2).max(axis=(2, 4)), -0.25, 0.5)
    for delegate in (True, False):
        (got,) = run_litert(graph, [codes], delegate)
        # half a step of the input's scale and half a step of the output's
        assert np.max(np.abs((got - 85.0) * 0.75 / 255 - expected)) <= (2 + 0.75) / 255 / 2


def test_a_pool_with_nearly_its_range_keeps_it():
    text = """x: f32[1,4,4,2] -> g
    y = MAX_POOL_2D(x) {padding=VALID, stride_h=2, stride_w=2, filter_height=2, filter_width=2}
    g = FAKE_QUANT(y) {min=-1.0, max=0.999, num_bits=8}"""
    graph = quantized(text)
    assert types(graph) == ["MAX_POOL_2D"]
    assert scale_and_zero(graph, "g") == scale_and_zero(graph, "x")


def test_constants_of_minimum_have_the_scale_of_its_operand(rng):
    """TOCO gave them a scale of their own, which the kernel does not read."""
    graph = quantized("x: f32[1,8] -> y\ny = MINIMUM(x, 0.25)", default_ranges=(-1, 1))
    codes = rng.integers(0, 256, (1, 8)).astype(np.uint8)
    for delegate in (True, False):
        (got,) = run_litert(graph, [codes], delegate)
        np.testing.assert_array_equal(got, np.minimum(codes, 128 + 32))  # 0.25 * 127.5 = 31.9


@pytest.mark.parametrize(("nudge", "codes"), [(False, [0, 0, 255, 0]), (True, [0, 1, 255, 1])])
def test_weights_of_zero_near_another(nudge, codes):
    text = """x: f32[1,4] -> y
    w = RESHAPE([-1.0,-1.0,2.0,-1.0], [1,4])
    f = FULLY_CONNECTED(x, w)
    y = FAKE_QUANT(f) {min=-4.0, max=4.0, num_bits=8}"""
    model = Model([parse(text)])
    for stage in stages.stages():
        run_stage(stage, model.main)
    options = QuantizeOptions(mode="uint8", input_stats=UNIT)
    quantize(model, options, toco=TocoOptions("uint8", allow_nudging_weights=nudge))
    np.testing.assert_array_equal(model.main.ops[0].input(1).data, [codes])
    assert any("2 weights of 0 near another" in note for note in model.notes) is not nudge


def test_float_borders_on_request(rng):
    text = "x: f32[1,4] -> y\ny = MUL(x, 1.5)"
    graph = quantized(text, input_type="float32", default_ranges=(-2, 2))
    assert types(graph) == ["QUANTIZE", "MUL"]
    assert [t.dtype.name for t in (*graph.inputs, *graph.outputs)] == ["float32", "uint8"]
    assert [t.name for t in graph.inputs] == ["x"]
    x = rng.uniform(-1, 1, (1, 4)).astype(np.float32)
    (got,) = run_litert(serialize(Model([graph])), [x])
    # half a step of each of the three scales, the input's one multiplied
    assert np.max(np.abs((got - 128.0) * 4 / 255 - 1.5 * x)) <= (1.5 * 2 + 4 + 1.5) / 255 / 2


def test_constants_are_rounded_on_the_grid_that_stores_them():
    data = np.linspace(-2, 2, 1001, dtype=np.float32)
    said = Range(-1.0, 0.8, "fake_quant", narrow=True)
    chosen = grid(said.low, said.high, UINT8, narrow=True)
    rounded = on_stored_grid(data, said)
    codes = chosen.encode(data)
    assert codes.min() == 1
    exact = (codes.astype(np.float64) - chosen.zero_point) * chosen.scale
    assert np.max(np.abs(rounded - exact)) <= 2e-7  # float32 of numbers up to 1
    np.testing.assert_array_equal(chosen.encode(rounded), codes)


def test_ranges_that_no_integers_cover_are_one_report():
    text = """x: f32[1,4] -> z, w
    y = MUL(x, [1.0,2.0,3.0,inf])
    z = FAKE_QUANT(y) {num_bits=8}
    v = MUL(x, 2.0)
    w = FAKE_QUANT(v) {min=0.5, max=6.0, num_bits=8}"""
    with pytest.raises(QuantizationError) as caught:
        quantized(text.replace("inf", "1e999"))
    message = str(caught.value)
    assert "'y/b': a constant that is not finite" in message
    assert "'z': the range [0, 0] is empty" in message
    assert "'w': the range [0.5, 6] does not hold 0" in message
    assert "never trained" in caught.value.hint


def test_ranges_whose_steps_are_no_scales_are_refused():
    """XNNPACK loads no model with a scale that float32 stores with fewer bits."""
    text = "x: f32[1,4] -> z\ny = MUL(x, 2.0)\nz = FAKE_QUANT(y) {min=0.0, max=1e-36, num_bits=8}"
    with pytest.raises(QuantizationError, match="finer than float32 has numbers"):
        quantized(text)
    graph = quantized(text.replace("1e-36", "1e-35"))
    assert scale_and_zero(graph, "z")[0] == pytest.approx(1e-35 / 255, rel=1e-6)


@pytest.mark.parametrize("pattern", ["keep_float", "int16"])
def test_uint8_models_have_no_other_parts(pattern):
    model = Model([parse("x: f32[1,4] -> y\ny = TANH(x)")])
    options = QuantizeOptions(mode="uint8", input_stats=UNIT, **{pattern: (".*",)})
    with pytest.raises(UsageError, match="uint8 is for whole models"):
        quantize(model, options, toco=TocoOptions("uint8"))


def test_ranges_of_a_file_are_widened_to_hold_zero():
    model = Model([parse("x: f32[1,4] -> y\ny = MUL(x, 2.0)")])
    options = QuantizeOptions(mode="uint8", input_stats=UNIT)
    known = Ranges({"y": Record(0.5, 2.0)})
    quantize(model, options, known, toco=TocoOptions("uint8"))
    assert scale_and_zero(model.main, "y") == (float(np.float32(2 / 255)), 0)


def test_a_measured_range_behind_a_pool_does_not_count():
    text = """x: f32[1,4,4,2] -> y
    y = MAX_POOL_2D(x) {padding=VALID, stride_h=2, stride_w=2, filter_height=2, filter_width=2}"""
    model = Model([parse(text)])
    known = Ranges({"y": Record(-0.5, 0.5, "minmax")})
    quantize(model, QuantizeOptions("uint8", input_stats=UNIT), known, toco=TocoOptions("uint8"))
    assert types(model.main) == ["MAX_POOL_2D"]
    assert scale_and_zero(model.main, "y") == scale_and_zero(model.main, "x")


def test_an_output_whose_clamp_vanishes_keeps_its_name():
    graph = quantized("x: f32[1,4] -> y\nt = LOGISTIC(x)\ny = RELU6(t)")
    assert types(graph) == ["LOGISTIC"]
    assert [t.name for t in graph.outputs] == ["y"]
