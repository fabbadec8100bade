"""Small Keras files, written without Keras, and what LiteRT computes from their conversion."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from conftest import run_litert
from numpy.typing import NDArray

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.ir.graph import Model

Array = NDArray[Any]


def layer(op: str, name: str, /, **config: Any) -> dict[str, Any]:
    """Return the entry of a layer."""
    return {"class_name": op, "name": name, "config": {"name": name, "trainable": True, **config}}


def given(name: str, shape: Sequence[int | None], dtype: str = "float32") -> dict[str, Any]:
    """Return the entry of an input, which Keras 2 and 3 read alike."""
    config = {"name": name, "batch_input_shape": list(shape), "dtype": dtype}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


def sequential(*layers: Mapping[str, Any], name: str = "model") -> dict[str, Any]:
    """Return a model that is a chain of layers."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def functional(
    *layers: Mapping[str, Any],
    inputs: Any,
    outputs: Any,
    name: str = "model",
) -> dict[str, Any]:
    """Return a model that is a graph of layers."""
    config = {
        "name": name,
        "layers": list(layers),
        "input_layers": inputs,
        "output_layers": outputs,
    }
    return {"class_name": "Functional", "name": name, "config": config}


def write_h5(
    path: Path,
    config: Any,
    weights: Mapping[str, Sequence[tuple[str, Array]]],
    version: str = "2.21.0",
) -> Path:
    """Write an HDF5 file; `weights`: for each layer their names and values, in order."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [key.encode() for key, _ in arrays]
            for key, array in arrays:
                inner.create_dataset(key, data=array)
    return path


def write_keras(
    path: Path, config: Any, weights: Mapping[str, Array], version: str = "3.15.1"
) -> Path:
    """Write a .keras archive; `weights`: by their paths in the weights file."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for key, array in weights.items():
            file.create_dataset(key, data=array)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", content.getvalue())
    return path


def computed(path: Path, *inputs: Array, options: LoadOptions | None = None) -> list[Array]:
    """Return the outputs of the optimized conversion."""
    model: Model = api.optimize(api.load(path, options))
    return [np.asarray(y) for y in run_litert(model, inputs)]


def of_layer(
    folder: Path,
    op: str,
    x: Array,
    *arrays: Array,
    major: int = 3,
    **config: Any,
) -> Array:
    """Return what one layer with these weights computes."""
    entry = layer(op, "tested", **config)
    model = sequential(given("x", [None, *x.shape[1:]], x.dtype.name), entry)
    named = [(f"tested/{number}:0", array) for number, array in enumerate(arrays)]
    version = {2: "2.21.0", 3: "3.15.1"}[major]
    path = write_h5(folder / "model.h5", model, {"tested": named}, version)
    return computed(path, x)[0]


def called(name: str, first: Any, /, **named: Any) -> dict[str, Any]:
    """Return the entry of a function of TensorFlow as Keras 2 writes it; tensors are names.

    first: what the function is called with first, a name, a number, or a list of them.
    """

    def written(value: Any) -> Any:
        if isinstance(value, list):
            return [written(item) for item in value]
        if isinstance(value, str):
            return [value, 0, 0, named]
        return ["_CONSTANT_VALUE", -1, value, named]

    kind = "SlicingOpLambda" if name.endswith("getitem") else "TFOpLambda"
    return {**layer(kind, name, function=name), "inbound_nodes": [written(first)]}


def of_function(
    folder: Path, name: str, xs: Sequence[Array], first: Any = "x0", /, **named: Any
) -> list[Array]:
    """Return what a function of TensorFlow makes of inputs `x0`, `x1`, …."""
    borders = [given(f"x{i}", [None, *x.shape[1:]], x.dtype.name) for i, x in enumerate(xs)]
    model = functional(
        *borders,
        called(name, first, **named),
        inputs=[[f"x{i}", 0, 0] for i in range(len(xs))],
        outputs=[[name, 0, 0]],
    )
    return computed(write_h5(folder / "model.h5", model, {}), *xs)


def ref3(name: str, node: int = 0, tensor: int = 0, **said: Any) -> dict[str, Any]:
    """Return a tensor as Keras 3 writes it among the arguments of a call; said: shape and dtype."""
    config = {**said, "keras_history": [name, node, tensor]}
    return {"class_name": "__keras_tensor__", "config": config}


def call3(entry: Mapping[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return an entry of Keras 3 with one more call."""
    calls = [*entry.get("inbound_nodes", ()), {"args": list(args), "kwargs": kwargs}]
    return {**entry, "inbound_nodes": calls}


def operation3(module: str, op: str, name: str, /, **config: Any) -> dict[str, Any]:
    """Return the entry of an operation of Keras 3: `numpy`, `OnesLike`, its name."""
    entry = {"module": f"keras.src.ops.{module}", "class_name": op, "registered_name": op}
    return {**entry, "name": name, "config": {"name": name, **config}}
