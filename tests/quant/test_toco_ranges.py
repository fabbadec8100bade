"""How ranges travel from tensor to tensor in TOCO, and what a ranges message may say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import FormatError, QuantizationError, UnsupportedError, UsageError
from tqconv.ir.graph import Graph, Model
from tqconv.ir.types import Range
from tqconv.jobs.quantize import quantize
from tqconv.passes.fake_quant import drop_fake_quant, read_fake_quant
from tqconv.passes.toco.spread import spread_fake_quant
from tqconv.quant.evidence import extra_info
from tqconv.quant.toco.mode import plan_for
from tqconv.quant.toco.ranges import complete, cut_off, lacking, propagate
from tqconv.schema import proto

POOL = "{padding=VALID, stride_h=2, stride_w=2, filter_height=2, filter_width=2}"
HALF, THIRD = (-0.5, 2.0), (0.25, 3.0)


def spread(text, known, *, change_concat=False, default=None) -> Graph:
    graph = parse(text)
    for tensor in graph.tensors():
        if tensor.name in known:
            tensor.range = Range(*known[tensor.name], "user")
    propagate(graph, change_concat=change_concat, default=default)
    return graph


def ends(graph: Graph) -> dict[str, tuple[float, float] | None]:
    found = {t.name: t.range for t in graph.tensors() if not t.is_constant}
    return {name: None if r is None else (r.low, r.high) for name, r in found.items()}


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (f"MAX_POOL_2D(x) {POOL}", (0.0, 3.0)),
        (f"AVERAGE_POOL_2D(x) {POOL}", (0.0, 3.0)),
        ("MEAN(x, [1,2])", THIRD),
        ("REDUCE_MAX(x, [1,2])", THIRD),
        ("SUM(x, [1,2])", THIRD),
        ("PAD(x, i32[4,2])", THIRD),
        ("RESHAPE(x, [1,32])", THIRD),
        ("TRANSPOSE(x, [0,2,1,3])", THIRD),
        ("RESIZE_BILINEAR(x, [2,2])", THIRD),
        ("SOFTMAX(x)", (0.0, 255 / 256)),
        ("LOGISTIC(x)", (0.0, 255 / 256)),
        ("TANH(x)", (-127 / 128, 1.0)),
        ("L2_NORMALIZATION(x)", (0.0, 1.0)),
        ("RELU(x)", None),
        ("MUL(x, 2.0)", None),
        ("LEAKY_RELU(x) {alpha=0.5}", None),
    ],
)
def test_results_have_the_range_that_toco_gave_them(op, expected):
    op = op.replace("i32[4,2]", "p")
    setup = "p = RESHAPE([0,0,1,1,1,1,0,0], [4,2])\n" if "PAD" in op else ""
    graph = spread(f"x: f32[1,4,4,2] -> y\n{setup}y = {op}", {"x": THIRD})
    assert ends(graph)["y"] == expected


def test_relu_and_reshape_take_the_range_behind_them():
    text = "x: f32[1,8] -> z\ny = RELU(x)\nz = RESHAPE(y, [2,4])"
    assert ends(spread(text, {"z": HALF})) == {"x": HALF, "y": HALF, "z": HALF}


def test_a_known_result_keeps_its_range():
    text = "x: f32[1,4,4,2] -> y\ny = MEAN(x, [1,2])"
    assert ends(spread(text, {"x": THIRD, "y": HALF}))["y"] == HALF


def test_parts_of_split_have_the_range_of_the_whole():
    text = "x: f32[1,4] -> a, b\na, b = SPLIT(1, x) {num_splits=2}"
    graph = spread(text, {"x": THIRD, "a": HALF})
    assert (ends(graph)["a"], ends(graph)["b"]) == (THIRD, THIRD)


@pytest.mark.parametrize(
    ("change", "a", "b"), [(False, HALF, THIRD), (True, (-0.5, 3.0), (-0.5, 3.0))]
)
def test_concatenation_has_the_union(change, a, b):
    text = "a: f32[1,4], b: f32[1,4] -> y\ny = CONCATENATION(a, b) {axis=1}"
    graph = spread(text, {"a": HALF, "b": THIRD}, change_concat=change)
    assert ends(graph) == {"a": a, "b": b, "y": (-0.5, 3.0)}


def test_constant_parts_of_a_concatenation_count():
    graph = spread("a: f32[1,4] -> y\ny = CONCATENATION(a, f32[1,4]) {axis=1}", {})
    graph.ops[0].input(1).data = np.array([[-0.25, 0, 1, 5]], np.float32)
    graph.inputs[0].range = Range(*HALF, "user")
    propagate(graph, change_concat=False, default=None)
    assert ends(graph)["y"] == (min(HALF[0], -0.25), 5.0)


def like_toco(graph: Graph, samples: Path) -> Model:
    """Quantize as `--quantize uint8` does, with reals at the borders."""
    model, asked = Model([graph]), QuantizeOptions("uint8", calibration_data=str(samples))
    asked = replace(asked, input_type="float32", output_type="float32")
    quantize(model, asked, toco=TocoOptions(inference_type="uint8"))
    return model


def test_what_was_always_zero_has_integers(tmp_path):
    """A calibrated range without width is no FakeQuant that was never trained."""
    np.savez(tmp_path / "s.npz", x=-np.ones((8, 1, 4), np.float32))
    graph = parse("x: f32[1,4] -> z\ny = RELU(x)\nz = ADD(y, y)")
    model = like_toco(graph, tmp_path / "s.npz")
    assert {op.output.dtype.name for op in model.main.ops if op.type == "ADD"} == {"uint8"}
    assert all(t.quant.scale[0] > 0 for t in model.main.tensors() if t.quant)


def test_a_constant_beside_a_narrow_operand_is_not_cut_off(tmp_path):
    """PACK takes codes as they are: all are stored as its result is."""
    x = np.random.default_rng(2).uniform(0, 0.1, (8, 1, 4)).astype(np.float32)
    np.savez(tmp_path / "s.npz", x=x)
    text = "x: f32[1,4] -> y\na = ADD(x, x)\ny = PACK(a, f32[1,4]) {values_count=2, axis=0}"
    graph, rows = parse(text), np.array([[-3, 0, 1, 5]], np.float32)
    graph.ops[1].input(1).data = rows
    model = like_toco(graph, tmp_path / "s.npz")
    for delegate in (True, False):
        (y,) = run_litert(model, {"x": x[0]}, delegate)
        np.testing.assert_allclose(y, np.stack([2 * x[0], rows]), atol=8 / 255)


CLAMPED = [
    f"MAX_POOL_2D(r) {POOL[:-1]}, fused_activation_function=RELU}}",
    f"MAX_POOL_2D(r) {POOL}\nz = RELU(y)",
    "REVERSE_V2(r, [2])\nz = RELU(y)",
    "REVERSE_V2(r, [2])\nz = MAXIMUM(y, 0.0)",
    "CONCATENATION(r, r) {axis=3}\nz = RELU(y)",
]


@pytest.mark.parametrize("text", CLAMPED)
@pytest.mark.parametrize("both", [False, True])
def test_a_clamp_stays_where_the_kernel_keeps_the_scale_of_its_operand(text, both, tmp_path):
    """TOCO leaves it out for the range behind it, which the kernel before it does not store.

    What is read before the clamp, too (`both`), is not cut off at that range.
    """
    x = np.random.default_rng(4).uniform(-1, 0.3, (8, 1, 4, 4, 2)).astype(np.float32)
    np.savez(tmp_path / "s.npz", x=x)
    outputs = ["z" if "z =" in text else "y", *(["w"] if both else [])]
    graph = parse(
        f"x: f32[1,4,4,2] -> {', '.join(outputs)}\nr = REVERSE_V2(x, [1])\ny = {text}"
        + ("\nw = MUL(y, 2.0)" if both else "")
    )
    expected = run_litert(Model([graph]), {"x": x[0]})
    model = like_toco(graph, tmp_path / "s.npz")
    for delegate in (True, False):
        for got, want in zip(run_litert(model, {"x": x[0]}, delegate), expected, strict=True):
            np.testing.assert_allclose(got, want, atol=4 * 1.3 / 255)


@pytest.mark.parametrize("other", ["z = NEG(y)", "z = RELU(y)"])
def test_a_trained_range_that_cuts_off_another_reader_is_said(other):
    """TOCO takes the range behind RELU before it, whoever else reads that."""
    text = f"x: f32[1,4] -> f, z\ny = ADD(x, x)\nr = RELU(y)\n{other}"
    graph = parse(f"{text}\nf = FAKE_QUANT(r) {{min=0.0, max=2.0, num_bits=8}}")
    spread_fake_quant(graph)
    read_fake_quant(graph)
    said = cut_off(graph)
    assert ends(graph)["y"] == (0.0, 2.0)
    assert [("'y' (that of" in note) for note in said] == ([True] if "NEG" in other else [])


def test_a_concatenation_with_its_own_range_keeps_it():
    text = "a: f32[1,4], b: f32[1,4] -> y\ny = CONCATENATION(a, b) {axis=1}"
    assert ends(spread(text, {"a": HALF, "b": THIRD, "y": (0, 1)}))["y"] == (0, 1)


@pytest.mark.parametrize(("other", "expected"), [(HALF, HALF), (THIRD, None)])
def test_pack_passes_only_equal_ranges_on(other, expected):
    text = "a: f32[4], b: f32[4] -> y\ny = PACK(a, b) {values_count=2, axis=0}"
    assert ends(spread(text, {"a": HALF, "b": other}))["y"] == expected


def test_defaults_fill_what_the_rules_leave():
    text = """x: f32[1,4,4,2] -> z
    y = MUL(x, 2.0)
    m = MEAN(y, [1,2])
    z = LOGISTIC(m)"""
    graph = spread(text, {"x": HALF}, default=(-4.0, 6.0))
    default = (-4.0, 6.0)
    assert ends(graph) == {"x": HALF, "y": default, "m": default, "z": default}


def test_what_toco_lacked_is_found_last():
    text = """x: f32[1,4,4,4] -> z
    y = DEPTH_TO_SPACE(x) {block_size=2}
    r = RELU(y)
    z = LOG_SOFTMAX(r)"""
    graph = spread(text, {"x": HALF})
    assert [t.name for t in lacking(graph)] == ["y"], "the others would follow from it"
    complete(graph, change_concat=False)
    assert ends(graph) == {"x": HALF, "y": HALF, "r": HALF, "z": (-255 / 16, 0.0)}


FAKE = """x: f32[1,4] -> z
y = RESHAPE(x, [4])
f = FAKE_QUANT(y) {min=-0.5, max=2.0, num_bits=8}
z = RELU(f)"""


def test_fake_quant_says_the_range_of_both_sides_and_goes():
    graph = parse(FAKE)
    assert read_fake_quant(graph) == 1
    assert read_fake_quant(graph) == 0
    assert drop_fake_quant(graph) == 1
    graph.prune()
    graph.check()
    assert ends(graph) == {"x": None, "y": HALF, "z": None}
    assert [op.type for op in graph.ops] == ["RESHAPE", "RELU"]


def test_fake_quant_reaches_through_moves_on_request():
    graph = parse(FAKE)
    read_fake_quant(graph)
    assert spread_fake_quant(graph) == 1
    assert ends(graph)["x"] == HALF


def test_fake_quant_between_input_and_output_leaves_a_copy():
    graph = parse("x: f32[1,4] -> y\ny = FAKE_QUANT(x) {min=-0.5, max=2.0, num_bits=8}")
    read_fake_quant(graph)
    drop_fake_quant(graph)
    graph.prune()
    graph.check()
    assert [op.type for op in graph.ops] == ["RESHAPE"]
    assert ends(graph) == {"x": HALF, "y": HALF}


def test_wide_fake_quants_are_refused_only_where_they_count():
    graph = parse("x: f32[1,4] -> y\ny = TANH(x)")
    graph.inputs[0].range = Range(-1, 1, "fake_quant", bits=16)
    plan_for(Model([graph]), QuantizeOptions("uint8"), TocoOptions("uint8"), None)
    wide = TocoOptions("uint8", propagate_fake_quant_num_bits=True)
    with pytest.raises(QuantizationError, match="'x'; no kernel computes that"):
        plan_for(Model([graph]), QuantizeOptions("uint8"), wide, None)


TEXT = """entries { name: "a" min: -1 max: 2 }
entries { name_regexp: "b/.*" min: 0 max: 6 data_type: QUANTIZED_INT16 }"""


@pytest.mark.parametrize("binary", [False, True])
def test_extra_info_is_read_as_text_and_binary(tmp_path, binary):
    path = tmp_path / "extra"
    message = proto.parse_text(proto.messages("toco.proto").ArraysExtraInfo, TEXT, "text")
    path.write_bytes(message.SerializeToString() if binary else TEXT.encode())
    first, second = extra_info.read(path)
    assert (first.range.low, first.range.high, first.range.bits) == (-1, 2, 8)
    assert (second.range.low, second.range.high, second.range.bits) == (0, 6, 16)
    assert [first.matches(name) for name in ("a", "ab")] == [True, False]
    assert [second.matches(name) for name in ("b/x", "ab/x", "b")] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("entries { min: 0 max: 1 }", FormatError, "neither `name` nor `name_regexp`"),
        ('entries { name: "a" min: 0 }', FormatError, "`min` and `max` go together"),
        ('entries { name: "a" min: 2 max: 1 }', FormatError, "are not a range"),
        ('entries { name_regexp: "(" min: 0 max: 1 }', FormatError, r"`\(`"),
        ('entries { name: "a" shape { dims: 1 } }', UnsupportedError, "`shape`"),
        ('entries { name: "a" constant_float_value: 1 }', UnsupportedError, "constant_float_value"),
        ('entries { name: "a" min: 0 max: 1 data_type: STRING }', UnsupportedError, "STRING"),
    ],
)
def test_wrong_entries_are_named(tmp_path, text, error, message):
    path = tmp_path / "extra.pbtxt"
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        extra_info.read(path)
    assert "entry 1" in str(caught.value)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        extra_info.read(tmp_path / "none")


def test_tensors_that_would_inherit_a_range_are_not_reported():
    text = """x: f32[1,4,4,4] -> z
    y = MUL(x, 2.0)
    m = MEAN(y, [1,2])
    s = LOGISTIC(m)
    z = ADD(m, s)"""
    graph = parse(text)
    complete(graph, change_concat=False)
    assert [t.name for t in lacking(graph)] == ["x", "y", "z"]


def test_rows_of_a_constant_need_a_range():
    graph = parse("i: i32[2] -> y\ny = GATHER(f32[4,3], i) {axis=0}")
    complete(graph, change_concat=False)
    assert [t.name for t in lacking(graph)] == ["y"]
