"""The nodes of a source graph, as its file has them, become a picture in Graphviz's language.

For graphs that have no translation: what has none is red.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from tqconv.exporters.dot import (
    CONSTANT_STYLE,
    INPUT_STYLE,
    OTHER,
    escaped,
    quoted,
    short,
)

UNTRANSLATED = "#e74c3c"
CONSTANT = "Const"
STYLE = (
    "  rankdir=TB;",
    '  node [fontname="Helvetica", fontsize=10, shape=plain];',
    '  edge [fontname="Helvetica", fontsize=9, color="#555555"];',
)


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
        """The tensors that it reads."""

    @property
    def type(self) -> str | None:
        """Its type, where the file says it."""

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Its shape, where the file says it."""


def nodes_text(origin: str, nodes: Sequence[Node], untranslated: Collection[str]) -> str:
    """Return the picture as text; `untranslated`: operators to mark."""
    by_name = {node.name: node for node in nodes}
    numbers = {node.name: index for index, node in enumerate(nodes)}
    read = {_node(text) for node in nodes for text in node.inputs}
    lines = [f"digraph {quoted(origin)} {{", *STYLE]
    for node in nodes:
        if node.op == CONSTANT and node.name in read:
            continue  # a row of the node that reads it: drawn as nodes, constants hide the graph
        lines.append(f"  {_box(node, numbers[node.name], by_name, untranslated)}")
        lines += [f"  {edge}" for edge in _edges(node, numbers, by_name)]
    return "\n".join([*lines, "}", ""])


def _node(text: str) -> str:
    """Return the node of `node`, `node:1` or `^node`."""
    return text.removeprefix("^").partition(":")[0]


def _box(
    node: Node, number: int, by_name: Mapping[str, Node], untranslated: Collection[str]
) -> str:
    tip = f"tooltip={quoted(node.name)}"
    if not node.inputs:
        style = CONSTANT_STYLE if node.op == CONSTANT else INPUT_STYLE
        label = quoted("\n".join(filter(None, [short(node.name), node.op, _value(node)])))
        return f"n{number} [{style}, label={label}, {tip}];"
    color = UNTRANSLATED if node.op in untranslated else OTHER
    title = f'<font color="white"><b>{escaped(node.op)}</b></font>'
    rows = [f'<tr><td bgcolor="{color}">{title}</td></tr>']
    rows.append(f"<tr><td><i>{escaped(short(node.name))}</i></td></tr>")
    texts = [_value(node), *_constants(node, by_name)]
    rows += [f'<tr><td align="left">{escaped(text)}</td></tr>' for text in texts if text]
    style = f'border="1" cellborder="0" cellspacing="0" cellpadding="3" color="{color}"'
    return f"n{number} [label=<<table {style}>{''.join(rows)}</table>>, {tip}];"


def _constants(node: Node, by_name: Mapping[str, Node]) -> Iterator[str]:
    for text in node.inputs:
        source = by_name.get(_node(text))
        if source is not None and source.op == CONSTANT and not text.startswith("^"):
            yield f"{short(source.name)} {_value(source)}".strip()


def _value(node: Node) -> str:
    """Return type and shape as far as they are known."""
    if node.shape is None:
        return node.type or ""
    sizes = "×".join("?" if size in (None, -1) else str(size) for size in node.shape)
    return f"{node.type or '?'}[{sizes}]"


def _edges(node: Node, numbers: Mapping[str, int], by_name: Mapping[str, Node]) -> Iterator[str]:
    for text in node.inputs:
        source = by_name.get(_node(text))
        if source is None or (source.op == CONSTANT and not text.startswith("^")):
            continue
        style = "style=dashed" if text.startswith("^") else f"tooltip={quoted(text)}"
        if source.op != CONSTANT:
            yield f"n{numbers[source.name]} -> n{numbers[node.name]} [{style}];"
