"""What people meet who convert ONNX files: names, layouts, sizes, integers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from cli.conftest import Tqconv
from conftest import run_litert
from networks import Array, network, node
from onnx.reference import ReferenceEvaluator

F = np.float32
RNG = np.random.default_rng(3)


def reals(*shape: int) -> Array:
    """Return seeded numbers between -1 and 1."""
    return RNG.uniform(-1, 1, shape).astype(F)


def write(
    folder: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    **more: Any,
) -> Path:
    """Write a model whose inputs are like these arrays."""
    path = folder / "net.onnx"
    path.write_bytes(network(nodes, inputs, outputs, constants, **more).SerializeToString())
    return path


def ops(tqconv: Tqconv, path: Path) -> str:
    """Return the table of operators."""
    return tqconv("inspect", path, "--ops").out


def test_a_named_batch_stays_open(tqconv: Tqconv, tmp_path: Path) -> None:
    """A dimension with a name stays open until it is given a size."""
    x = reals(1, 3)
    path = write(tmp_path, [node("Relu", "x", "y")], {"x": x}, ["y"], shapes={"x": ("batch", 3)})
    target = tmp_path / "m.tflite"
    assert "x  float32  [?, 3]" in tqconv("convert", path, "-o", target).out
    found = tqconv("convert", path, "-o", target, "--dim", "batch=4")
    assert "x  float32  [4, 3]" in found.out
    found = tqconv("convert", path, "-o", target, "--input_shapes", "x=2,3")
    assert "x  float32  [2, 3]" in found.out


@pytest.mark.parametrize("mode", [None, "dynamic", "int8"])
def test_names_and_their_order_are_those_of_the_file(
    tqconv: Tqconv, tmp_path: Path, mode: str | None
) -> None:
    """Inputs and outputs are called and ordered as in the file, in integers too."""
    nodes = [node("Sub", "zeta alpha", "late"), node("Mul", "zeta alpha", "early")]
    inputs = {"zeta": reals(2, 3), "alpha": reals(2, 3)}
    path, target = write(tmp_path, nodes, inputs, ["late", "early"]), tmp_path / "m.tflite"
    words: list[object] = ["--quantize", mode] if mode else []
    if mode == "int8":
        np.savez(tmp_path / "d.npz", **inputs)
        words += ["--calibration_data", tmp_path / "d.npz", "--inference_output_type", "int8"]
        words += ["--inference_input_type", "int8"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    interpreter = Interpreter(str(target))
    assert [d["name"] for d in interpreter.get_input_details()] == ["zeta", "alpha"]
    assert [d["name"] for d in interpreter.get_output_details()] == ["late", "early"]
    signature = interpreter.get_signature_list()["serving_default"]
    assert set(signature["inputs"]) == {"zeta", "alpha"}
    assert set(signature["outputs"]) == {"late", "early"}


def blocks() -> tuple[list[Any], dict[str, Array]]:
    """A residual block, squeeze and excitation, a pyramid that is joined."""
    pads = [1, 1, 1, 1]
    nodes = [
        node("Conv", "x w1", "a", pads=pads),
        node("Relu", "a", "b"),
        node("Add", "x b", "residual"),
        node("GlobalAveragePool", "residual", "pooled"),
        node("Conv", "pooled w2", "squeezed"),
        node("Sigmoid", "squeezed", "gate"),
        node("Mul", "residual gate", "excited"),
        node("MaxPool", "excited", "low", kernel_shape=[2, 2], strides=[2, 2]),
        node(
            "Resize",
            "low _ scales",
            "up",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        node("Concat", "up excited", "joined", axis=1),
        node("Conv", "joined w3", "y", pads=pads),
    ]
    constants = {
        "w1": reals(4, 4, 3, 3),
        "w2": reals(4, 4, 1, 1),
        "w3": reals(2, 8, 3, 3),
        "scales": np.array([1, 1, 2, 2], F),
    }
    return nodes, constants


def test_transposes_are_left_at_the_borders_only(tqconv: Tqconv, tmp_path: Path) -> None:
    """Nothing is transposed between the layers of residual, gated and pyramid nets."""
    nodes, constants = blocks()
    path = write(tmp_path, nodes, {"x": reals(1, 4, 8, 8)}, ["y"], constants)
    target = tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    assert ops(tqconv, target).count("TRANSPOSE ") == 2
    found = tqconv("convert", path, "-o", target, "--nhwc_io")
    assert "TRANSPOSE" not in ops(tqconv, target)
    assert "x  float32  [1, 8, 8, 4]" in found.out


def test_a_dense_layer_behind_a_convolution_reads_its_elements_in_order(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """What is flattened behind a convolution keeps the order of elements that ONNX means."""
    nodes = [
        node("Conv", "x w", "a"),
        node("Flatten", "a", "flat"),
        node("Gemm", "flat d b", "y", transB=1),
    ]
    x = reals(1, 2, 5, 4)
    constants = {"w": reals(3, 2, 2, 2), "d": reals(6, 36), "b": reals(6)}
    path, target = write(tmp_path, nodes, {"x": x}, ["y"], constants), tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    np.testing.assert_allclose(run_litert(target.read_bytes(), [x])[0], expected, atol=1e-5)


def test_a_detection_head_says_what_has_five_dimensions(tqconv: Tqconv, tmp_path: Path) -> None:
    """A head of five dimensions runs, and a device that takes four is told of it."""
    nodes = [
        node("Conv", "x w", "a"),
        node("Reshape", "a five", "b"),
        node("Transpose", "b", "c", perm=[0, 1, 3, 4, 2]),
        node("Sigmoid", "c", "y"),
    ]
    x = reals(1, 4, 6, 6)
    constants = {"w": reals(21, 4, 1, 1), "five": np.array([1, 3, 7, 6, 6])}
    path, target = write(tmp_path, nodes, {"x": x}, ["y"], constants), tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    found = tqconv("inspect", target, "--target", "gpu")
    assert re.search(r"RESHAPE +\S+ +5 dimensions, at most 4 are taken", found.out)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    np.testing.assert_allclose(run_litert(target.read_bytes(), [x])[0], expected, atol=1e-5)


def test_a_sampled_grid_does_not_grow_with_the_batch(tqconv: Tqconv, tmp_path: Path) -> None:
    """No constant of a sampled grid grows with the batch."""
    sizes = []
    for batch in (1, 32):
        inputs = {"x": reals(batch, 2, 6, 5), "grid": reals(batch, 4, 3, 2)}
        path = write(tmp_path, [node("GridSample", "x grid", "y")], inputs, ["y"])
        target = tmp_path / "m.tflite"
        assert tqconv("convert", path, "-o", target).code == 0
        sizes.append(target.stat().st_size)
    assert sizes[1] < sizes[0] + 1024


def test_suppression_returns_as_many_boxes_as_it_keeps(tqconv: Tqconv, tmp_path: Path) -> None:
    """The number of detections is not lost in padding."""
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 1.1], [5, 5, 6, 6]]], F)
    scores = np.array([[[0.9, 0.8, 0.7]]], F)
    constants = {"most": np.array([3]), "iou": np.array([0.5], F), "least": np.array([0.1], F)}
    nodes = [node("NonMaxSuppression", "boxes scores most iou least", "y")]
    path = write(tmp_path, nodes, {"boxes": boxes, "scores": scores}, ["y"], constants)
    target = tmp_path / "m.tflite"
    found = tqconv("convert", path, "-o", target)
    assert found.code == 0, found.err
    y = run_litert(target.read_bytes(), {"boxes": boxes, "scores": scores})[0]
    np.testing.assert_array_equal(y, [[0, 0, 0], [0, 0, 2]])


def test_the_classes_of_an_attention_sum_to_one_in_int8(tqconv: Tqconv, tmp_path: Path) -> None:
    """The steps of a softmax are 1/256, so that its integers sum to one."""
    nodes = [
        node("MatMul", "x k", "scores"),
        node("Softmax", "scores", "weights", axis=-1),
        node("MatMul", "weights v", "y"),
    ]
    constants = {"k": reals(8, 16) * 4, "v": reals(16, 8)}
    path = write(tmp_path, nodes, {"x": reals(4, 8)}, ["weights", "y"], constants)
    np.savez(tmp_path / "d.npz", x=reals(4, 8))
    target = tmp_path / "m.tflite"
    words = ["--quantize", "int8", "--calibration_data", tmp_path / "d.npz"]
    found = tqconv("convert", path, "-o", target, *words, "--verify", tmp_path / "d.npz")
    assert found.code == 0, found.err
    assert "0.00390625" in tqconv("inspect", target, "--quant").out  # 1 / 256
    weights = run_litert(target.read_bytes(), [np.load(tmp_path / "d.npz")["x"]])[0]
    np.testing.assert_allclose(weights.sum(-1), 1, atol=16 / 512)


def test_all_operators_without_translation_are_listed_once(tqconv: Tqconv, tmp_path: Path) -> None:
    """The first missing operator does not hide the others."""
    nodes = [
        node("Mystery", "x", "a"),
        node("Relu", "a", "b"),
        node("Mystery", "b", "c"),
        node("Enigma", "c", "y", domain="com.example"),
    ]
    path = write(tmp_path, nodes, {"x": reals(2, 3)}, ["y"])
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code == 4
    assert "error: 2 operators of net.onnx have no TFLite translation" in found.err
    assert "Mystery            x2   a, c" in found.err
    assert "com.example:Enigma x1   y" in found.err
    assert "--allow_custom_ops" in found.err


def test_a_linear_layer_is_one_operator_with_its_bias(tqconv: Tqconv, tmp_path: Path) -> None:
    """A product with a constant matrix and the sum behind it are one dense layer."""
    nodes = [node("MatMul", "x w", "a"), node("Add", "a b", "y")]
    constants = {"w": reals(4, 5), "b": reals(5)}
    for shape in ((2, 4), (2, 3, 4)):
        path = write(tmp_path, nodes, {"x": reals(*shape)}, ["y"], constants)
        assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0
        table = ops(tqconv, tmp_path / "m.tflite")
        assert table.startswith("1 operator\n")
        assert "FULLY_CONNECTED" in table


def agree(tqconv: Tqconv, path: Path, inputs: Mapping[str, Array], atol: float = 1e-5) -> str:
    """Convert, compare with the definition of the operators, and return the table of operators."""
    target = path.with_suffix(".tflite")
    found = tqconv("convert", path, "-o", target)
    assert found.code == 0, found.err
    expected = ReferenceEvaluator(str(path)).run(None, dict(inputs))
    for have, want in zip(run_litert(target.read_bytes(), inputs), expected, strict=True):
        np.testing.assert_allclose(have, want, atol=atol)
    return ops(tqconv, target)


def test_channels_that_are_shuffled_keep_their_order(tqconv: Tqconv, tmp_path: Path) -> None:
    """Groups of channels are turned around through five dimensions, between convolutions."""
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("Reshape", "a five", "b"),
        node("Transpose", "b", "c", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "c four", "d"),
        node("Conv", "d v", "y"),
    ]
    constants = {
        "w": reals(6, 2, 3, 3),
        "five": np.array([1, 2, 3, 6, 5]),
        "four": np.array([1, 6, 6, 5]),
        "v": reals(4, 6, 1, 1),
    }
    x = reals(1, 2, 6, 5)
    agree(tqconv, write(tmp_path, nodes, {"x": x}, ["y"], constants), {"x": x})


@pytest.mark.parametrize(
    ("mode", "transformation", "sizes"),
    [
        ("linear", "pytorch_half_pixel", (1, 7)),
        ("nearest", "half_pixel", (5, 6)),
        ("linear", "half_pixel", (1, 1)),
        ("nearest", "asymmetric", (7, 3)),
        ("cubic", "align_corners", (5, 1)),
    ],
)
def test_images_are_resized_as_they_are_meant_to_be(
    tqconv: Tqconv, tmp_path: Path, mode: str, transformation: str, sizes: tuple[int, int]
) -> None:
    """Where pixels lie is what the attribute says, for sizes of 1 too."""
    resize = node(
        "Resize", "x _ _ sizes", "y", mode=mode, coordinate_transformation_mode=transformation
    )
    resize.input[:] = ["x", "", "", "sizes"]
    x = reals(1, 2, 3, 4)
    constants = {"sizes": np.array([1, 2, *sizes])}
    agree(tqconv, write(tmp_path, [resize], {"x": x}, ["y"], constants), {"x": x})


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_a_grid_of_odd_sizes_is_sampled(
    tqconv: Tqconv, tmp_path: Path, mode: str, padding: str, aligned: int
) -> None:
    """Every mode and padding, for points that lie outside of the image as well."""
    sample = node("GridSample", "x grid", "y", mode=mode, padding_mode=padding,
                  align_corners=aligned)  # fmt: skip
    inputs = {"x": reals(2, 3, 5, 7), "grid": reals(2, 4, 3, 2) * F(1.4)}
    agree(tqconv, write(tmp_path, [sample], inputs, ["y"], opset=20), inputs)


def test_a_quantized_model_keeps_its_own_scales(tqconv: Tqconv, tmp_path: Path) -> None:
    """Pairs around a layer become its integers, and nothing of them is left; no samples."""
    steps = {"x": 1 / 64, "w": 1 / 128, "y": 1 / 16}
    constants: dict[str, Any] = {f"{name}_s": np.array(step, F) for name, step in steps.items()}
    constants |= {f"{name}_z": np.array(0, np.int8) for name in steps}
    constants |= {"w_q": RNG.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8)}
    nodes = [
        node("QuantizeLinear", "x x_s x_z", "x_q"),
        node("DequantizeLinear", "x_q x_s x_z", "x_d"),
        node("DequantizeLinear", "w_q w_s w_z", "w_d"),
        node("Conv", "x_d w_d", "a"),
        node("QuantizeLinear", "a y_s y_z", "y_q"),
        node("DequantizeLinear", "y_q y_s y_z", "y"),
    ]
    x = reals(1, 2, 6, 6)
    path = write(tmp_path, nodes, {"x": x}, ["y"], constants, opset=19)
    target = tmp_path / "m.tflite"
    words = ["--quantize", "int8", "--inference_input_type", "int8"]
    found = tqconv("convert", path, "-o", target, *words, "--inference_output_type", "int8")
    assert found.code == 0, found.err
    assert "QUANTIZE" not in ops(tqconv, target)
    (taken,), (made,) = (
        get()
        for i in [Interpreter(str(target))]
        for get in (i.get_input_details, i.get_output_details)
    )
    assert taken["quantization"] == (pytest.approx(steps["x"]), 0)
    assert made["quantization"] == (pytest.approx(steps["y"]), 0)
    codes = np.clip(np.rint(x / steps["x"]), -128, 127).astype(np.int8)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    have = run_litert(target.read_bytes(), [codes])[0]
    assert np.abs(have - expected / steps["y"]).max() <= 1


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "old GRU"])
def test_recurrent_layers_compute_what_they_mean(
    tqconv: Tqconv, tmp_path: Path, cell: str, direction: str, batch: int
) -> None:
    """Both orders of a GRU's reset, all directions, states that are inputs, more than one row."""
    gates, count = (4 if cell == "LSTM" else 3), 1 + (direction == "bidirectional")
    op, more = cell.split()[-1], {} if cell != "GRU" else {"linear_before_reset": 1}
    layer = node(op, "x w r b _ h", "y last", hidden_size=3, direction=direction, **more)
    layer.input[:] = ["x", "w", "r", "b", "", "h"]
    inputs = {"x": reals(5, batch, 2), "h": reals(count, batch, 3)}
    constants = {
        "w": reals(count, 3 * gates, 2),
        "r": reals(count, 3 * gates, 3),
        "b": reals(count, 6 * gates),
    }
    agree(tqconv, write(tmp_path, [layer], inputs, ["y", "last"], constants), inputs)


