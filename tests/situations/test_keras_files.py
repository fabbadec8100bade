"""What people meet who convert Keras files: old keys, code within, names, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from cli.conftest import Tqconv
from networks_keras import (
    Array,
    functional,
    given,
    layer,
    sequential,
    write_h5,
    write_keras,
)
from window_reference import conv

RNG = np.random.default_rng(7)


def reals(*shape: int) -> Array:
    """Return seeded numbers between -1 and 1."""
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def chain(folder: Path, entry: dict[str, Any], shape: list[int | None], *arrays: Array) -> Path:
    """Write a model of one layer behind an input."""
    named = [(f"{entry['name']}/{i}:0", array) for i, array in enumerate(arrays)]
    return write_h5(
        folder / "m.h5", sequential(given("x", shape), entry), {entry["name"]: named}, "2.4.0"
    )


def joined(folder: Path) -> Path:
    """Write a model of the outputs `second` and `first`, in this order."""
    dense = {"units": 2, "activation": "linear", "use_bias": False}
    model = functional(
        given("photo", [None, 3]),
        {**layer("Dense", "first", **dense), "inbound_nodes": [[["photo", 0, 0, {}]]]},
        {**layer("Dense", "second", **dense), "inbound_nodes": [[["photo", 0, 0, {}]]]},
        inputs=[["photo", 0, 0]],
        outputs=[["second", 0, 0], ["first", 0, 0]],
    )
    weights = {name: [(f"{name}/kernel:0", reals(3, 2))] for name in ("first", "second")}
    return write_h5(folder / "m.h5", model, weights)


DEPTHWISE = {"kernel_size": [3, 3], "padding": "same", "use_bias": False}


def test_convert_a_depthwise_layer_that_states_one_group(tqconv: Tqconv, tmp_path: Path) -> None:
    """A key that another version writes with its neutral value is no reason to refuse a layer."""
    entry = layer("DepthwiseConv2D", "dw", groups=1, **DEPTHWISE)
    path = chain(tmp_path, entry, [1, 4, 4, 2], reals(3, 3, 2, 1))
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0


@pytest.mark.parametrize("version", ["2.1.3", "2.15.0", "3.0.0", "3.99.1"])
def test_convert_a_file_of_any_keras(tqconv: Tqconv, tmp_path: Path, version: str) -> None:
    """The version that wrote a file is read and said, and never an error."""
    model = sequential(given("x", [None, 2]), layer("Dense", "dense", units=3, activation="relu"))
    kernel, bias = reals(2, 3), reals(3)
    named = {"dense": [("dense/kernel:0", kernel), ("dense/bias:0", bias)]}
    paths = [write_h5(tmp_path / "m.h5", model, named, version)]
    if version.startswith("3"):
        stored = {"layers/dense/vars/0": kernel, "layers/dense/vars/1": bias}
        paths.append(write_keras(tmp_path / "m.keras", model, stored, version))
    x = reals(4, 2)
    for path in paths:
        found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
        assert (found.code, found.err) == (0, "")
        (y,) = computed(tmp_path / "m.tflite", x)
        np.testing.assert_allclose(y, np.maximum(x @ kernel + bias, 0), atol=1e-6)


def test_convert_a_layer_that_says_how_it_was_trained(tqconv: Tqconv, tmp_path: Path) -> None:
    """Initializers, regularizers and constraints matter in training alone."""
    trained = {
        "kernel_initializer": {"class_name": "VarianceScaling", "config": {"seed": None}},
        "depthwise_regularizer": {"class_name": "L2", "config": {"l2": 0.1}},
        "depthwise_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2}},
        "trainable": False,
    }
    path = chain(
        tmp_path,
        layer("DepthwiseConv2D", "dw", **DEPTHWISE, **trained),
        [1, 4, 4, 2],
        reals(3, 3, 2, 1),
    )
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite", "-q")
    assert (found.code, found.err) == (0, "")


def test_convert_a_model_with_code_in_it(tqconv: Tqconv, tmp_path: Path) -> None:
    """All layers of the user's own stand in one report, with their places and the way out."""
    model = sequential(
        given("x", [None, 2]),
        layer("Lambda", "scaled", function=["4wEAAAA", None, None]),
        {**layer("Mine", "own"), "registered_name": "package>Mine"},
    )
    found = tqconv("convert", write_h5(tmp_path / "m.h5", model, {}), "-o", tmp_path / "m.tflite")
    assert found.code == 4
    assert "2 layers" in found.err
    assert "Lambda 'model/scaled' runs Python code" in found.err
    assert "package>Mine 'model/own'" in found.err
    assert "export the model as a SavedModel with `model.export`" in found.err


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_cut_a_model_before_code_in_it(tqconv: Tqconv, tmp_path: Path, suffix: str) -> None:
    """The cut that the report proposes works, and code outside of it is nobody's business."""
    dense = {"units": 3, "activation": "relu", "use_bias": False}
    model = sequential(
        given("x", [None, 2]),
        layer("Dense", "features", **dense),
        {**layer("Mine", "own"), "registered_name": "package>Mine"},
        layer("Dense", "scores", **dense),
    )
    kernel, other, foreign = reals(2, 3), reals(3, 3), reals(4)
    if suffix == "h5":
        named = {"features": kernel, "own": foreign, "scores": other}
        stored = {name: [(f"{name}/k:0", array)] for name, array in named.items()}
        path = write_h5(tmp_path / "m.h5", model, stored)
    else:
        arrays = {"dense": kernel, "mine": foreign, "dense_1": other}
        path = write_keras(
            tmp_path / "m.keras", model, {f"layers/{n}/vars/0": a for n, a in arrays.items()}
        )
    target = tmp_path / "m.tflite"
    words = ["--input_shapes", "2,2"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 4
    assert "hint: cut them off with `--output_arrays features`; or export the model" in found.err
    found = tqconv("convert", path, "-o", target, *words, "--output_arrays", "features")
    assert found.code == 0, found.err
    x = reals(2, 2)
    np.testing.assert_allclose(computed(target, x)[0], np.maximum(x @ kernel, 0), atol=1e-6)
    words = ["--input_arrays", "own", "--input_shapes", "2,3"]
    found = tqconv("convert", path, "-o", target, *words)
    assert found.code == 0, found.err
    y = reals(2, 3)
    np.testing.assert_allclose(computed(target, y)[0], np.maximum(y @ other, 0), atol=1e-6)


@pytest.mark.parametrize(
    "entry",
    [
        layer("Lambda", "run", function={"module": "os", "class_name": "system"}),
        layer("Lambda", "run", function="system", module="os", function_type="function"),
        {**layer("system", "run"), "module": "os", "registered_name": "os>system"},
        layer("TFSMLayer", "run", filepath="/elsewhere/saved_model", call_endpoint="serve"),
        layer("TorchModuleWrapper", "run", module="gASVAAAA"),
        layer("Activation", "run", activation={"module": "os", "class_name": "system"}),
        layer("Softmax", "run", module="os", axis={"module": "os", "class_name": "system"}),
    ],
)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_convert_a_file_that_names_code_to_run(
    tqconv: Tqconv, tmp_path: Path, entry: dict[str, Any], suffix: str
) -> None:
    """Nothing that a file names is imported, run or opened."""
    model = sequential(given("x", [None, 2]), entry)
    write = write_h5 if suffix == "h5" else write_keras
    path = write(tmp_path / f"m.{suffix}", model, {})
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code == 4
    assert "run'" in found.err
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (layer("TextVectorization", "words", output_mode="int", output_sequence_length=4), "?,4"),
        (layer("StringLookup", "words", output_mode="int"), "?,4"),
    ],
)
def test_begin_a_model_behind_its_words(
    tqconv: Tqconv, tmp_path: Path, words: dict[str, Any], shape: str
) -> None:
    """Text is no matter of kernels: the report names the place where integers begin."""
    table = reals(5, 3)
    model = sequential(
        given("text", [None, 4], "string"),
        words,
        layer("Embedding", "table", input_dim=5, output_dim=3),
    )
    path = write_h5(tmp_path / "m.h5", model, {"table": [("table/embeddings:0", table)]})
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code == 4
    assert "'model/words' works on text" in found.err
    cut = ["--input_arrays", "words", "--input_shapes", f"words={shape}"]
    assert f"cut them off with `--input_arrays words --input_shapes 'words={shape}'`" in found.err
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite", *cut)
    assert found.code == 0, found.err
    places = np.array([[0, 1, 4, 2]], np.int64)
    np.testing.assert_array_equal(computed(tmp_path / "m.tflite", places)[0], table[places])


