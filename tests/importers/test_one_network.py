"""A network gives the same operators and the same integers, whatever file it comes from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
from graphs import const, graph, node, placeholder
from networks_keras import given, layer, sequential, write_h5, write_keras

from tqconv import api
from tqconv.config import ConvertOptions, LoadOptions, QuantizeOptions
from tqconv.importers.tflite.reader import parse
from tqconv.ir.graph import Model
from tqconv.schema import proto

F = np.float32
RNG = np.random.default_rng(41)
K1, K2 = (RNG.normal(0, 0.4, shape).astype(F) for shape in ((3, 3, 2, 4), (3, 3, 4, 1)))
GAMMA, BETA, MEAN = RNG.normal(0, 0.5, (3, 4)).astype(F)
VARIANCE = RNG.uniform(0.5, 2, 4).astype(F)
W, B = RNG.normal(0, 0.4, (4, 3)).astype(F), RNG.normal(0, 0.4, 3).astype(F)
SAMPLES = RNG.normal(0, 1, (16, 8, 8, 2)).astype(F)
SOURCES = ["m.h5", "m.keras", "m.pb", "saved_model"]
NORM = (GAMMA, BETA, MEAN, VARIANCE)


def layers() -> dict[str, Any]:
    """Convolution, batch norm, ReLU6, depthwise convolution, mean, dense, softmax."""
    conv = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "use_bias": False}
    return sequential(
        given("x", [None, 8, 8, 2]),
        layer("Conv2D", "conv", filters=4, activation="linear", **conv),
        layer("BatchNormalization", "norm", axis=[3], epsilon=1e-3, scale=True, center=True),
        layer("ReLU", "clamp", max_value=6.0),
        layer("DepthwiseConv2D", "depthwise", activation="relu", depth_multiplier=1, **conv),
        layer("GlobalAveragePooling2D", "mean", data_format="channels_last"),
        layer("Dense", "dense", units=3, activation="softmax", use_bias=True),
    )


def nodes(variables: bool) -> list[Any]:
    """The same as TensorFlow runs it: weights are constants, or read from a checkpoint."""
    strides, names = [1, 1, 1, 1], ("gamma", "beta", "moving_mean", "moving_variance")
    held = {"k1": K1, "k2": K2, "w": W, "b": B, **dict(zip(names, NORM, strict=True))}
    weights = []
    for name, value in held.items():
        if variables:
            weights.append(node(name, "VariableV2", dtype=F, shape=value.shape))
        else:
            weights.append(const(name, value))
    return [
        placeholder("x", F, (None, 8, 8, 2)),
        *weights,
        const("axes", np.array([1, 2], np.int32)),
        node("conv", "Conv2D", "x", "k1", strides=strides, padding=b"SAME"),
        node("norm", "FusedBatchNormV3", "conv", *names, epsilon=1e-3, is_training=False),
        node("clamp", "Relu6", "norm"),
        node("deep", "DepthwiseConv2dNative", "clamp", "k2", strides=strides, padding=b"SAME"),
        node("relu", "Relu", "deep"),
        node("mean", "Mean", "relu", "axes"),
        node("product", "MatMul", "mean", "w"),
        node("sum", "BiasAdd", "product", "b"),
        node("dense", "Softmax", "sum"),
    ]


def written(folder: Path, form: str) -> Path:
    path = folder / form
    if form == "m.h5":
        stored = {"conv": [K1], "norm": NORM, "depthwise": [K2], "dense": [W, B]}
        named = {
            name: [(f"{name}/{i}:0", array) for i, array in enumerate(arrays)]
            for name, arrays in stored.items()
        }
        return write_h5(path, layers(), named)
    if form == "m.keras":
        groups = {"conv2d": [K1], "batch_normalization": NORM, "depthwise_conv2d": [K2]}
        weights = {
            f"layers/{group}/vars/{i}": array
            for group, arrays in {**groups, "dense": [W, B]}.items()
            for i, array in enumerate(arrays)
        }
        return write_keras(path, layers(), weights)
    if form == "m.pb":
        path.write_bytes(graph(*nodes(False)).SerializeToString())
        return path
    meta = proto.messages().MetaGraphDef(graph_def=graph(*nodes(True)))
    meta.meta_info_def.tags.append("serve")
    signature = meta.signature_def["serving_default"]
    signature.inputs["x"].name, signature.outputs["dense"].name = "x:0", "dense:0"
    path.mkdir()
    message = proto.messages().SavedModel(saved_model_schema_version=1, meta_graphs=[meta])
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    (path / "variables").mkdir()
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    held = {"k1": K1, "k2": K2, "w": W, "b": B, **dict(zip(names, NORM, strict=True))}
    bundles.save(path / "variables" / "variables", held)
    return path


def converted(folder: Path, form: str, mode: str | None) -> Model:
    np.savez(folder / "samples.npz", x=SAMPLES)
    quantize = QuantizeOptions(mode=mode, calibration_data=str(folder / "samples.npz"))  # type: ignore[arg-type]
    load = LoadOptions(outputs=("dense",)) if form == "m.pb" else LoadOptions()
    options = ConvertOptions(load=load, quantize=quantize if mode else QuantizeOptions())
    target = folder / f"{form}.tflite"
    api.convert(written(folder, form), target, options)
    return parse(target.read_bytes(), "m.tflite")


def facts(model: Model) -> Counter[Any]:
    """Operators with their options, and what is stored: constants, scales, zero points."""
    found: Counter[Any] = Counter()
    for op in model.main.ops:
        parts: list[Any] = [op.type, str(sorted(op.options.items()))]
        for tensor in (*op.inputs, *op.outputs):
            if tensor is not None and tensor.data is not None:
                parts.append((tensor.shape, tensor.data.tobytes()))
            if tensor is not None and tensor.quant is not None:
                parts.append((tensor.quant.scale.tobytes(), tensor.quant.zero_point.tobytes()))
        found[tuple(parts)] += 1
    return found


@pytest.mark.parametrize("mode", [None, "int8", "dynamic"])
def test_every_file_of_a_network_gives_the_same_model(tmp_path: Path, mode: str | None) -> None:
    first, *others = (facts(converted(tmp_path, form, mode)) for form in SOURCES)
    assert [key[0] for key in first if key[0] == "CONV_2D"] == ["CONV_2D"]
    for other in others:
        assert other == first