def test_rows_of_different_lengths_end_where_they_end(tqconv: Tqconv, tmp_path: Path) -> None:
    """What lies behind the length of a row changes nothing, and yields zeros."""
    layer = node("LSTM", "x w r b lengths", "y", hidden_size=3)
    x, lengths = reals(5, 2, 2), np.array([5, 3], np.int32)
    constants = {"w": reals(1, 12, 2), "r": reals(1, 12, 3), "b": reals(1, 24)}
    inputs = {"x": x, "lengths": lengths}
    path, target = write(tmp_path, [layer], inputs, ["y"], constants), tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    y = run_litert(target.read_bytes(), inputs)[0]
    assert not y[3:, :, 1].any()
    longer = run_litert(target.read_bytes(), {**inputs, "lengths": np.array([5, 5], np.int32)})[0]
    np.testing.assert_allclose(y[:3, :, 1], longer[:3, :, 1], atol=1e-6)
    assert longer[3:, :, 1].all()


@pytest.mark.parametrize(
    ("x", "w", "attributes"),
    [
        ((1, 2, 3, 4, 3), (2, 3, 3, 2, 3),
         {"strides": [2, 1, 2], "pads": [1, 0, 1, 0, 1, 0], "output_padding": [1, 0, 1]}),
        ((1, 2, 4, 5), (2, 3, 3, 3),
         {"strides": [2, 2], "dilations": [2, 1], "pads": [1, 2, 0, 1], "output_padding": [1, 0]}),
        ((1, 4, 4, 5), (4, 3, 3, 2), {"strides": [1, 2], "pads": [0, 1, 2, 0]}),
    ],
)  # fmt: skip
def test_convolutions_are_transposed_with_odd_paddings(
    tqconv: Tqconv, tmp_path: Path, x: Sequence[int], w: Sequence[int], attributes: dict[str, Any]
) -> None:
    """In two and three dimensions, dilated, with sizes that are added behind."""
    inputs = {"x": reals(*x)}
    nodes = [node("ConvTranspose", "x w", "y", **attributes)]
    agree(tqconv, write(tmp_path, nodes, inputs, ["y"], {"w": reals(*w)}), inputs)


