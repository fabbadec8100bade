"""A scene as Model Explorer reads it: its graph JSON, and overlays that colour the nodes.

The format is that of `graph_builder.py` and `node_data_builder.py` of ai-edge-model-explorer 0.1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tqconv.exporters.drawing.colors import DECIBELS, HEAT, letters_on
from tqconv.exporters.drawing.gather import scopes_of
from tqconv.exporters.drawing.scene import Box, Line, Scene, Value

SHAPE, NAME = "tensor_shape", "tensor_name"
"""Keys of a value's facts that Model Explorer knows: it writes the one on edges, and finds the
nodes of an overlay by the other."""


def graphs_json(scene: Scene) -> str:
    """Return the collection of a model's graphs."""
    into: dict[str, list[Line]] = {}
    for line in scene.lines:
        into.setdefault(line.target, []).append(line)
    graphs = [
        {"id": name, "nodes": [_node(scene, box, into) for box in _of_graph(scene, prefix)]}
        for prefix, name in scene.graphs.items()
    ]
    return _text({"label": scene.title, "graphs": graphs})


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _of_graph(scene: Scene, prefix: str) -> Iterator[Box]:
    return (box for id, box in scene.boxes.items() if id.startswith(prefix))


def _node(scene: Scene, box: Box, into: Mapping[str, list[Line]]) -> dict[str, Any]:
    facts = [*box.rows, *(("!", mark) for mark in box.marks)]
    facts += [("MACs", str(box.macs))] if box.macs else []
    facts += [("bytes", str(box.bytes))] if box.bytes else []
    facts += [("source", box.source)] if box.source else []
    title = box.title if box.is_op else f"{box.kind} {box.title}"
    return {
        "id": box.id,
        "label": title,
        "namespace": "/".join(scopes_of(box.name)) if box.is_op else "",
        "subgraphIds": [scene.graphs[body.graph] for body in box.bodies],
        "attrs": _pairs(facts),
        "incomingEdges": [
            {
                "sourceNodeId": line.source,
                "sourceNodeOutputId": str(line.value),
                "targetNodeInputId": str(line.port),
            }
            for line in into.get(box.id, ())
        ],
        "outputsMetadata": [
            {"id": str(index), "attrs": _pairs(_facts(value))}
            for index, value in enumerate(box.values)
        ],
    }


def _facts(value: Value) -> Iterator[tuple[str, str]]:
    yield SHAPE, value.type
    yield NAME, value.name
    if value.reals:
        yield "range", value.reals
    if value.error is not None:
        yield "SQNR", f"{value.error:.1f} dB"


def _pairs(facts: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"key": key, "value": text} for key, text in facts]


MOST_DECIBELS = 1000.0
"""Above every ratio: values that are equal are said to be 200 dB apart."""
Amount = Callable[[Box, Value], "float | None"]

AMOUNTS: Mapping[str, Amount] = {
    "error": lambda box, value: value.error,
    "macs": lambda box, value: box.macs if value is box.values[0] else None,
    "bytes": lambda box, value: value.bytes + (box.bytes if value is box.values[0] else 0),
    "range": lambda box, value: value.span,
}
"""What an overlay shows of a value, by the word in its file's name: signal-to-noise ratio in dB,
multiply-adds, bytes of the value and of its operator's weights, width of the range."""
TITLES = {"error": "SQNR in dB", "macs": "MACs", "bytes": "bytes", "range": "width of the range"}


def overlays(scene: Scene) -> dict[str, str]:
    """Return the text of each overlay of which something is known, by its key in `AMOUNTS`."""
    return {key: text for key in AMOUNTS if (text := _overlay(scene, key))}


def _overlay(scene: Scene, key: str) -> str:
    document = {}
    for prefix, name in scene.graphs.items():
        results = {}
        for box in _of_graph(scene, prefix):
            for value in box.values if box.is_op else ():
                amount = AMOUNTS[key](box, value)
                if amount and math.isfinite(amount):
                    results[value.name] = {"value": amount}
        if results:
            document[name] = {"name": TITLES[key], "results": results, **_colors(key)}
    return _text(document) if document else ""


def _colors(key: str) -> dict[str, Any]:
    """Return the colours: steps for decibels, else a gradient from the least to the most."""
    if key == "error":
        ends = (*reversed(DECIBELS), MOST_DECIBELS)
        return {
            "thresholds": [
                {"value": end, "bgColor": color, "textColor": letters_on(color)}
                for end, color in zip(ends, reversed(HEAT), strict=True)
            ]
        }
    last = len(HEAT) - 1
    return {"gradient": [{"stop": i / last, "bgColor": c} for i, c in enumerate(HEAT)]}
