"""Where a graph begins and ends: what TensorFlow's nodes say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tqconv.errors import UsageError
from tqconv.importers.borders import unknown_name
from tqconv.importers.tf.flow.primitives import SWITCHES
from tqconv.importers.tf.flow.regions import NO_FUNCTIONS, counters_of, regions_of
from tqconv.importers.tf.leftovers import PLACEHOLDERS, READERS, kind_of
from tqconv.importers.tf.node import Node, Ref, graph_ref

NOT_OUTPUTS = ("Const", *PLACEHOLDERS, *SWITCHES, "PlaceholderWithDefault")
"""Nodes that nobody reads and that are no result either, beside what training leaves behind."""


def resolve(name: str, nodes: Mapping[str, Node]) -> Ref:
    """Return the tensor that a user names: `node`, `node:0`, `node:1` or `^node`.

    Raises UsageError with the nearest names when the graph has no such node.
    """
    ref = graph_ref(name.strip().lstrip("^"))
    if ref.node not in nodes:
        raise unknown_name(
            name,
            nodes,
            node=ref.node,
            inputs=(n.name for n in nodes.values() if n.op in PLACEHOLDERS),
            outputs=(r.node for r in _unread(nodes)),
            computed=(n.name for n in nodes.values() if n.op != "Const"),
        )
    if ref.index and nodes[ref.node].op in PLACEHOLDERS:
        raise UsageError(f"`{name}`: a placeholder has one output", hint=f"name it `{ref.node}`")
    return ref


def dangling(nodes: Mapping[str, Node], library: Mapping[str, Any] = NO_FUNCTIONS) -> list[Ref]:
    """Return the tensors that no node reads and that compute something; UsageError when none.

    library: the functions that nodes name.
    """
    found = _unread(nodes, library)
    if not found:
        raise UsageError(
            "the graph has no output that nobody reads", hint="name one with --output_arrays"
        )
    return found


def _unread(nodes: Mapping[str, Node], library: Mapping[str, Any] = NO_FUNCTIONS) -> list[Ref]:
    """Return what nobody reads; what lies in a loop or a branch is no value for the outside."""
    read = {ref.node for node in nodes.values() for ref in node.inputs}
    controls = {
        control for node in nodes.values() for control in node.controls if node.op != "NoOp"
    }
    inner = {name for name, regions in regions_of(nodes).items() if regions}
    skipped = read | controls | inner | counters_of(nodes, read, library)
    return [
        Ref(n.name)
        for n in nodes.values()
        if n.name not in skipped and n.op not in NOT_OUTPUTS and kind_of(n.op) is None
    ]


def placeholders_before(nodes: Mapping[str, Node], outputs: Sequence[Ref]) -> list[Ref]:
    """Return the placeholders that the outputs depend on, in the order of the file.

    What a training run reads its batches with stands for a placeholder where it says its shapes;
    so do placeholders with a default where there is nothing else.
    """
    needed: set[str] = set()
    fetched: set[Ref] = set()
    stack = list(outputs)
    while stack:
        ref = stack.pop()
        node = nodes.get(ref.node)
        if node is not None and node.op in READERS and node.get("output_shapes"):
            fetched.add(ref)
            needed.add(ref.node)
        elif node is not None and ref.node not in needed:
            needed.add(ref.node)
            stack += node.inputs
    found = [n for n in nodes.values() if n.name in needed]
    heads: dict[str, list[Ref]] = {}
    for ref in sorted(fetched):
        heads.setdefault(ref.node, []).append(ref)
    refs = [
        ref
        for n in found
        for ref in ([Ref(n.name)] if n.op in PLACEHOLDERS else heads.get(n.name, ()))
    ]
    return refs or [Ref(n.name) for n in found if n.op == "PlaceholderWithDefault"]


def exists(nodes: Mapping[str, Node], name: str) -> bool:
    """Whether the graph has the tensor that a user names."""
    return graph_ref(name.strip().lstrip("^")).node in nodes
