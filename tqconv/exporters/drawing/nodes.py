"""The nodes of a source graph, as its file has them, become a scene.

What has no translation is marked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from tqconv.exporters.drawing import words
from tqconv.exporters.drawing.gather import DEEPEST, scopes_of
from tqconv.exporters.drawing.scene import Box, Line, Scene, Value
from tqconv.untrusted import whole

CONSTANTS = ("Const", "Constant")
"""Operators without inputs whose values are in the file, in TensorFlow and in ONNX."""
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
    return _Nodes(title, nodes, untranslated).gathered(*borders)


class _Nodes:
    def __init__(self, title: str, nodes: Sequence[Node], untranslated: Collection[str]) -> None:
        self.scene = Scene(title=title, graphs={"": "main"})
        self.nodes = nodes
        self.untranslated = untranslated
        self.by_name = {node.name: node for node in nodes}
        self.made = {name: (n, port) for n in nodes for port, name in enumerate(n.outputs)}
        self.ids = {node.name: f"n{index}" for index, node in enumerate(nodes)}
        self.outside: dict[str, str] = {}

    def gathered(self, inputs: Sequence[Node], outputs: Sequence[Node]) -> Scene:
        """Add inputs that are no nodes, then nodes, then outputs that are no nodes."""
        scene = self.scene
        for index, node in enumerate(inputs):
            if node.name not in self.by_name:
                self.outside[node.name] = f"in{index}"
                scene.add(_border(f"in{index}", "input", node))
        read = {id(n) for node in self.nodes for n, _ in map(self._source, node.inputs) if n}
        for node in self.nodes:
            # A row of the node that reads it: drawn as boxes, constants hide the graph.
            if not (_is_constant(node) and id(node) in read):
                scene.add(self._box(node))
        for node in self.nodes:
            if self.ids[node.name] in scene.boxes:
                scene.lines += self._lines(node)
        for index, node in enumerate(outputs):
            source, port = self.made.get(node.name, (None, 0))
            if source is not None and node.name not in self.by_name:
                scene.add(_border(f"out{index}", "output", node))
                scene.lines.append(Line(self.ids[source.name], f"out{index}", port))
        scene.total = sum(1 for _ in scene.ops())
        scene.facts = [("nodes", str(len(self.nodes))), ("as", "the file states them")]
        return scene

    def _source(self, text: str) -> tuple[Node | None, int]:
        """Return who makes `node`, `node:1`, `^node` or a value with a name, and its place."""
        if text in self.made:
            return self.made[text]
        name, _, port = text.removeprefix("^").partition(":")
        return self.by_name.get(name), whole(port) or 0

    def _box(self, node: Node) -> Box:
        id = self.ids[node.name]
        path = scopes_of(node.name)[:DEEPEST]
        typed = _typed(node)
        values = [Value(node.name, typed)] if typed else []
        if not node.inputs:
            kind = "constant" if _is_constant(node) else "input"
            return Box(id, kind, node.name, node.name, path, [("op", node.op)], values, key=id)
        lost = node.op in self.untranslated
        rows = list(self._constants(node))
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

    def _constants(self, node: Node) -> Iterator[tuple[str, str]]:
        for text in node.inputs:
            source, _ = self._source(text)
            if source is not None and _is_constant(source) and not text.startswith("^"):
                yield words.short(source.name), _typed(source)

    def _lines(self, node: Node) -> Iterator[Line]:
        for port, text in enumerate(node.inputs):
            source, value = self._source(text)
            start = self.outside.get(text) if source is None else self.ids[source.name]
            if start in self.scene.boxes:
                style = "control" if text.startswith("^") else ""
                yield Line(start, self.ids[node.name], value, port, style)


def _is_constant(node: Node) -> bool:
    return node.op in CONSTANTS and not node.inputs


def _border(id: str, kind: str, node: Node) -> Box:
    return Box(id, kind, node.name, node.name, values=[Value(node.name, _typed(node))], key=id)


def _typed(node: Node) -> str:
    """Return type and shape as far as they are known."""
    if node.shape is None:
        return node.type or ""
    sizes = "×".join("?" if size in (None, -1) else str(size) for size in node.shape)
    return f"{node.type or '?'}[{sizes}]"
