"""Forms of operators that integers compute better, against the float graph in LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run, run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize
from tqconv.runtime.compare import difference

RNG = np.random.default_rng(6)
POOL = "filter_height=4, filter_width=4, stride_h=4, stride_w=4, padding=VALID"
AVERAGE = f"x: f32[1,4,4,2] -> y\na = RELU(x)\ny = AVERAGE_POOL_2D(a) {{{POOL}}}"


def quantized(text: str, x: np.ndarray, path: Path, mode: str = "int8") -> Model:
    np.savez(path / "s.npz", x=x)
    model = Model([parse(text)])
    data = str(path / "s.npz")
    quantize(model, QuantizeOptions(mode=mode, calibration_data=data, improve=False))
    return model


def kinds(model: Model) -> list[str]:
    """Return the operators between the borders."""
    return [op.type for op in model.main.ops if op.type not in ("QUANTIZE", "DEQUANTIZE")]


def quality(run: Run, text: str, model: Model, x: np.ndarray) -> float:
    """Return the signal-to-noise ratio in dB over all samples."""
    wanted = np.stack([run(Model([parse(text)]), [one[None]])[0] for one in x])
    return difference(wanted, np.stack([run(model, [one[None]])[0] for one in x]))[0]


def test_an_average_over_all_of_an_image_gets_steps_of_its_own(tmp_path: Path, run: Run) -> None:
    x = np.zeros((8, 4, 4, 2), np.float32)
    x[:, 0, 0] = 160 * RNG.random((8, 2))
    model = quantized(AVERAGE, x, tmp_path)
    assert kinds(model) == ["MEAN", "RESHAPE"]
    assert quality(run, AVERAGE, model, x) > 38


def test_a_mean_that_a_dense_layer_reads_needs_no_reshape(tmp_path: Path, run: Run) -> None:
    text = """x: f32[1,7,7,6] -> y
    m = MEAN(x, [1,2]) {keep_dims=true}
    y = FULLY_CONNECTED(m, f32[5,6], zeros[5])"""
    x = RNG.uniform(-1, 3, (20, 7, 7, 6)).astype(np.float32)
    model = quantized(text, x, tmp_path)
    assert kinds(model) == ["MEAN", "FULLY_CONNECTED"]
    assert quality(run, text, model, x) > 30


def test_a_mean_over_places_is_rounded_to_the_nearest_step(tmp_path: Path) -> None:
    """With the axes kept, LiteRT's own kernel is off by up to 1.5 steps, all in one direction."""
    x = RNG.uniform(-1, 3, (40, 7, 7, 16)).astype(np.float32)
    text = "x: f32[1,7,7,16] -> y\ny = MEAN(x, [1,2]) {keep_dims=true}"
    model = quantized(text, x, tmp_path)
    assert kinds(model) == ["MEAN", "RESHAPE"]
    (step,) = next(op for op in model.main.ops if op.type == "MEAN").output.quant.scale
    read = model.main.ops[0].output.quant
    for delegate in (True, False):
        got = np.stack([run_litert(serialize(model), {"x": one[None]}, delegate)[0] for one in x])
        rounded = np.rint(x.astype(np.float64) / read.scale) * read.scale
        off = (got[:, 0, 0, 0] - rounded.mean((1, 2))) / step
        assert np.abs(off).max() < 0.8  # measured: 0.74
        assert np.abs(off.mean()) < 0.3  # measured: 0.27


@pytest.mark.parametrize("other", ["filter_height=2", "fused_activation_function=RELU"])
def test_other_averages_stay_pools(tmp_path: Path, other: str) -> None:
    options = f"{POOL}, {other}" if "fused" in other else POOL.replace("filter_height=4", other)
    text = f"x: f32[1,4,4,2] -> y\ny = AVERAGE_POOL_2D(x) {{{options}}}"
    assert kinds(quantized(text, np.ones((4, 4, 4, 2), np.float32), tmp_path)) == [
        "AVERAGE_POOL_2D"
    ]


