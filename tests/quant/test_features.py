"""Features of unlike sizes have a step each, although integers of one tensor share theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import decibels, run_litert
from graph_text import parse

from tqconv.config import CalibrateOptions, QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs.calibrate import calibrate
from tqconv.jobs.quantize import quantize

RNG = np.random.default_rng(11)
SIZES = np.array([2000, 0.02, 5, 1, 300, 0.5], np.float32)
CENTRES = np.array([3000, 0.1, 0, -2, 0, 0.25], np.float32)
ALIKE = RNG.uniform(-1, 1, (200, 6)).astype(np.float32)
UNLIKE = (ALIKE * SIZES + CENTRES).astype(np.float32)
WEIGHTS = (RNG.normal(size=(8, 6)) / SIZES).astype(np.float32)
LAYER = """
x: f32[?,6] -> y
h = FULLY_CONNECTED(x, f32[8,6], f32[8]) {fused_activation_function=RELU}
y = FULLY_CONNECTED(h, f32[3,8], f32[3])
"""
STEPS = """
x: f32[?,32,6] -> y
p = RESHAPE(x, [-1,1,32,6])
c = CONV_2D(p, f32[8,1,5,6], f32[8]) {padding=%s, stride_h=1, stride_w=2}
y = CONV_2D(c, f32[4,1,3,8], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
"""
OPTIONS = "{padding=VALID, stride_h=1, stride_w=1, depth_multiplier=2}"
BY_FEATURE = f"""
x: f32[?,32,6] -> y
p = EXPAND_DIMS(x, 1)
y = DEPTHWISE_CONV_2D(p, f32[1,1,5,12], f32[12]) {OPTIONS}
"""
SCALED = """
x: f32[?,6] -> y
c = SUB(x, f32[6])
s = MUL(c, f32[6])
y = TANH(s)
"""


def _model(text: str) -> Model:
    graph = parse(text)
    for op in graph.ops:
        for tensor in op.inputs:
            if tensor is None or tensor.data is None:
                continue
            if tensor.shape == (8, 6):
                tensor.data = WEIGHTS
            elif tensor.shape == (8, 1, 5, 6):
                tensor.data = tensor.data / SIZES
            elif tensor.shape == (1, 1, 5, 12):
                tensor.data = tensor.data / np.repeat(SIZES, 2)
            elif tensor.shape == (6,):
                tensor.data = CENTRES if op.type == "SUB" else 1 / SIZES
            elif tensor.shape == (8,):
                tensor.data = (-WEIGHTS @ CENTRES).astype(np.float32)
    return Model([graph])


def _quantized(text: str, rows: np.ndarray, path: Path, **more: object) -> Model:
    model = _model(text)
    np.savez(path / "s.npz", x=rows[:, None])
    options = QuantizeOptions(mode="int8", calibration_data=str(path / "s.npz"), **more)  # type: ignore[arg-type]
    quantize(model, options)
    return model


def _signal(model: Model, text: str, rows: np.ndarray, delegate: bool) -> float:
    (want,) = run_litert(_model(text), [rows])
    (got,) = run_litert(model, [rows], delegate)
    return decibels(want, got)


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("count", [200, 10])
def test_each_column_has_a_step_of_its_own(tmp_path: Path, count: int, delegate: bool) -> None:
    model = _quantized(LAYER, UNLIKE[:count], tmp_path)
    assert [op.type for op in model.main.ops][:3] == ["SUB", "MUL", "QUANTIZE"]
    assert "columns of input 'x' span" in "\n".join(model.notes)
    assert _signal(model, LAYER, UNLIKE[:count], delegate) > 30


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize(
    ("text", "begin"),
    [
        (STEPS % "SAME", ["MUL", "QUANTIZE", "RESHAPE"]),
        (STEPS % "VALID", ["SUB", "MUL", "QUANTIZE"]),
        (BY_FEATURE, ["SUB", "MUL", "QUANTIZE"]),
    ],
    ids=["padded", "not padded", "depthwise"],
)
def test_steps_of_time_have_features_too(
    tmp_path: Path, text: str, begin: list[str], delegate: bool
) -> None:
    """Zeros around a convolution's operand are zeros still, for nothing is shifted there."""
    rows = (RNG.uniform(-1, 1, (60, 32, 6)) * SIZES).astype(np.float32)
    model = _quantized(text, rows, tmp_path)
    assert [op.type for op in model.main.ops][:3] == begin
    assert _signal(model, text, rows, delegate) > 33


def test_columns_of_one_size_need_nothing(tmp_path: Path) -> None:
    model = _quantized(LAYER, ALIKE, tmp_path)
    assert next(op.type for op in model.main.ops) == "QUANTIZE"


def test_three_rows_say_nothing(tmp_path: Path) -> None:
    model = _quantized(LAYER, UNLIKE[:3], tmp_path)
    assert "SUB" not in [op.type for op in model.main.ops]


@pytest.mark.parametrize("more", [{"integer_only": True}, {"input_type": "int8"}], ids=str)
def test_integers_at_the_border_are_said_to_lose_columns(
    tmp_path: Path, more: dict[str, object]
) -> None:
    model = _quantized(LAYER, UNLIKE, tmp_path, **more)
    assert "one step for all loses the small ones" in "\n".join(model.notes)
    assert "SUB" not in [op.type for op in model.main.ops]


def test_what_the_model_says_of_an_input_is_kept(tmp_path: Path) -> None:
    model = _quantized(LAYER, UNLIKE, tmp_path, input_ranges={"x": (-1000.0, 6000.0)})
    assert "SUB" not in [op.type for op in model.main.ops]


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
def test_a_normalization_that_stays_in_the_model_stays_real(tmp_path: Path, delegate: bool) -> None:
    model = _quantized(SCALED, UNLIKE, tmp_path)
    assert "float: MUL 's': brings features of unlike sizes to one" in "\n".join(model.notes)
    assert _signal(model, SCALED, UNLIKE, delegate) > 35


def test_who_writes_ranges_is_told_what_they_do_not_say(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(bytes(serialize(_model(LAYER))))
    np.save(tmp_path / "s.npy", UNLIKE)
    data = QuantizeOptions(calibration_data=str(tmp_path / "s.npy"))
    made = calibrate(tmp_path / "m.tflite", tmp_path / "r.json", CalibrateOptions(quantize=data))
    assert "a file of ranges does not say so" in made.notes[-1]


def test_a_layer_without_bias_gets_one(tmp_path: Path) -> None:
    text = LAYER.replace(", f32[8]", "")
    model = _quantized(text, UNLIKE, tmp_path)
    assert _signal(model, text, UNLIKE, True) > 30