ODD = [
    (layer("Dense", "odd", units="many"), "units"),
    (layer("Dense", "odd"), "units"),
    (layer("Dense", "odd", units=3, activation="reloo"), "reloo"),
    (
        layer("Dense", "odd", units=3, new_in_some_version=2),
        "new_in_some_version` = 2 that tqconv does not know",
    ),
    (layer("Conv2D", "odd", filters=3, kernel_size={"h": 3}, strides={"h": 2}), "{'h': 2} stands"),
    (layer("DepthwiseConv2D", "odd", groups=2, **DEPTHWISE), "groups = 2"),
]


@pytest.mark.parametrize(("entry", "said"), ODD, ids=[said for _, said in ODD])
def test_convert_a_layer_with_an_odd_field(
    tqconv: Tqconv, tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    """The error names layer, class and the field that is missing or odd."""
    arrays = {
        "Dense": [reals(2, 3), reals(3)],
        "Conv2D": [reals(3, 3, 2, 3), reals(3)],
        "DepthwiseConv2D": [reals(3, 3, 2, 1)],
    }
    path = chain(tmp_path, entry, [None, 4, 4, 2], *arrays[entry["class_name"]])
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code in (3, 4)
    assert f"{entry['class_name']} 'odd'" in found.err
    assert said in found.err


def test_convert_a_layer_with_a_new_key_that_is_not_set(tqconv: Tqconv, tmp_path: Path) -> None:
    """A key of a later version that is not set changes nothing."""
    entry = layer("Dense", "dense", units=3, new_in_some_version=None)
    path = chain(tmp_path, entry, [None, 2], reals(2, 3), reals(3))
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0


LSTM = {"units": 3, "return_sequences": True, "activation": "tanh"}


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.21.0", "3.15.1"])
def test_convert_an_lstm_of_any_keras(tqconv: Tqconv, tmp_path: Path, version: str) -> None:
    """Whatever wrote the file, a plain LSTM is one operator, and both directions are two."""
    inner = layer("LSTM", "forward", **LSTM, recurrent_activation="sigmoid")
    both = layer("Bidirectional", "both", layer=inner, merge_mode="concat")
    arrays = [("kernel", (2, 12)), ("recurrent_kernel", (3, 12)), ("bias", (12,))]
    named = [(f"{d}/{name}:0", reals(*s)) for d in ("forward", "backward") for name, s in arrays]
    path = write_h5(
        tmp_path / "m.h5", sequential(given("x", [1, 5, 2]), both), {"both": named}, version
    )
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0
    found = tqconv("inspect", tmp_path / "m.tflite", "--ops").out
    assert found.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert found.count("REVERSE_V2") == 2


@pytest.mark.parametrize("op", ["GRU", "LSTM"])
def test_run_a_recurrent_model_with_another_batch(tqconv: Tqconv, tmp_path: Path, op: str) -> None:
    """An open batch runs with any number of rows, and each row is what it is alone."""
    gates = {"GRU": 3, "LSTM": 4}[op]
    bias = {"GRU": (2, 9), "LSTM": (12,)}[op]
    config = {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid"}
    more = {"reset_after": True} if op == "GRU" else {}
    entry = layer(op, "cell", **config, **more)
    path = chain(
        tmp_path, entry, [None, 5, 2], reals(2, 3 * gates), reals(3, 3 * gates), reals(*bias)
    )
    target = tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    x = reals(13, 5, 2)
    ones = np.concatenate([computed(target, x[i : i + 1])[0] for i in range(13)])
    for batch in (1, 2, 13):
        np.testing.assert_allclose(computed(target, x[:batch])[0], ones[:batch], atol=1e-6)


def computed(path: Path, x: Array) -> list[Array]:
    """Return what LiteRT computes from an input, after a resize."""
    interpreter = Interpreter(str(path))
    (detail,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(detail["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


@pytest.mark.parametrize("mode", ["float16", "dynamic", "int8", "int16x8", None])
def test_names_and_order_of_outputs_are_those_of_the_model(
    tqconv: Tqconv, tmp_path: Path, mode: str | None
) -> None:
    """Names and their order are the model's own in every mode, in tensors and signature."""
    words: list[object] = [] if mode is None else ["--quantize", mode]
    if mode in ("int8", "int16x8"):
        np.savez(tmp_path / "data.npz", photo=reals(8, 3))
        words += ["--calibration_data", tmp_path / "data.npz"]
        words += ["--inference_input_type", mode[:-2] if mode == "int16x8" else mode]
    target = tmp_path / "m.tflite"
    found = tqconv("convert", joined(tmp_path), "-o", target, *words)
    assert found.code == 0, found.err
    interpreter = Interpreter(str(target))
    details = interpreter.get_output_details()
    assert [d["name"] for d in interpreter.get_input_details()] == ["photo"]
    assert [d["name"] for d in details] == ["second", "first"]
    borders = interpreter.get_signature_list()["serving_default"]
    assert borders == {"inputs": ["photo"], "outputs": ["first", "second"]}
    runner = interpreter.get_signature_runner()
    where = runner.get_output_details()
    assert [where[d["name"]]["index"] for d in details] == [d["index"] for d in details]


def test_convert_volumes_with_channels_first(tqconv: Tqconv, tmp_path: Path) -> None:
    """Channels first are taken in three dimensions too, and turned at the borders alone."""
    config = {"filters": 4, "kernel_size": [3, 3, 3], "padding": "same", "use_bias": False}
    volumes = [layer("Conv3D", n, **config, data_format="channels_first") for n in "ab"]
    path = write_h5(
        tmp_path / "m.h5",
        sequential(given("x", [1, 2, 5, 5, 5]), *volumes),
        {"a": [("k", reals(3, 3, 3, 2, 4))], "b": [("k", reals(3, 3, 3, 4, 4))]},
    )
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code == 0, found.err
    ops = tqconv("inspect", tmp_path / "m.tflite", "--ops").out
    assert ops.count("CONV_3D") == 2
    assert ops.count("TRANSPOSE") == 2  # at the borders alone


def test_convert_sequences_of_unknown_length(tqconv: Tqconv, tmp_path: Path) -> None:
    """Sizes that the model leaves open stay open."""
    entry = layer("Conv1D", "conv", filters=3, kernel_size=[3], padding="same", use_bias=False)
    path = chain(tmp_path, entry, [None, None, 2], reals(3, 2, 3))
    target = tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    (detail,) = Interpreter(str(target)).get_input_details()
    assert list(detail["shape_signature"]) == [-1, -1, 2]
    assert computed(target, reals(3, 7, 2))[0].shape == (3, 7, 3)


def test_a_convolution_of_one_channel_stays_one(tqconv: Tqconv, tmp_path: Path) -> None:
    """One input channel does not make a convolution depthwise."""
    entry = layer("Conv2D", "conv", filters=4, kernel_size=[3, 3], use_bias=False)
    path = chain(tmp_path, entry, [1, 6, 6, 1], reals(3, 3, 1, 4))
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0
    ops = tqconv("inspect", tmp_path / "m.tflite", "--ops").out
    assert "CONV_2D" in ops
    assert "DEPTHWISE" not in ops


WINDOWS = [
    ("SeparateRows", {"kernel_size": [3, 1], "strides": [2, 2]}),
    ("OneSided", {"kernel_size": [3, 2], "dilation_rate": [2, 1]}),
    ("OtherSide", {"kernel_size": [1, 3], "dilation_rate": [1, 3], "padding": "valid"}),
]


@pytest.mark.parametrize(("name", "config"), WINDOWS, ids=[name for name, _ in WINDOWS])
@pytest.mark.parametrize("groups", [1, 2, "depthwise"])
def test_windows_that_differ_by_axis(
    tqconv: Tqconv, tmp_path: Path, name: str, config: dict[str, Any], groups: int | str
) -> None:
    """Kernels, strides and dilations of one axis alone, in groups and by channel."""
    config = {"padding": "same", "use_bias": False, **config}
    count = 4 if groups == "depthwise" else int(groups)
    w = reals(*config["kernel_size"], 4 // count, 4 if groups == "depthwise" else 6)
    if groups == "depthwise":
        entry = layer("DepthwiseConv2D", "conv", depth_multiplier=1, **config)
    else:
        entry = layer("Conv2D", "conv", filters=6, groups=count, **config)
    stored = w.swapaxes(2, 3) if groups == "depthwise" else w
    path = chain(tmp_path, entry, [1, 9, 8, 4], stored)
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0
    x = reals(1, 9, 8, 4)
    strides, rates = config.get("strides", [1, 1]), config.get("dilation_rate", [1, 1])
    pairs = zip(np.split(x, count, axis=-1), np.split(w, count, axis=-1), strict=True)
    parts = [conv(a, b, strides, config["padding"].upper(), rates) for a, b in pairs]
    (y,) = computed(tmp_path / "m.tflite", x)
    np.testing.assert_allclose(y, np.concatenate(parts, axis=-1), atol=1e-5)


def test_quantize_a_recurrent_layer(tqconv: Tqconv, tmp_path: Path) -> None:
    """Where all must be integers a loop of known steps is written out, one of open ones says so."""
    config = {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid"}
    entry = layer("GRU", "cell", **config, reset_after=True)
    weights = reals(2, 9), reals(3, 9), reals(2, 9)
    samples, x = reals(8, 5, 2)[:, None], reals(1, 5, 2)
    np.savez(tmp_path / "d.npz", x=samples)
    target = tmp_path / "m.tflite"
    words = ["-o", target, "--quantize", "int8", "--calibration_data", tmp_path / "d.npz"]
    path = chain(tmp_path, entry, [1, None, 2], *weights)
    found = tqconv("convert", path, *words, "--integer_only")
    assert found.code == 5
    assert "WHILE bodies of control flow stay float: 'cell/while'" in found.err
    assert "hint: without --integer_only such operators stay float" in found.err
    assert not target.exists()
    path = chain(tmp_path, entry, [1, 5, 2], *weights)
    assert tqconv("convert", path, "-o", target).code == 0
    (want,) = computed(target, x)
    borders = ["--inference_input_type", "FLOAT", "--inference_output_type", "FLOAT"]
    for more in ([], ["--integer_only", *borders]):
        assert tqconv("convert", path, *words, *more).code == 0
        np.testing.assert_allclose(computed(target, x)[0], want, atol=0.1)
