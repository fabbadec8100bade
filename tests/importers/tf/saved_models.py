"""SavedModel folders as tests write them, and what LiteRT makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bundles
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flow import flow, function
from graphs import Message
from numpy.typing import NDArray

from tqconv import api
from tqconv.exporters.tflite import serialize
from tqconv.importers.tf.bundle import OBJECT_GRAPH
from tqconv.ir.graph import Model
from tqconv.schema import proto

Array = NDArray[Any]
X = np.array([[1, -2], [3, 4]], np.float32)
W = np.array([[1, 2, 3], [4, 5, 6]], np.float32)

TF2 = """
    Variable = VarHandleOp dtype=f32 shape=(2,3) shared_name='Variable' container=''
    Variable_1 = VarHandleOp dtype=f32 shape=(3,) shared_name='Variable' container=''
    x_0 = Placeholder dtype=f32 shape=(2,2)
    StatefulPartitionedCall = StatefulPartitionedCall x_0 Variable_1 Variable f=fn('wrapper')
"""
"""Two variables of one name, captured in the order in which the function needs them."""

WRAPPER = function(
    "wrapper(x, unknown, unknown_0) -> StatefulPartitionedCall:output:0",
    "StatefulPartitionedCall = StatefulPartitionedCall x unknown unknown_0 f=fn('serve')",
)
SERVE = function(
    "serve(x, bias, kernel) -> sum:output:0",
    """
    k = ReadVariableOp kernel dtype=f32
    dense/MatMul = MatMul x k:value:0 T=f32
    b = ReadVariableOp bias dtype=f32
    sum = BiasAdd dense/MatMul:product:0 b:value:0 T=f32
    """,
)


def signature(
    meta: Message, key: str, inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> None:
    for name, tensor in inputs.items():
        meta.signature_def[key].inputs[name].name = tensor
    for name, tensor in outputs.items():
        meta.signature_def[key].outputs[name].name = tensor


def meta_graph(
    text: str, *functions: Message, tags: Sequence[str] = ("serve",), **arrays: Any
) -> Message:
    meta = proto.messages().MetaGraphDef(graph_def=flow(text, *functions, **arrays))
    meta.meta_info_def.tags.extend(tags)
    return meta


def save(folder: Path, *metas: Message, **variables: NDArray[Any]) -> Path:
    message = proto.messages().SavedModel(saved_model_schema_version=1, meta_graphs=metas)
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    if variables:
        bundles.save(folder / "variables" / "variables", variables)
    return folder


def objects(**keys: int) -> NDArray[Any]:
    """Return the object graph of a checkpoint: object `number` is stored under `key`."""
    graph = proto.messages().TrackableObjectGraph()
    for _ in range(max(keys.values()) + 1):
        graph.nodes.add()
    for key, number in keys.items():
        graph.nodes[number].attributes.add(name="VARIABLE_VALUE", checkpoint_key=key)
    return np.array(graph.SerializeToString(), object)


def tf2(folder: Path, body: Message = SERVE, **more: NDArray[Any]) -> Path:
    meta = meta_graph(TF2, WRAPPER, body)
    signature(
        meta,
        "serving_default",
        {"x": "x_0:0"},
        {"y": "StatefulPartitionedCall:0"},
    )
    signature(meta, "__saved_model_init_op", {}, {"__saved_model_init_op": "NoOp"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": np.array([1, 2, 3], np.float32), "w/value": W, **more}
    stored[OBJECT_GRAPH] = objects(**{"b/value": 1, "w/value": 2})
    return save(folder, meta, **stored)


def runs(model: Model, *feeds: Mapping[str, NDArray[Any]], key: str | None = None) -> list[Any]:
    """Return what one interpreter computes from each feed in turn, by output name."""
    content = bytes(serialize(model))
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runner = interpreter.get_signature_runner(key)
    return [{name: v.copy() for name, v in runner(**feed).items()} for feed in feeds]


def keeping(folder: Path, first: Array, body: str, *functions: Message) -> Path:
    """Save `serve(x, kept, kernel)`; what is kept is `first` before the first run."""
    meta = meta_graph(TF2, WRAPPER, function(*body.split("\n", 1)), *functions)
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": first, "w/value": W, OBJECT_GRAPH: objects(**{"b/value": 1, "w/value": 2})}
    return save(folder / "m", meta, **stored)


def made(folder: Path, *feeds: Array) -> list[Array]:
    """Return what a SavedModel of one input `x` and one output `y` makes of feeds, in turn."""
    model = api.optimize(api.load(folder))
    return [found["y"] for found in runs(model, *({"x": x} for x in feeds))]


FIRST = np.array([[1, 2], [3, 4]], np.float32)