NORMALIZED = """
x: f32[1,3,3,4] -> y
a = MUL(x, [0.01,1.0,-3.0,90.0])
y = ADD(a, [0.02,-5.0,1.0,40.0]) {fused_activation_function=RELU}
"""


def test_channels_are_scaled_each_with_steps_of_its_own(tmp_path: Path, run: Run) -> None:
    x = RNG.normal(size=(8, 3, 3, 4)).astype(np.float32) / [0.01, 1, 3, 90]
    model = quantized(NORMALIZED, x.astype(np.float32), tmp_path)
    assert kinds(model) == ["DEPTHWISE_CONV_2D"]
    assert model.main.ops[1].options["fused_activation_function"] == "RELU"
    narrow = quantized(NORMALIZED, x.astype(np.float32), tmp_path, "int16x8")
    assert kinds(narrow) == ["MUL", "ADD"]
    single = "x: f32[1,3,3,4] -> y\ny = MUL(x, [1.0,2.0,-3.0,0.1])"
    x = RNG.normal(size=(8, 3, 3, 4)).astype(np.float32)
    assert quality(run, single, quantized(single, x, tmp_path), x) > 38


@pytest.mark.parametrize(
    ("text", "stay"),
    [
        ("y = MUL(x, 2.0)", ["MUL"]),
        ("y = MUL(x, f32[1,3,3,4])", ["MUL"]),
        ("y = MUL(x, [1.0,2.0,3.0,4.0]) {fused_activation_function=RELU}", ["MUL"]),
        ("a = MUL(x, [1.0,2.0,3.0,4.0])\ny = ADD(a, x)", ["DEPTHWISE_CONV_2D", "ADD"]),
    ],
)
def test_other_products_stay(text: str, stay: list[str], tmp_path: Path) -> None:
    x = RNG.normal(size=(8, 3, 3, 4)).astype(np.float32)
    assert kinds(quantized(f"x: f32[1,3,3,4] -> y\n{text}", x, tmp_path)) == stay


def test_a_square_uses_the_difference_that_is_there(tmp_path: Path, run: Run) -> None:
    text = """x: f32[1,3,8] -> y
    m = MEAN(x, [2]) {keep_dims=True}
    d = SUB(x, m)
    s = SQUARED_DIFFERENCE(x, m)
    v = MEAN(s, [2]) {keep_dims=True}
    y = MUL(d, v)"""
    x = RNG.normal(size=(8, 3, 8)).astype(np.float32)
    model = quantized(text, x, tmp_path)
    assert sorted(kinds(model)) == ["MEAN", "MEAN", "MUL", "MUL", "SUB"]
    assert quality(run, text, model, x) > 30
    apart = "x: f32[1,3,8], z: f32[1,3,8] -> y\ny = SQUARED_DIFFERENCE(x, z)"
    np.savez(tmp_path / "s.npz", x=x, z=x[::-1])
    model = Model([parse(apart)])
    data = str(tmp_path / "s.npz")
    quantize(model, QuantizeOptions(mode="int8", calibration_data=data, improve=False))
    assert kinds(model) == ["SUB", "MUL"]


@pytest.mark.parametrize("mode", ["int8", "int16x8", "uint8"])
@pytest.mark.parametrize(
    ("threshold", "order"), [("1.25", "GREATER"), ("1.25", "GREATER_EQUAL"), ("0.0", "GREATER")]
)
def test_what_is_compared_with_a_number_is_not_cut_off_there(
    tmp_path: Path, run: Run, mode: str, threshold: str, order: str
) -> None:
    """A comparison makes no real, so the number it compares with bounds nothing."""
    text = f"x: f32[1,8] -> y\na = ABS(x)\nc = {order}(a, {threshold})\ny = SELECT_V2(c, x, 0.0)"
    x = np.linspace(0.5, 3, 64, dtype=np.float32).reshape(8, 8) * [[1, -1] * 4]
    model = quantized(text, x.astype(np.float32), tmp_path, mode)
    assert quality(run, text, model, x.astype(np.float32)) > 30
