"""The nodes of a source graph, as its file has them, become a scene.

What has no translation is marked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from tqconv.exporters.drawing import words
from tqconv.exporters.drawing.gather import DEEPEST, scopes_of
from tqconv.exporters.drawing.scene import Box, Line, Scene, Value

CONSTANT = "Const"
UNTRANSLATED = "no translation"
"""The mark of a node whose operator has no handler, and the family that gives it its colour."""


class Node(Protocol):
    """What is known about a node; an input that starts with ^ is a control input."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def op(self) -> str:
        """Its operator."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values that it reads: `node`, `node:1`, or a name among somebody's outputs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its values, where the format gives them names of their own."""

    @property
    def type(self) -> str | None:
        """Its type, where the file says it."""

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Its shape, where the file says it."""


def gather_nodes(
    title: str,
    nodes: Sequence[Node],
    borders: tuple[Sequence[Node], Sequence[Node]],
    untranslated: Collection[str],
) -> Scene:
    """Return the scene of nodes; `borders`: inputs and outputs, `untranslated`: operators."""
    scene = Scene(title=title, graphs={"": "main"})
    by_name = {node.name: node for node in nodes}
    made = {name: (node, port) for node in nodes for port, name in enumerate(node.outputs)}
    read = {_origin(text) for node in nodes for text in node.inputs}
    ids = {node.name: f"n{index}" for index, node in enumerate(nodes)}
    for index, node in enumerate(borders[0]):
        if node.name not in by_name:
            ids[node.name] = f"in{index}"
            scene.add(_border(ids[node.name], "input", node))
    for node in nodes:
        if node.op == CONSTANT and node.name in read:
            continue  # a row of the node that reads it: drawn as boxes, constants hide the graph
        scene.add(_box(ids[node.name], node, by_name, untranslated))
    for node in nodes:
        if ids[node.name] in scene.boxes:
            scene.lines += _lines(node, ids, made, scene)
    for index, node in enumerate(borders[1]):
        source, port = made.get(node.name, (None, 0))
        if source is not None and node.name not in by_name:
            scene.add(_border(f"out{index}", "output", node))
            scene.lines.append(Line(ids[source.name], f"out{index}", port))
    scene.total = sum(1 for _ in scene.ops())
    scene.facts = [("nodes", str(len(nodes))), ("as", "the file states them")]
    return scene


def _origin(text: str) -> str:
    """Return the node of `node`, `node:1` or `^node`."""
    return text.removeprefix("^").partition(":")[0]


def _border(id: str, kind: str, node: Node) -> Box:
    return Box(id, kind, node.name, node.name, values=[Value(node.name, _typed(node))], key=id)


def _box(id: str, node: Node, by_name: Mapping[str, Node], untranslated: Collection[str]) -> Box:
    path = scopes_of(node.name)[:DEEPEST]
    typed = _typed(node)
    values = [Value(node.name, typed)] if typed else []
    if not node.inputs:
        kind = "constant" if node.op == CONSTANT else "input"
        return Box(id, kind, node.name, node.name, path, [("op", node.op)], values, key=id)
    lost = node.op in untranslated
    rows = list(_constants(node, by_name))
    return Box(
        id,
        "op",
        node.op,
        node.name,
        path,
        rows,
        values,
        family=UNTRANSLATED if lost else "",
        marks=[UNTRANSLATED] if lost else [],
        key=repr((node.op, typed, len(node.inputs), [text for _, text in rows])),
        options=repr(rows),
    )


def _constants(node: Node, by_name: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    for text in node.inputs:
        source = by_name.get(_origin(text))
        if source is not None and source.op == CONSTANT and not text.startswith("^"):
            yield words.short(source.name), _typed(source)


def _typed(node: Node) -> str:
    """Return type and shape as far as they are known."""
    if node.shape is None:
        return node.type or ""
    sizes = "×".join("?" if size in (None, -1) else str(size) for size in node.shape)
    return f"{node.type or '?'}[{sizes}]"


def _lines(
    node: Node, ids: Mapping[str, str], made: Mapping[str, tuple[Node, int]], scene: Scene
) -> Iterator[Line]:
    for port, text in enumerate(node.inputs):
        source, value = made.get(text, (None, 0))
        name = _origin(text) if source is None else source.name
        start = ids.get(name) or ids.get(text)
        if start in scene.boxes:
            style = "control" if text.startswith("^") else ""
            yield Line(start, ids[node.name], value, port, style)