def test_sizes_are_not_computed_in_64_bits(tqconv: Tqconv, tmp_path: Path) -> None:
    """A shape that follows the batch leaves no arithmetic of int64, which delegates refuse."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "n"),
        node("Mul", "n two", "rows"),
        node("Unsqueeze", "rows axis", "first"),
        node("Concat", "first rest", "sizes", axis=0),
        node("Reshape", "x sizes", "y"),
        node("Add", "indices one", "next"),
    ]
    constants = {
        "zero": np.array(0),
        "two": np.array(2),
        "axis": np.array([0]),
        "rest": np.array([12]),
        "one": np.array(1),
    }
    inputs = {"x": reals(3, 4, 6), "indices": np.array([4, 5])}
    path = write(tmp_path, nodes, inputs, ["y", "next"], constants, shapes={"x": ("n", 4, 6)})
    listed = agree(tqconv, path, inputs)
    assert "MUL" not in listed
    words = ["inspect", path.with_suffix(".tflite"), "--tensors", "--where", "dtype=int64"]
    found = json.loads(tqconv(*words, "--json").out)["tensors"]
    assert {row["name"] for row in found} <= {"indices", "next", "one"}  # as the model has them


def test_a_device_takes_sums_of_five_dimensions(tqconv: Tqconv, tmp_path: Path) -> None:
    """Dimensions of 1 are left out for one that takes four; what needs more is named."""
    nodes = [
        node("Unsqueeze", "x axis", "five"),
        node("Add", "five b", "sum"),
        node("Mul", "sum c", "share"),
        node("Squeeze", "share axis", "y"),
    ]
    x = reals(1, 4, 6, 5)
    constants = {"axis": np.array([1]), "b": reals(1, 1, 4, 1, 5), "c": reals(1, 1, 1, 1, 5) + 2}
    path = write(tmp_path, nodes, {"x": x}, ["y"], constants)
    agree(tqconv, path, {"x": x})
    words = ["inspect", path.with_suffix(".tflite"), "--target", "gpu"]
    assert "all 2 operators run on it" in tqconv(*words).out
    constants["b"] = reals(2, 3, 4, 6, 5)
    path = write(tmp_path, nodes[1:2], {"five": reals(2, 3, 4, 1, 5)}, ["sum"], constants)
    agree(tqconv, path, {"five": reals(2, 3, 4, 1, 5)})
    assert re.search(r"ADD +sum +5 dimensions, at most 4 are taken", tqconv(*words).out)
