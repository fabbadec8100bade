"""Small networks as scenes."""

from __future__ import annotations

import numpy as np

from tqconv.exporters.drawing.gather import Known, gather
from tqconv.exporters.drawing.scene import Scene
from tqconv.ir.graph import Graph, Model
from tqconv.ir.types import Source
from tqconv.ops.emit import emit


def model_of(*steps: str) -> Model:
    """Return a network of steps "name = OP a b": x is its input, what nobody reads its outputs."""
    graph = Graph("main")
    known = {"x": graph.add_input("x", (1, 4), np.dtype(np.float32))}
    read = set()
    for step in steps:
        name, _, op, *operands = step.split()
        inputs = [known[operand] for operand in operands]
        known[name] = emit(graph, op, *inputs, name=name, source=Source("m", name, op))
        read.update(operands)
    graph.outputs += [tensor for name, tensor in known.items() if name not in read]
    return Model([graph], "m.pb")


def scene_of(*steps: str, known: Known | None = None) -> Scene:
    """Return the scene of a network; see `model_of`."""
    return gather(model_of(*steps), known)


def chain(*names: str, op: str = "RELU") -> list[str]:
    """Return steps in which each value is made from the one before."""
    return [f"{name} = {op} {before}" for before, name in zip(["x", *names], names, strict=False)]


def titles(scene: Scene) -> list[str]:
    """Return the titles of what computes, in order."""
    return [box.title for box in scene.ops()]


def ways(scene: Scene) -> set[tuple[str, str]]:
    """Return the lines that carry values, between the names of boxes that compute."""
    name = {box.id: box.name for box in scene.ops()}
    return {
        (name[line.source], name[line.target])
        for line in scene.lines
        if not line.style and line.source in name and line.target in name
    }
