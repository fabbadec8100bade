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
    entry = layer("DepthwiseConv2D", "dw", groups=1, **DEPTHWISE)
    path = chain(tmp_path, entry, [1, 4, 4, 2], reals(3, 3, 2, 1))
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0


def test_convert_a_layer_that_says_how_it_was_trained(tqconv: Tqconv, tmp_path: Path) -> None:
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
    model = sequential(given("x", [None, 2]), entry)
    write = write_h5 if suffix == "h5" else write_keras
    path = write(tmp_path / f"m.{suffix}", model, {})
    found = tqconv("convert", path, "-o", tmp_path / "m.tflite")
    assert found.code == 4
    assert "run'" in found.err
    assert not (tmp_path / "m.tflite").exists()


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
    entry = layer("Dense", "dense", units=3, new_in_some_version=None)
    path = chain(tmp_path, entry, [None, 2], reals(2, 3), reals(3))
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0


LSTM = {"units": 3, "return_sequences": True, "activation": "tanh"}


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.21.0", "3.15.1"])
def test_convert_an_lstm_of_any_keras(tqconv: Tqconv, tmp_path: Path, version: str) -> None:
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
    entry = layer("Conv1D", "conv", filters=3, kernel_size=[3], padding="same", use_bias=False)
    path = chain(tmp_path, entry, [None, None, 2], reals(3, 2, 3))
    target = tmp_path / "m.tflite"
    assert tqconv("convert", path, "-o", target).code == 0
    (detail,) = Interpreter(str(target)).get_input_details()
    assert list(detail["shape_signature"]) == [-1, -1, 2]
    assert computed(target, reals(3, 7, 2))[0].shape == (3, 7, 3)


def test_a_convolution_of_one_channel_stays_one(tqconv: Tqconv, tmp_path: Path) -> None:
    entry = layer("Conv2D", "conv", filters=4, kernel_size=[3, 3], use_bias=False)
    path = chain(tmp_path, entry, [1, 6, 6, 1], reals(3, 3, 1, 4))
    assert tqconv("convert", path, "-o", tmp_path / "m.tflite").code == 0
    ops = tqconv("inspect", tmp_path / "m.tflite", "--ops").out
    assert "CONV_2D" in ops
    assert "DEPTHWISE" not in ops
