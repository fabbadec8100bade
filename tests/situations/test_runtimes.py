"""What people meet who put models on devices, and on runtimes older than the converter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli.conftest import Tqconv
from conftest import run_litert
from graph_text import parse
from graphs import const, graph, node, placeholder

from tqconv.api import load, save
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.ir.types import Quant

F = np.float32
RNG = np.random.default_rng(13)
CONV = """
x: f32[1,8,8,4] -> y
a = CONV_2D(x, f32[8,3,3,4], zeros[8]) {padding=SAME, stride_h=1, stride_w=1}
b = RELU(a)
r = RESHAPE(b, [1,512])
y = FULLY_CONNECTED(r, f32[10,512], f32[10])
"""
INT8 = ["--inference_input_type", "int8", "--inference_output_type", "int8"]


def write(folder: Path, text: str) -> Path:
    """Write a graph of tests as .tflite."""
    path = folder / "float.tflite"
    save(Model([parse(text)]), path)
    return path


def calibrated(folder: Path, *shape: int) -> list[object]:
    """Return the words that quantize to int8 on seeded samples."""
    np.savez(folder / "d.npz", x=RNG.uniform(-1, 1, (4, *shape)).astype(F))
    return ["--quantize", "int8", "--calibration_data", folder / "d.npz"]


@pytest.mark.parametrize(
    ("mode", "why", "mended"),
    [
        ("dynamic", "1 FULLY_CONNECTED (integer weights beside float data)", "--quantize int8"),
        ("float16", "4 DEQUANTIZE (float16 data)", "no --quantize float16"),
    ],
)
def test_put_a_hybrid_file_on_a_microcontroller(
    tqconv: Tqconv, tmp_path: Path, mode: str, why: str, mended: str
) -> None:
    """Integer weights beside float data are refused before they are flashed."""
    target = tmp_path / "m.tflite"
    words = ["--quantize", mode, "--target", "tflm"]
    found = tqconv("convert", write(tmp_path, CONV), "-o", target, *words)
    assert found.code == 7
    assert "without the others it does not start there" in found.err
    assert why in found.err
    assert f"hint: {mended}" in found.err
    assert not target.exists()


def test_give_a_dense_layer_one_scale(tqconv: Tqconv, tmp_path: Path) -> None:
    """Dense layers have one scale where a runtime wants it, convolutions keep theirs."""
    path, target = write(tmp_path, CONV), tmp_path / "m.tflite"
    words = [*calibrated(tmp_path, 8, 8, 4), *INT8, "--integer_only", "--no_per_channel_dense"]
    assert tqconv("convert", path, "-o", target, *words, "--target", "tflm").code == 0
    shown = tqconv("inspect", target, "--quant").out
    assert "(8 on axis 0)" in shown  # the convolution's
    assert "(10 on axis 0)" not in shown


def test_make_int8_of_an_old_uint8_file(tqconv: Tqconv, tmp_path: Path) -> None:
    """Bytes of 2018 become int8 for runtimes that take nothing else, without samples."""
    old, new = tmp_path / "old.tflite", tmp_path / "new.tflite"
    words = ["--quantize", "uint8", *calibrated(tmp_path, 8, 8, 4)[2:], "--integer_only"]
    words += ["--inference_type", "QUANTIZED_UINT8", "--std_values", "127", "--mean_values", "128"]
    found = tqconv("convert", write(tmp_path, CONV), "-o", old, *words)
    assert found.code == 0, found.err
    shown = tqconv("inspect", old, "--target", "tflm").out
    assert "mended by: --quantize int8: its kernels take no uint8" in shown
    words = ["--quantize", "int8", "--integer_only", "--target", "tflm"]
    found = tqconv("convert", old, "-o", new, *words)
    assert found.code == 0, found.err  # as the answer says, and without samples
    assert "note: old.tflite is uint8: activations keep their scales" in found.err
    before, after = (load(path).main for path in (old, new))
    for first, second in zip(
        (*before.inputs, *before.outputs), (*after.inputs, *after.outputs), strict=True
    ):
        assert first.quant is not None
        assert second.quant is not None
        assert second.dtype == np.int8
        assert second.quant.scale == pytest.approx(first.quant.scale, rel=1e-6)
        assert second.quant.zero_point == first.quant.zero_point - 128
    assert "CONV_2D          v3" in tqconv("inspect", new, "--ops").out
    x = RNG.integers(0, 256, (1, 8, 8, 4)).astype(np.uint8)
    wanted = run_litert(old.read_bytes(), [x])[0].astype(int) - 128
    found_values = run_litert(new.read_bytes(), [(x.astype(int) - 128).astype(np.int8)])[0]
    np.testing.assert_allclose(found_values, wanted, atol=3)  # steps; weights are rounded twice


@pytest.mark.parametrize("release", ["tflite-2.4", "litert-1.0"])
def test_load_a_file_on_an_older_runtime(tqconv: Tqconv, tmp_path: Path, release: str) -> None:
    """Operators have versions, and forms, that the runtime knows."""
    target = tmp_path / "m.tflite"
    text = "x: f32[2,4] -> y\na = FULLY_CONNECTED(x, f32[300,4], zeros[300])\ny = GELU(a)"
    found = tqconv("convert", write(tmp_path, text), "-o", target, "--target", release)
    assert found.code == 0, found.err
    assert "FULLY_CONNECTED  v1 " in tqconv("inspect", target, "--ops").out
    judged = tqconv("inspect", target, "--target", release).out
    assert f"target {release}" in judged
    assert "operators run on it" in judged
    assert ("an older form" in found.err) == (release == "tflite-2.4")


def dynamic(folder: Path) -> Path:
    """Write a graph whose batch is open, and flattened by computing with its shape."""
    message = graph(
        placeholder("x", F, (None, 4, 4, 2)),
        node("shape", "Shape", "x", T=F, out_type=np.int32),
        const("zero", np.array([0], np.int32)),
        const("one", np.array([1], np.int32)),
        node("n", "StridedSlice", "shape", "zero", "one", "one", shrink_axis_mask=1),
        const("rest", np.array(32, np.int32)),
        node("sizes", "Pack", "n", "rest", axis=0),
        node("flat", "Reshape", "x", "sizes", T=F),
        const("w", RNG.uniform(-1, 1, (32, 3)).astype(F)),
        node("y", "MatMul", "flat", "w", T=F),
    )
    path = folder / "g.pb"
    path.write_bytes(message.SerializeToString())
    return path


def test_put_an_open_batch_on_an_edge_tpu(tqconv: Tqconv, tmp_path: Path) -> None:
    """The tensor without a fixed size is named, and the flag that fixes it works."""
    path, target = dynamic(tmp_path), tmp_path / "m.tflite"
    words = [*calibrated(tmp_path, 4, 4, 2), *INT8, "--integer_only", "--target", "edgetpu"]
    words += ["--no_per_channel_dense"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 7
    assert "the shape of 'x' is not static" in found.err
    assert "--input_shapes with a number for each dimension" in found.err
    assert "here --input_shapes 1,4,4,2;" in found.err
    found = tqconv("convert", path, "-o", target, *words, "--input_shapes", "1,4,4,2")
    assert found.code == 0, found.err  # as the hint says
    assert tqconv("inspect", target, "--ops").out.startswith("2 operators\n")


def test_ask_why_a_device_calls_a_file_unquantized(tqconv: Tqconv, tmp_path: Path) -> None:
    """What is float in a quantized file is listed, with what mends it."""
    path, target = write(tmp_path, CONV), tmp_path / "m.tflite"
    words = [*calibrated(tmp_path, 8, 8, 4), "--keep_float", "^y$"]
    assert tqconv("convert", path, "-o", target, *words).code == 0
    shown = tqconv("inspect", target, "--target", "ethos-u55").out
    assert "2 of 5 operators run on it, 78.3 % of the MACs; 3 on the CPU" in shown
    assert re.search(r"1  FULLY_CONNECTED  y +float32 data", shown)
    assert "mended by: --quantize int8 --integer_only" in shown
    assert "mended by: --inference_input_type INT8 --inference_output_type INT8" in shown


def test_ask_which_operators_an_edge_tpu_leaves_to_the_cpu(tqconv: Tqconv, tmp_path: Path) -> None:
    """The operator that stops the mapping is named before the compiler is called."""
    path, target = write(tmp_path, CONV), tmp_path / "m.tflite"
    words = [*calibrated(tmp_path, 8, 8, 4), *INT8, "--integer_only", "--target", "edgetpu"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 7
    assert "1 FULLY_CONNECTED (a scale per channel): 'y'" in found.err
    assert "hint: --no_per_channel_dense" in found.err
    found = tqconv("convert", path, "-o", target, *words, "--no_per_channel_dense")
    assert found.code == 0, found.err  # as the hint says
    assert "all 3 operators run on it" in tqconv("inspect", target, "--target", "edgetpu").out


def test_weights_with_one_scale_for_a_compiler_that_wants_it(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """No weights have a scale per channel where a compiler refuses that."""
    path, target = write(tmp_path, CONV), tmp_path / "m.tflite"
    words = [*calibrated(tmp_path, 8, 8, 4), "--no_per_channel"]
    assert tqconv("convert", path, "-o", target, *words).code == 0
    assert "on axis" not in tqconv("inspect", target, "--quant").out


def test_types_of_borders_are_chosen_one_by_one(tqconv: Tqconv, tmp_path: Path) -> None:
    """Float in and integers out is possible, and printed."""
    words = [*calibrated(tmp_path, 8, 8, 4), "--inference_output_type", "int8", "--no_per_channel"]
    found = tqconv("convert", write(tmp_path, CONV), "-o", tmp_path / "m.tflite", *words)
    assert "  x  float32  [1, 8, 8, 4]\n" in found.out
    assert "  y  int8  [1, 10]  scale" in found.out


def test_sixteen_bits_on_a_microcontroller(tqconv: Tqconv, tmp_path: Path) -> None:
    """What has a kernel of 16 bits there runs, what has none is named before it is flashed."""
    np.savez(tmp_path / "d.npz", x=RNG.uniform(0.1, 1, (4, 1, 8)).astype(F))
    words = ["--quantize", "int16x8", "--calibration_data", tmp_path / "d.npz", "--integer_only"]
    words += ["--inference_input_type", "int16", "--inference_output_type", "int16"]
    words += ["--target", "tflm"]
    dense = "x: f32[1,8] -> y\na = FULLY_CONNECTED(x, f32[8,8], zeros[8])\ny = TANH(a)"
    found = tqconv("convert", write(tmp_path, dense), "-o", tmp_path / "m.tflite", *words)
    assert found.code == 0, found.err
    shown = tqconv("inspect", tmp_path / "m.tflite", "--target", "tflm").out
    assert "all 2 operators run on it" in shown
    path = write(tmp_path, "x: f32[1,8] -> y\ny = LOG(x)")
    found = tqconv("convert", path, "-o", tmp_path / "n.tflite", *words)
    assert found.code == 7
    assert "1 LOG (int16 data): 'y'" in found.err
    assert not (tmp_path / "n.tflite").exists()


def test_a_chain_of_sizes_folds_for_an_npu(tqconv: Tqconv, tmp_path: Path) -> None:
    """With a fixed batch the shape of a RESHAPE is a constant, and nothing of the chain is left."""
    path, target = dynamic(tmp_path), tmp_path / "m.tflite"
    words = [*calibrated(tmp_path, 4, 4, 2), *INT8, "--integer_only"]
    found = tqconv("convert", path, "-o", target, *words, "--input_shapes", "1,4,4,2")
    assert found.code == 0, found.err
    shown = tqconv("inspect", target, "--target", "ethos-u55").out
    assert "all 2 operators run on it" in shown
    assert "SHAPE " not in shown.partition("operators\n")[2].replace("RESHAPE ", "")


def test_scales_that_a_kernel_does_not_compute_are_widened(tqconv: Tqconv, tmp_path: Path) -> None:
    """An output far finer than what it is summed from gets steps that the kernels can make."""
    text = (
        "x: f32[1,4,4,2] -> y\n"
        "y = CONV_2D(x, f32[3,1,1,2], zeros[3]) {padding=SAME, stride_h=1, stride_w=1}"
    )
    path, target = write(tmp_path, text), tmp_path / "m.tflite"
    ranges = [{"name": n, "min": -end, "max": end} for n, end in (("x", 1e4), ("y", 1e-3))]
    (tmp_path / "r.json").write_text(json.dumps({"tensors": ranges}))
    words = ["--quantize", "int8", "--ranges", tmp_path / "r.json", *INT8, "--integer_only"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    rows = json.loads(tqconv("inspect", target, "--quant", "--json").out)["quant"]
    scales = {row["name"]: row["scale"] for row in rows}
    weights = next(s for name, s in scales.items() if name not in "xy" and "bias" not in name)
    assert scales["x"] * weights / scales["y"] < 256
    run_litert(target.read_bytes(), [np.ones((1, 4, 4, 2), np.int8)])


def test_what_an_npu_says_of_permutations_and_products(tqconv: Tqconv, tmp_path: Path) -> None:
    """Permutations and products of two activations are judged as Arm's compiler judges them."""
    text = "x: f32[2,4,8], z: f32[2,3,8] -> y\nt = TRANSPOSE(z, [0,2,1])\ny = BATCH_MATMUL(x, t)"
    path, target = write(tmp_path, text), tmp_path / "m.tflite"
    shown = tqconv("inspect", path, "--target", "ethos-u55").out
    assert re.search(r"BATCH_MATMUL +y +float32 data", shown)
    assert "mended by: --quantize int8 --integer_only" in shown
    shapes = {"x": (4, 2, 4, 8), "z": (4, 2, 3, 8)}
    np.savez(tmp_path / "d.npz", **{n: RNG.uniform(-1, 1, s).astype(F) for n, s in shapes.items()})
    words = ["--quantize", "int8", "--calibration_data", tmp_path / "d.npz", *INT8]
    found = tqconv("convert", path, "-o", target, *words, "--integer_only")
    assert found.code == 0, found.err
    shown = tqconv("inspect", target, "--target", "ethos-u55").out
    assert re.search(r"the operator runs on it|all \d operators run on it", shown)


