"""Model Explorer's files: against its own package where that is installed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from drawing.scenes import scene_of

from tqconv.exporters.drawing.explorer import graphs_json, overlays
from tqconv.exporters.drawing.gather import Known, gather
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.emit import emit

STEPS = ["a/b = RELU x", "a/c = TANH a/b", "d = ABS a/b", "e = ADD a/c d"]


def test_nodes_have_scopes_edges_and_facts() -> None:
    document = json.loads(graphs_json(scene_of(*STEPS, known=Known(errors={"d": 31.25}))))
    assert document["label"] == "m.pb"
    (graph,) = document["graphs"]
    assert graph["id"] == "main"
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert nodes["g0_op1"]["namespace"] == "a"
    assert nodes["g0_op3"]["incomingEdges"] == [
        {"sourceNodeId": "g0_op1", "sourceNodeOutputId": "0", "targetNodeInputId": "0"},
        {"sourceNodeId": "g0_op2", "sourceNodeOutputId": "0", "targetNodeInputId": "1"},
    ]
    assert nodes["g0_op2"]["outputsMetadata"][0]["attrs"] == [
        {"key": "tensor_shape", "value": "f32[1×4]"},
        {"key": "tensor_name", "value": "d"},
        {"key": "SQNR", "value": "31.2 dB"},
    ]


def branches() -> Model:
    bodies = []
    for op in ("RELU", "ABS"):
        body = Graph("main")
        y = body.add_input("y", (1,), np.dtype(np.float32))
        body.outputs.append(emit(body, op, y, name="z"))
        bodies.append(body)
    main = Graph("main")
    choice = main.add_input("c", (1,), np.dtype(np.bool_))
    x = main.add_input("x", (1,), np.dtype(np.float32))
    r = Tensor(main.unique("r"), (1,), np.dtype(np.float32))
    main.add(Op("IF", (choice, x), (r,), graphs=tuple(bodies)))
    main.outputs.append(r)
    return Model([main], "m.pb")


def test_graphs_that_an_operator_runs_are_graphs_of_their_own() -> None:
    document = json.loads(graphs_json(gather(branches())))
    ids = [graph["id"] for graph in document["graphs"]]
    assert ids == ["main", "main g1", "main g2"]
    node = next(n for n in document["graphs"][0]["nodes"] if n["label"] == "IF")
    assert node["subgraphIds"] == ["main g1", "main g2"]


def test_overlays_hold_what_is_known_of_each_value() -> None:
    scene = scene_of(*STEPS, known=Known(errors={"d": 31.25}))
    texts = overlays(scene)
    assert sorted(texts) == ["bytes", "error"]
    error = json.loads(texts["error"])["main"]
    assert error["results"] == {"d": {"value": 31.25}}
    values = [step["value"] for step in error["thresholds"]]
    assert values == sorted(values)
    assert json.loads(texts["bytes"])["main"]["results"]["e"] == {"value": 16}


def test_a_range_of_integers_has_a_width() -> None:
    scene = scene_of("a = RELU x")
    graph = gather_quantized()
    assert "range" not in overlays(scene)
    document = json.loads(overlays(graph)["range"])
    assert document["main"]["results"]["y"]["value"] == pytest.approx(127.5, rel=1e-6)


def gather_quantized() -> Any:
    graph = Graph("main")
    x = graph.add_input("x", (2,), np.dtype(np.int8))
    y = emit(graph, "RELU", x, name="y")
    x.quant = y.quant = Quant.per_tensor(0.5, 0)
    graph.outputs.append(y)
    return gather(Model([graph]))


def test_the_package_reads_the_files() -> None:
    builder = pytest.importorskip("model_explorer.graph_builder")
    data = pytest.importorskip("model_explorer.node_data_builder")
    for scene in (scene_of(*STEPS, known=Known(errors={"d": 31.25})), gather(branches())):
        document = json.loads(graphs_json(scene))
        collection = builder.GraphCollection(**document)
        for graph in (builder.Graph(**graph) for graph in collection.graphs):
            for node in graph.nodes:
                made = builder.GraphNode(**node)
                edges = [builder.IncomingEdge(**edge) for edge in made.incomingEdges]
                assert [dataclasses.asdict(edge) for edge in edges] == made.incomingEdges
                for item in made.outputsMetadata:
                    for attr in builder.MetadataItem(**item).attrs:
                        builder.KeyValue(**attr)
                for attr in made.attrs:
                    builder.KeyValue(**attr)
        for text in overlays(scene).values():
            graphs = {key: _node_data(data, value) for key, value in json.loads(text).items()}
            again = data.ModelNodeData(graphsData=graphs).to_json_string()
            for key, value in json.loads(text).items():
                read = json.loads(again)[key]
                assert {name: read[name] for name in value} == value


def _node_data(data: Any, value: dict[str, Any]) -> Any:
    fields = dict(value)
    fields["results"] = {k: data.NodeDataResult(**v) for k, v in value["results"].items()}
    fields["thresholds"] = [data.ThresholdItem(**v) for v in value.get("thresholds", ())]
    fields["gradient"] = [data.GradientItem(**v) for v in value.get("gradient", ())]
    return data.GraphNodeData(**fields)
