"""Applied plans: names, borders and integers, run by LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import Run, decibels
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Signature
from tqconv.jobs.quantize import quantize
from tqconv.quant import integer_mode
from tqconv.quant.evidence.ranges import Ranges, Record
from tqconv.runtime.calibrate import calibrate

NETWORK = """
x: f32[1,8,8,3] -> z
a = CONV_2D(x, f32[6,3,3,3], f32[6]) {padding=SAME, stride_h=1, stride_w=1}
b = RELU(a)
c = DEPTHWISE_CONV_2D(b, f32[1,3,3,6], f32[6]) {padding=SAME, stride_h=2, stride_w=2}
d = CONCATENATION(c, c) {axis=3}
e = FULLY_CONNECTED(d, f32[5,192])
z = LOGISTIC(e)
"""
KINDS = ("float32", "int8", "uint8", "int16")


def feeds(graph: Graph, count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    name = graph.inputs[0].name
    return [{name: rng.normal(size=(1, 8, 8, 3)).astype(np.float32)} for _ in range(count)]


def quantized(mode: str, **asked: object) -> tuple[Model, Model]:
    """Return the float and the quantized network."""
    reference, model = Model([parse(NETWORK)]), Model([parse(NETWORK)])
    options = QuantizeOptions(mode=mode, **asked)  # type: ignore[arg-type]
    integer_mode.rewrite_for(model, options)
    ranges = Ranges.of(calibrate(model, feeds(model.main, 4), serialize))
    integer_mode.carry_out(model, integer_mode.plan_for(model, options, ranges))
    model.main.check()
    return reference, model


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize(("mode", "least"), [("int8", 20), ("uint8", 15), ("int16x8", 25)])
def test_the_integer_network_is_close(run: Run, mode: str, least: float, delegate: bool) -> None:
    reference, model = quantized(mode)
    for feed in feeds(reference.main, 2):
        wanted = run(reference, feed)[0]
        assert decibels(wanted, run(model, feed, delegate)[0]) >= least


@pytest.mark.parametrize("out", KINDS)
@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_every_border_type_runs_and_means_the_same(
    run: Run, mode: str, into: str, out: str
) -> None:
    _, plain = quantized(mode)
    _, model = quantized(mode, input_type=into, output_type=out)
    x, z = model.main.inputs[0], model.main.outputs[0]
    assert (x.name, x.dtype, z.name, z.dtype) == ("x", into, "z", out)
    feed = feeds(plain.main, 1)[0]
    stored = feed["x"]
    if x.quant is not None:
        steps = np.round(stored / x.quant.scale[0]) + x.quant.zero_point[0]
        stored = np.clip(steps, np.iinfo(into).min, np.iinfo(into).max).astype(into)
    got = run(model, {"x": stored})[0].astype(np.float64)
    if z.quant is not None:
        got = (got - z.quant.zero_point[0]) * z.quant.scale[0]
    # The logistic's outputs lie in [0, 1]: two steps of 8 bits at the coarser border.
    assert np.abs(got - run(plain, feed)[0]).max() <= 2.5 / 256


def test_integer_only_has_no_float_tensor_but_the_asked_border() -> None:
    _, model = quantized("int8", integer_only=True)
    assert not [t for t in model.main.tensors() if t.dtype == np.float32]
    _, model = quantized("int8", integer_only=True, input_type="float32")
    assert [t.name for t in model.main.tensors() if t.dtype == np.float32] == ["x"]


def test_inputs_and_outputs_keep_their_names_and_the_inside_is_marked() -> None:
    _, model = quantized("int8", integer_only=True, input_type="float32", output_type="float32")
    names = {t.name for t in model.main.tensors()}
    assert {"x", "x/quantized", "z", "z/quantized", "a/w", "a/b"} <= names


def test_a_signature_follows_the_new_borders() -> None:
    model = Model([parse(NETWORK)])
    main = model.main
    model.signatures = [Signature("serve", [("in", 0)], [("out", 0)])]
    options = QuantizeOptions(mode="int8")
    ranges = Ranges.of(calibrate(model, feeds(main, 2), serialize))
    integer_mode.carry_out(model, integer_mode.plan_for(model, options, ranges))
    interpreter = Interpreter(model_content=bytes(serialize(model)))
    interpreter.allocate_tensors()
    assert interpreter.get_signature_list() == {"serve": {"inputs": ["in"], "outputs": ["out"]}}
    (detail,) = interpreter.get_signature_runner("serve").get_input_details().values()
    assert detail["name"] == main.inputs[0].name


def test_integer_inputs_are_left_alone(run: Run) -> None:
    text = "x: f32[2,3], i: i32[1] -> z\ny = MUL(x, 2.0)\nz = GATHER(y, i) {axis=0}"
    model = Model([parse(text)])
    feed = {"x": np.array([[1, 2, 3], [4, 5, 6]], np.float32), "i": np.array([1], np.int32)}
    options = QuantizeOptions(mode="int8", integer_only=True)
    ranges = Ranges.of(calibrate(model, [feed], serialize))
    integer_mode.carry_out(model, integer_mode.plan_for(model, options, ranges))
    assert [t.dtype for t in model.main.inputs] == [np.int8, np.int32]
    x, z = model.main.inputs[0].quant, model.main.outputs[0].quant
    stored = (np.round(feed["x"] / x.scale[0]) + x.zero_point[0]).astype(np.int8)
    got = run(model, {"x": stored, "i": feed["i"]})[0]
    assert (got - z.zero_point[0]) * z.scale[0] == pytest.approx(np.array([[8, 10, 12]]), abs=0.05)


def test_a_constant_that_float_and_integer_operators_share_exists_twice(run: Run) -> None:
    text = """
    x: f32[1,4] -> y, z
    y = MUL(x, 3.0)
    s = SIN(x)
    z = MUL(s, 3.0)
    """
    graph = parse(text)
    shared = graph.ops[0].inputs[1]
    graph.set_input(graph.ops[2], 1, shared)
    model = Model([graph])
    options = QuantizeOptions(mode="int8", keep_float=("^z$",))
    feed = {"x": np.array([[0.1, -1, 2, 0.5]], np.float32)}
    ranges = Ranges.of(calibrate(model, [feed], serialize))
    integer_mode.carry_out(model, integer_mode.plan_for(model, options, ranges))
    model.main.check()
    y, z = run(model, feed)
    # One step of y is 9 / 255, and x is rounded by half a step of 3 / 255, times 3.
    assert y == pytest.approx(feed["x"] * 3, abs=0.06)
    assert z == pytest.approx(np.sin(feed["x"]) * 3, abs=1e-5)


@pytest.mark.parametrize(
    "said",
    [
        {"input_stats": ((0.0, 1e-45),)},
        {"input_stats": ((1e300, 1.0),)},
        {"named_stats": {"x": (0.0, 1e-320)}},
        {"input_ranges": {"x": (0.0, 1e-320)}},
        {"input_ranges": {"x": (0.0, 1e39)}},
    ],
)
@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_reals_for_which_no_integers_stand_are_refused(said: dict[str, Any], mode: str) -> None:
    model = Model([parse("x: f32[4] -> y\ny = RELU(x)")])
    with pytest.raises(UsageError, match="of input 'x': no integers stand for the reals from"):
        quantize(model, QuantizeOptions(mode=mode, random=1, **said))


def test_input_stats_and_input_range_say_the_same_and_are_echoed() -> None:
    def note(**said: object) -> str:
        model = Model([parse(NETWORK)])
        ranges = Ranges.of(calibrate(model, feeds(model.main, 2), serialize))
        options = QuantizeOptions(mode="int8", input_type="uint8", **said)  # type: ignore[arg-type]
        integer_mode.carry_out(model, integer_mode.plan_for(model, options, ranges))
        return next(n for n in model.notes if n.startswith("input 'x'"))

    assert note(named_stats={"x": (128, 64)}) == note(input_ranges={"x": (-2, 127 / 64)})
    assert note(input_stats=((128, 64),)) == (
        "input 'x': uint8 scale 0.015625 zero point 128, reals -2 … 1.98438, mean 128 std 64"
    )


@pytest.mark.parametrize("root", ["SQRT", "RSQRT"])
def test_a_root_in_int16_does_not_stop_at_a_negative_rounding_error(run: Run, root: str) -> None:
    model = Model([parse(f"x: f32[4] -> y\ny = {root}(x)")])
    options = QuantizeOptions(mode="int16x8")
    integer_mode.rewrite_for(model, options)
    seen = calibrate(model, [{"x": np.array([4, 1, 2, 3], np.float32)}], serialize)
    integer_mode.carry_out(model, integer_mode.plan_for(model, options, Ranges.of(seen)))
    got = run(model, {"x": np.array([-0.5, 1, 2, 4], np.float32)})[0]
    wanted = [1.0, 1.414, 2.0] if root == "SQRT" else [1.0, 0.707, 0.5]
    assert got[1:] == pytest.approx(wanted, abs=0.01)


EXTREMES = """
x: f32[1,4,4,2], y: f32[1,4,4,2] -> a, b, c, d, e
a = ADD(x, y)
b = SUB(x, y)
c = SQUARED_DIFFERENCE(x, y)
d = HARD_SWISH(x)
e = CONV_2D(x, f32[2,1,1,2], zeros[2]) {padding=SAME, stride_h=1, stride_w=1}
"""


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_outputs_far_finer_than_inputs_do_not_stop_litert(run: Run, mode: str) -> None:
    model = Model([parse(EXTREMES)])
    options = QuantizeOptions(mode=mode, integer_only=True, output_type="float32")
    integer_mode.rewrite_for(model, options)
    fine = {n: Record(-1e-9, 1e-9) for n in "abcd"}
    ranges = Ranges({"x": Record(-1e3, 1e3), "y": Record(-1e3, 1e3), "e": Record(-9, 9), **fine})
    integer_mode.carry_out(model, integer_mode.plan_for(model, options, ranges))
    zeros = [np.zeros((1, 4, 4, 2), t.dtype) for t in model.main.inputs]
    assert len(run(model, zeros)) == 5