def test_a_file_whose_types_no_kernel_takes(tqconv: Tqconv, tmp_path: Path) -> None:
    """Reals in, integer weights, integers out: the operator is named, and nothing is written."""
    made = parse("x: f32[1,8] -> y\ny = FULLY_CONNECTED(x, f32[8,8], zeros[8])")
    weights, y = made.ops[0].input(1), made.outputs[0]
    assert weights.data is not None
    weights.data = np.rint(weights.data * 30).astype(np.int8)
    weights.dtype = y.dtype = np.dtype(np.int8)
    weights.quant, y.quant = Quant.per_tensor(0.03, 0), Quant.per_tensor(0.1, 0)
    path = tmp_path / "odd.tflite"
    path.write_bytes(serialize(Model([made])))
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code == 3
    assert "FULLY_CONNECTED 'y' in odd.tflite" in found.err
    assert "makes FLOAT32, not INT8" in found.err
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.parametrize("mode", ["weights", "dynamic", "int8"])
def test_pruned_and_clustered_weights_stay_so(tqconv: Tqconv, tmp_path: Path, mode: str) -> None:
    """Zeros stay zeros and equal values equal: what a compressed file gains is kept, no more."""
    made = parse("x: f32[4,64] -> y\ny = FULLY_CONNECTED(x, f32[64,64], zeros[64])")
    weights = made.ops[0].input(1)
    chosen = np.array([-0.75, -0.25, 0, 0, 0, 0, 0.25, 0.75], F)
    weights.data = chosen[np.random.default_rng(3).integers(0, 8, (64, 64))]
    path, target = tmp_path / "f.tflite", tmp_path / "m.tflite"
    save(Model([made]), path)
    np.savez(tmp_path / "d.npz", x=RNG.uniform(-1, 1, (8, 4, 64)).astype(F))
    words = ["--quantize", mode]
    words += [] if mode != "int8" else ["--calibration_data", str(tmp_path / "d.npz")]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    constants = (t.data for t in load(target).main.tensors() if t.dtype == np.int8)
    stored = next(data for data in constants if data is not None)
    assert stored is not None
    assert (stored == 0).sum() == (weights.data == 0).sum()
    assert max(len(set(row)) for row in stored) <= 5  # no row has more values than it was given
