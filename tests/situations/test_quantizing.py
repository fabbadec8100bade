"""What people meet who quantize: lost detections, missing samples, types that surprise."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from cli.conftest import Tqconv
from conftest import run_litert
from graph_text import parse
from graphs import Message, attr_value, const, graph, node, placeholder

from tqconv.api import save
from tqconv.ir.graph import Model

F = np.float32
RNG = np.random.default_rng(11)


def write(folder: Path, text: str) -> Path:
    """Write a graph of tests as .tflite."""
    path = folder / "float.tflite"
    save(Model([parse(text)]), path)
    return path


def samples(folder: Path, **arrays: object) -> Path:
    """Write samples."""
    np.savez(folder / "d.npz", **{k: np.asarray(v, F) for k, v in arrays.items()})
    return folder / "d.npz"


def types_of(path: Path) -> tuple[str, str]:
    """Return the types of the first input and output."""
    found = Interpreter(str(path))
    sides = (found.get_input_details()[0], found.get_output_details()[0])
    return sides[0]["dtype"].__name__, sides[1]["dtype"].__name__


DETECTOR = """
x: f32[1,8,8,4] -> y
a = CONV_2D(x, f32[4,3,3,4], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
b = LOGISTIC(a)
s = SLICE(b, [0,0,0,0], [1,8,8,2])
t = SLICE(b, [0,0,0,2], [1,8,8,2])
u = MUL(t, 640.0)
y = CONCATENATION(u, s) {axis=3}
"""


def test_join_boxes_and_scores_of_a_detector(tqconv: Tqconv, tmp_path: Path) -> None:
    """Scores are not drowned in the steps of the boxes that they are joined with."""
    path, target = write(tmp_path, DETECTOR), tmp_path / "m.tflite"
    data = samples(tmp_path, x=RNG.uniform(-1, 1, (8, 8, 8, 4)))
    found = tqconv("convert", path, "-o", target, "--quantize", "int8", "--calibration_data", data)
    assert found.code == 0, found.err
    assert "note: float: CONCATENATION 'y': makes an output of reals: 's' (0.00" in found.err
    x = np.load(data)["x"][:1]
    have, want = (run_litert(p.read_bytes(), [x])[0] for p in (target, path))
    np.testing.assert_allclose(have[..., 2:], want[..., 2:], atol=0.01)


def test_join_boxes_and_scores_where_all_must_be_integers(tqconv: Tqconv, tmp_path: Path) -> None:
    """Where a join must be integers, the note says what is lost and which flag keeps it."""
    path, target = write(tmp_path, DETECTOR), tmp_path / "m.tflite"
    data = samples(tmp_path, x=RNG.uniform(-1, 1, (8, 8, 8, 4)))
    words = ["--quantize", "int8", "--integer_only", "--calibration_data", data]
    found = tqconv("convert", path, "-o", target, *words)
    assert "note: CONCATENATION 'y' stores 's' (0.00" in found.err
    assert "in 1 step of 255, beside 'u' (" in found.err
    assert "; --output_arrays u,s keeps more of it" in found.err
    found = tqconv("convert", path, "-o", target, *words, "--output_arrays", "u,s")
    assert "s  int8  [1, 8, 8, 2]  scale 0.00390625" in found.out  # as the note says
    inside = tmp_path / "inside.tflite"
    save(Model([parse(DETECTOR.replace("-> y", "-> z") + "z = MAXIMUM(y, 0.5)")]), inside)
    found = tqconv("convert", inside, "-o", target, *words)
    assert "; --int16 '^y$' keeps more of it" in found.err
    found = tqconv("convert", inside, "-o", target, *words, "--int16", "^y$")
    assert found.code == 0, found.err  # as the note says
    assert "keeps more of it" not in found.err


def test_ask_for_an_operator_without_an_integer_kernel(tqconv: Tqconv, tmp_path: Path) -> None:
    """An operator without a kernel of the type stays float and is named; the file allocates."""
    path = write(tmp_path, "x: f32[4,8] -> y\na = EXP(x)\ny = SIN(a)")
    words = ["--quantize", "int16x8", "--calibration_data", samples(tmp_path, x=np.ones((4, 8)))]
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite", *words)
    assert found.code == 0
    assert "note: float: SIN 'y': has no integer kernel that computes right" in found.err
    Interpreter(str(tmp_path / "m.tflite")).allocate_tensors()


DEPTHWISE = """
x: f32[1,8,8,4] -> y
y = DEPTHWISE_CONV_2D(x, f32[1,3,3,4], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
"""


def test_quantize_depthwise_weights_with_one_scale(tqconv: Tqconv, tmp_path: Path) -> None:
    """Weights of a depthwise layer have a scale per channel whatever is asked for."""
    path, target = write(tmp_path, DEPTHWISE), tmp_path / "m.tflite"
    words = ["--quantize", "dynamic", "--no_per_channel", "--min_weight_elements", "1"]
    assert tqconv("convert", path, "-o", target, *words).code == 0
    assert "(4 on axis 3)" in tqconv("inspect", target, "--quant").out  # a scale for each channel


def test_store_weights_alone_in_eight_bits(tqconv: Tqconv, tmp_path: Path) -> None:
    """Weights in eight bits, everything else in floats, with the loss in a number."""
    path = write(tmp_path, "x: f32[4,64] -> y\ny = FULLY_CONNECTED(x, f32[64,64], _)")
    target = tmp_path / "m.tflite"
    data = samples(tmp_path, x=RNG.uniform(-1, 1, (4, 64)))
    found = tqconv("convert", path, "-o", target, "--quantize", "weights", "--verify", data)
    assert "DEQUANTIZE" in tqconv("inspect", target, "--ops").out
    assert "note: output 'y': 4" in found.err
    assert "largest element the same in 100 % of the rows" in found.err
    assert target.stat().st_size < path.stat().st_size / 2


def test_calibrate_on_samples_far_from_zero(tqconv: Tqconv, tmp_path: Path) -> None:
    """Every range contains zero, also where no sample comes near it."""
    path, target = write(tmp_path, "x: f32[1,4] -> y\ny = MUL(x, x)"), tmp_path / "m.tflite"
    data = samples(tmp_path, x=RNG.uniform(1.3, 1.4, (16, 4)))
    words = ["--quantize", "int8", "--calibration_data", data]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0
    y = run_litert(target.read_bytes(), [np.full((1, 4), 1.4, F)])[0]
    np.testing.assert_allclose(y, 1.96, atol=2 * 1.96 / 255)


def test_calibrate_on_samples_that_are_all_alike(tqconv: Tqconv, tmp_path: Path) -> None:
    """An array that was never filled is said to be one; samples of several values are not."""
    path, target = write(tmp_path, "x: f32[1,4] -> y\ny = MUL(x, x)"), tmp_path / "m.tflite"
    for values, said in ((np.zeros((8, 4)), True), (RNG.uniform(0, 1, (8, 4)), False)):
        data = samples(tmp_path, x=values)
        found = tqconv(
            "convert", path, "-o", target, "--quantize", "int8", "--calibration_data", data
        )
        assert found.code == 0, found.err
        assert ("note: input 'x': every sample holds 0 and nothing else" in found.err) == said


IMAGE = """
x: f32[1,4,4,3] -> y
y = CONV_2D(x, f32[2,3,3,3], zeros[2]) {padding=SAME, stride_h=1, stride_w=1}
"""


def test_read_how_pixels_are_mapped(tqconv: Tqconv, tmp_path: Path) -> None:
    """The byte that stands for a real is printed as scale, zero point, mean and deviation."""
    data = samples(tmp_path, x=RNG.uniform(0, 1, (4, 4, 4, 3)))
    words = ["--quantize", "int8", "--calibration_data", data, "--inference_input_type", "uint8"]
    words += ["--input_range", "x:0,1"]
    found = tqconv("convert", write(tmp_path, IMAGE), "-o", tmp_path / "m.tflite", *words)
    line = "note: input 'x': uint8 scale 0.00392156886 zero point 0, reals 0 … 1, mean 0 std 255"
    assert line in found.err
    assert "the samples reach" not in found.err


def test_calibrate_on_samples_that_were_scaled_otherwise(tqconv: Tqconv, tmp_path: Path) -> None:
    """Samples that fill a small part of the stated range are told."""
    data = samples(tmp_path, x=RNG.uniform(0, 1, (4, 4, 4, 3)))
    words = ["--quantize", "int8", "--calibration_data", data, "--input_range", "x:0,255"]
    found = tqconv("convert", write(tmp_path, IMAGE), "-o", tmp_path / "m.tflite", *words)
    assert "note: input 'x': the samples reach from 0.0" in found.err
    assert "the range that is said of it (--input_range) from 0 to 255" in found.err


@pytest.mark.parametrize("asked", ["int8", "uint8", "float32"])
def test_ask_for_integers_at_the_borders(tqconv: Tqconv, tmp_path: Path, asked: str) -> None:
    """Borders have the type that was asked for, and change it later without loss."""
    data = samples(tmp_path, x=RNG.uniform(-1, 1, (4, 4, 4, 3)))
    path, target = write(tmp_path, IMAGE), tmp_path / "m.tflite"
    words = ["--quantize", "int8", "--calibration_data", data, "--inference_input_type", asked]
    words += ["--inference_output_type", asked]
    found = tqconv("convert", path, "-o", target, *words)
    assert types_of(target) == (asked, asked)
    assert f"x  {asked}" in found.out
    again = tmp_path / "again.tflite"
    words = ["--inference_input_type", "uint8", "--inference_output_type", "float32"]
    found = tqconv("convert", target, "-o", again, *words)
    assert found.code == 0, found.err
    assert types_of(again) == ("uint8", "float32")


def test_ask_for_integers_of_a_float_model(tqconv: Tqconv, tmp_path: Path) -> None:
    """Integers at the borders of a float model are refused with the flag that is missing."""
    path, target = write(tmp_path, IMAGE), tmp_path / "m.tflite"
    found = tqconv("convert", path, "-o", target, "--inference_input_type", "uint8")
    assert found.code == 2
    assert "--inference_input_type UINT8 is for integer activations" in found.err
    assert "hint: add --quantize int8" in found.err


def test_tile_and_join_in_integers(tqconv: Tqconv, tmp_path: Path) -> None:
    """What is repeated and joined shares one scale, so that it allocates and runs."""
    text = """
    x: f32[1,4], z: f32[1,4] -> y
    a = TILE(x, [2,1])
    b = MUL(z, 9.0)
    y = CONCATENATION(a, b, [[0.5,1.0,2.0,30.0]]) {axis=0}
    """
    text = text.replace("[[0.5,1.0,2.0,30.0]]", "f32[1,4]")
    inputs = {"x": RNG.uniform(-1, 1, (8, 1, 4)), "z": RNG.uniform(-1, 1, (8, 1, 4))}
    path, target = write(tmp_path, text), tmp_path / "m.tflite"
    data = samples(tmp_path, **inputs)
    x, z = (v[0].astype(F) for v in inputs.values())
    for mode in ("int8", "int16x8"):
        words = ["--quantize", mode, "--calibration_data", data]
        found = tqconv("convert", path, "-o", target, *words)
        assert found.code == 0, found.err
        y = run_litert(target.read_bytes(), {"x": x, "z": z})[0]
        np.testing.assert_allclose(y[2], z[0] * 9, atol=0.1)


def trained() -> object:
    """A graph with a FakeQuant on its input and none behind the ReLU."""
    return graph(
        placeholder("x", F, (1, 4)),
        const("low", np.array(-1, F)),
        const("high", np.array(1, F)),
        node("q", "FakeQuantWithMinMaxVars", "x", "low", "high", num_bits=8, narrow_range=False),
        const("w", RNG.uniform(-1, 1, (4, 3)).astype(F)),
        node("m", "MatMul", "q", "w", T=F),
        node("y", "Relu", "m", T=F),
    )


def test_calibrate_what_training_left_out(tqconv: Tqconv, tmp_path: Path) -> None:
    """Trained ranges win over samples, which fill what training left out."""
    path, target = tmp_path / "g.pb", tmp_path / "m.tflite"
    path.write_bytes(trained().SerializeToString())  # type: ignore[attr-defined]
    data = samples(tmp_path, x=RNG.uniform(-3, 3, (8, 1, 4)))
    words = ["--quantize", "int8", "--calibration_data", data, "--inference_input_type", "int8"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    scale, _ = Interpreter(str(target)).get_input_details()[0]["quantization"]
    assert scale == pytest.approx(2 / 255, rel=1e-3)  # as trained, not the samples' -3 … 3


DRIFTING = """
x: f32[1,8] -> z
a = FULLY_CONNECTED(x, f32[8,8], f32[8])
b = ADD(a, [100.0])
d = SUB(b, [100.0])
f = FULLY_CONNECTED(d, f32[8,8], f32[8]) {fused_activation_function=RELU}
z = FULLY_CONNECTED(f, f32[3,8], f32[3])
"""
"""Values of about 1 stand on 100 before `d`: 8 bits lose most of them."""


def test_ask_for_an_accuracy_that_eight_bits_miss(tqconv: Tqconv, tmp_path: Path) -> None:
    """The few values that lose most are stored in 16 bits and named, or nothing is written."""
    path, target = write(tmp_path, DRIFTING), tmp_path / "m.tflite"
    data = samples(tmp_path, x=np.random.default_rng(12).normal(size=(30, 1, 8)))
    words = ["--quantize", "int8", "--calibration_data", data, "--no_improve"]
    plain = tqconv("convert", path, "-o", target, *words, "--verify", data)
    (loss,) = map(float, re.findall(r"output 'z': (\S+) dB", plain.err))
    assert loss < 36  # what is asked for below
    found = tqconv("convert", path, "-o", target, *words, "--min_sqnr", "36")
    assert found.code == 0, found.err
    assert re.search(r"note: --min_sqnr: .* in 16 bits \('d', ", found.err)
    assert " int16 " in tqconv("inspect", target, "--tensors").out
    before = target.read_bytes()
    words += ["--integer_only", "--min_sqnr", "120"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 7
    assert target.read_bytes() == before


def test_read_that_rounded_activations_cost_more_than_weights(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """Dynamic quantization rounds activations anew for each batch: a note says what that costs."""
    path = write(tmp_path, "x: f32[4,64] -> y\ny = FULLY_CONNECTED(x, f32[64,64], _)")
    x = np.random.default_rng(12).uniform(-1, 1, (16, 4, 64))
    x[:, :, 5] *= 300
    data, target = samples(tmp_path, x=x), tmp_path / "m.tflite"
    words = ["--min_weight_elements", "1", "--verify", data]
    found = tqconv("convert", path, "-o", target, "--quantize", "dynamic", *words)
    said = re.search(r"--quantize weights keeps (\S+) at the same size", found.err)
    assert said is not None, found.err
    found = tqconv("convert", path, "-o", target, "--quantize", "weights", *words)
    assert f"output 'y': {said[1]} dB" in found.err  # as the note says


NORMALIZED = """
x: f32[4,16] -> y
m = MEAN(x, [1]) {keep_dims=true}
d = SUB(x, m)
s = MUL(d, d)
v = MEAN(s, [1]) {keep_dims=true}
e = ADD(v, 0.001)
r = RSQRT(e)
n = MUL(d, r)
y = FULLY_CONNECTED(n, f32[10,16], zeros[10])
"""


def test_read_how_often_the_best_answer_is_the_same(tqconv: Tqconv, tmp_path: Path) -> None:
    """Behind a normalization in integers: how many answers agree is said, and can be asked for."""
    path, target = write(tmp_path, NORMALIZED), tmp_path / "m.tflite"
    data = samples(tmp_path, x=np.random.default_rng(12).uniform(-1, 1, (32, 4, 16)))
    words = ["--quantize", "int8", "--calibration_data", data, "--verify", data, "--no_improve"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    said = re.search(r"largest element the same in (\S+) % of the rows", found.err)
    assert said is not None, found.err
    assert 90 < float(said[1]) < 100
    target.unlink()
    assert tqconv("convert", path, "-o", target, *words, "--min_agreement", "1").code == 7
    assert not target.exists()
    assert tqconv("convert", path, "-o", target, *words, "--min_agreement", "0.9").code == 0


def detector() -> Message:
    """Return boxes and scores of a convolution, and the operator that chooses among them."""
    anchors = RNG.uniform(0.1, 0.9, (16, 4)).astype(F)
    low, high = const("low", np.array(-4, F)), const("high", np.array(4, F))
    ranges = {"num_bits": 8, "narrow_range": False}
    post = {"max_detections": 3, "max_classes_per_detection": 1, "detections_per_class": 3}
    post |= {"num_classes": 2, "use_regular_nms": False, "_output_quantized": True}
    post |= {"_support_output_type_float_in_quantized_op": True}
    scales = {"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0}
    limits = {"nms_score_threshold": 0.1, "nms_iou_threshold": 0.5}
    chosen = node(
        "found", "TFLite_Detection_PostProcess", "b", "s", "anchors", **post, **scales, **limits
    )
    chosen.attr["_output_types"].CopyFrom(attr_value([F] * 4))

    def trained(name: str, x: str) -> Message:
        return node(name, "FakeQuantWithMinMaxVars", x, "low", "high", **ranges)

    return graph(
        placeholder("image", F, (1, 4, 4, 3)),
        low,
        high,
        trained("q", "image"),
        const("w", RNG.uniform(-1, 1, (1, 1, 3, 7)).astype(F)),
        node("c", "Conv2D", "q", "w", T=F, strides=[1, 1, 1, 1], padding=b"SAME"),
        trained("cq", "c"),
        const("rows", np.array([1, 16, 7], np.int32)),
        node("r", "Reshape", "cq", "rows", T=F),
        const("zero", np.array([0, 0, 0], np.int32)),
        const("four", np.array([0, 0, 4], np.int32)),
        const("all_boxes", np.array([1, 16, 4], np.int32)),
        const("all_scores", np.array([1, 16, 3], np.int32)),
        node("b", "Slice", "r", "zero", "all_boxes", T=F, Index=np.int32),
        node("s", "Slice", "r", "four", "all_scores", T=F, Index=np.int32),
        const("anchors", anchors),
        chosen,
    )


def test_a_detector_s_last_operator_reads_reals(tqconv: Tqconv, tmp_path: Path) -> None:
    """In uint8 everything before it is integers, and its inputs are told in which steps."""
    path, target = tmp_path / "g.pb", tmp_path / "m.tflite"
    path.write_bytes(detector().SerializeToString())
    words = ["--inference_type", "QUANTIZED_UINT8", "--mean_values", "128", "--std_values", "32"]
    words += ["--output_arrays", "found,found:1,found:2,found:3", "--allow_custom_ops"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    listed = tqconv("inspect", target, "--ops", "--where", "type in CONV_2D,RESHAPE,SLICE").out
    assert "float32" not in listed
    floats = json.loads(
        tqconv("inspect", target, "--tensors", "--where", "dtype=float32", "--json").out
    )
    assert {row["name"] for row in floats["tensors"]} <= {
        "found", "found:1", "found:2", "found:3"
    }  # fmt: skip
    Interpreter(str(target)).allocate_tensors()
