"""Small valid ONNX and Keras files, for the seeds of damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from networks import Array, network, node
from networks_keras import functional, given, layer, sequential, write_h5, write_keras
from onnx import TensorProto, helper

Weights = Mapping[str, Sequence[tuple[str, Array]]]


def onnx_files(rng: np.random.Generator) -> list[bytes]:
    """Return networks of every kind of node: layers, shapes, bodies, pairs that quantize."""
    made = [_network(rng), _shapes(), _bodies(), _recurrent(rng), _pairs(rng), _trees()]
    return [model.SerializeToString() for model in made]


def _network(rng: np.random.Generator) -> Any:
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[1, 1], kernel_shape=[3, 3]),
        node("BatchNormalization", "c s o mean var", "n", epsilon=1e-3),
        node("Clip", "n low high", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", "p _ scales", "u", mode="linear"),
        node("Flatten", "u", "f", axis=1),
        node("Gemm", "f m", "g", alpha=0.5, transB=1),
        node("Softmax", "g", "y", axis=-1),
    ]
    constants = {
        "w": rng.normal(size=(3, 2, 3, 3)).astype(np.float32),
        **{k: rng.uniform(0.5, 1, 3).astype(np.float32) for k in ("b", "s", "o", "mean", "var")},
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "m": rng.normal(size=(4, 48)).astype(np.float32),
    }
    return network(nodes, {"x": np.zeros((1, 2, 4, 4), np.float32)}, ["y"], constants)


def _trees() -> Any:
    ml = "ai.onnx.ml"
    walk = {
        "nodes_treeids": [0, 0, 0, 0, 0],
        "nodes_nodeids": [0, 1, 2, 3, 4],
        "nodes_modes": ["BRANCH_LEQ", "BRANCH_EQ", "LEAF", "LEAF", "LEAF"],
        "nodes_featureids": [0, 2, 0, 0, 0],
        "nodes_values": [0.5, 1.0, 0.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 3, 0, 0, 0],
        "nodes_falsenodeids": [2, 4, 0, 0, 0],
        "nodes_missing_value_tracks_true": [1, 0, 0, 0, 0],
        "class_treeids": [0, 0, 0],
        "class_nodeids": [2, 3, 4],
        "class_ids": [0, 1, 2],
        "class_weights": [1.0, 2.0, 3.0],
        "classlabels_int64s": [7, 8, 9],
    }
    support = {
        "coefficients": [1.0, -1.0],
        "kernel_params": [0.5, 0.0, 3.0],
        "kernel_type": "RBF",
        "n_supports": 2,
        "rho": [0.1],
        "support_vectors": [1.0, 2, 3, 4, 5, 6],
    }
    nodes = [
        node("Scaler", "x", "s", ml, offset=[0.5], scale=[1.0, 2.0, 3.0]),
        node("TreeEnsembleClassifier", "s", "label scores", ml, **walk),
        node("SVMRegressor", "s", "y", ml, **support),
    ]
    return network(nodes, {"x": np.zeros((2, 3), np.float32)}, ["label", "scores", "y"])


def _shapes() -> Any:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s one", "d", axis=0),
        node("Concat", "minus d", "t", axis=0),
        node("Reshape", "x t", "r"),
        node("Slice", "r start stop axes step", "c"),
        node("Pad", "c pads", "p", mode="reflect"),
        node("Einsum", "p p", "e", equation="ij,kj->ik"),
        node("ReduceMean", "e", "m", axes=[0], keepdims=1),
        node("TopK", "m k", "values places", axis=1),
        node(
            "ConstantOfShape", "t2", "z", value=helper.make_tensor("v", TensorProto.FLOAT, [1], [2])
        ),
        node("Where", "mask values z", "y"),
        node("Less", "values z", "mask"),
    ]
    constants = {
        "one": np.array([1]),
        "minus": np.array([-1]),
        "start": np.array([0]),
        "stop": np.array([3]),
        "axes": np.array([1]),
        "step": np.array([1]),
        "pads": np.array([0, 1, 0, 1]),
        "k": np.array([2]),
        "t2": np.array([1, 2]),
    }
    return network(nodes, {"x": np.zeros((2, 4), np.float32)}, ["y", "places"], constants)


def _bodies() -> Any:
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            node("Add", "v half", "w"),
            node("Less", "i four", "go"),
        ],
        "body",
        [
            scalar("i", TensorProto.INT64, []),
            scalar("c", TensorProto.BOOL, []),
            scalar("v", TensorProto.FLOAT, [3]),
        ],
        [scalar("go", TensorProto.BOOL, []), scalar("w", TensorProto.FLOAT, [3])],
    )
    yes = helper.make_graph([node("Neg", "x", "t")], "y", [], [scalar("t", TensorProto.FLOAT, [3])])
    no = helper.make_graph([node("Exp", "x", "f")], "n", [], [scalar("f", TensorProto.FLOAT, [3])])
    nodes = [
        node("If", "flag", "picked", then_branch=yes, else_branch=no),
        node("Loop", "trips true picked", "y", body=body),
    ]
    constants = {
        "half": np.array(0.5, np.float32),
        "four": np.array(4),
        "trips": np.array(6),
        "true": np.array(True),
    }
    inputs = {"x": np.zeros(3, np.float32), "flag": np.array(True)}
    return network(nodes, inputs, ["y"], constants)


def _recurrent(rng: np.random.Generator) -> Any:
    nodes = [
        node("LSTM", "x w r b", "h last", hidden_size=2, direction="bidirectional"),
        node("Transpose", "h", "t", perm=[2, 0, 1, 3]),
        node("LayerNormalization", "t s o", "y", axis=-1),
    ]
    constants = {
        "w": rng.normal(size=(2, 8, 3)).astype(np.float32),
        "r": rng.normal(size=(2, 8, 2)).astype(np.float32),
        "b": rng.normal(size=(2, 16)).astype(np.float32),
        "s": np.ones(2, np.float32),
        "o": np.zeros(2, np.float32),
    }
    return network(nodes, {"x": np.zeros((3, 1, 3), np.float32)}, ["y", "last"], constants)


def _pairs(rng: np.random.Generator) -> Any:
    nodes = [
        node("QuantizeLinear", "x sx zx", "qx"),
        node("DequantizeLinear", "qx sx zx", "dx"),
        node("DequantizeLinear", "w sw zw", "dw", axis=0),
        node("Conv", "dx dw", "c", kernel_shape=[1, 1]),
        node("QuantizeLinear", "c sy zx", "qy"),
        node("DequantizeLinear", "qy sy zx", "y"),
    ]
    constants = {
        "sx": np.array(0.1, np.float32),
        "sy": np.array(0.25, np.float32),
        "zx": np.array(3, np.int8),
        "w": rng.integers(-127, 127, (3, 2, 1, 1)).astype(np.int8),
        "sw": np.array([0.01, 0.02, 0.03], np.float32),
        "zw": np.zeros(3, np.int8),
    }
    return network(nodes, {"x": np.zeros((1, 2, 4, 4), np.float32)}, ["y"], constants)


def keras_files(folder: Path, rng: np.random.Generator) -> list[bytes]:
    """Return chains and graphs of layers, as HDF5 files and as archives."""
    made = []
    for number, (config, weights) in enumerate((_images(rng), _steps(rng), _graph(rng))):
        one = write_h5(folder / f"{number}.h5", config, weights)
        made.append(one.read_bytes())
        flat = {f"layers/{k}/vars/{i}": a for k, v in weights.items() for i, (_, a) in enumerate(v)}
        other = write_keras(folder / f"{number}.keras", config, flat)
        made.append(other.read_bytes())
    return made


def _images(rng: np.random.Generator) -> tuple[Any, Weights]:
    window = {"strides": [1, 1], "padding": "same", "activation": "relu", "use_bias": True}
    config = sequential(
        given("x", [None, 4, 4, 2]),
        layer("Conv2D", "conv2d", filters=3, kernel_size=[3, 3], **window),
        layer("BatchNormalization", "batch_normalization", axis=[3], epsilon=1e-3),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], padding="valid"),
        layer("Flatten", "flat"),
        layer("Dropout", "dropout", rate=0.5),
        layer("Dense", "dense", units=2, activation="softmax", use_bias=True),
    )
    weights = {
        "conv2d": [("k", _reals(rng, 3, 3, 2, 3)), ("b", _reals(rng, 3))],
        "batch_normalization": [(n, np.abs(_reals(rng, 3))) for n in ("g", "b", "m", "v")],
        "dense": [("k", _reals(rng, 12, 2)), ("b", _reals(rng, 2))],
    }
    return config, weights


def _steps(rng: np.random.Generator) -> tuple[Any, Weights]:
    config = sequential(
        given("x", [None, 5], "int32"),
        layer("Embedding", "embedding", input_dim=7, output_dim=3),
        layer("LSTM", "lstm", units=2, return_sequences=True, activation="tanh"),
        layer("GlobalAveragePooling1D", "mean", keepdims=False),
    )
    weights = {
        "embedding": [("e", _reals(rng, 7, 3))],
        "lstm": [("k", _reals(rng, 3, 8)), ("r", _reals(rng, 2, 8)), ("b", _reals(rng, 8))],
    }
    return config, weights


def _graph(rng: np.random.Generator) -> tuple[Any, Weights]:
    def behind(entry: dict[str, Any], *names: str) -> dict[str, Any]:
        return {**entry, "inbound_nodes": [[[name, 0, 0, {}] for name in names]]}

    config = functional(
        given("x", [None, 3]),
        behind(layer("Dense", "dense", units=3, activation="gelu", use_bias=False), "x"),
        behind(layer("Add", "add"), "x", "dense"),
        behind(layer("LayerNormalization", "layer_normalization", axis=[1], epsilon=1e-3), "add"),
        inputs=[["x", 0, 0]],
        outputs=[["layer_normalization", 0, 0]],
    )
    weights = {
        "dense": [("k", _reals(rng, 3, 3))],
        "layer_normalization": [("g", _reals(rng, 3)), ("b", _reals(rng, 3))],
    }
    return config, weights


def _reals(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)
