"""What is in a GraphDef, without translating it: for `inspect` where an import is not possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqconv.config import LoadOptions
from tqconv.errors import TqconvError, UnsupportedError
from tqconv.importers.outline import NodeFacts, Outline, by_frequency
from tqconv.importers.tf import graphdef
from tqconv.importers.tf.borders import dangling
from tqconv.importers.tf.leftovers import PLACEHOLDERS, VARIABLES
from tqconv.importers.tf.node import Node, TypeNumber, decode, dtype_of, graph_ref, nodes_of
from tqconv.importers.tf.registry import TF
from tqconv.ir.types import STRING
from tqconv.untrusted import read_file


def outline(path: Path, options: LoadOptions, reason: str = "") -> Outline:
    """Return the outline of a GraphDef file; `reason` says why there is no more than that."""
    message = graphdef.parse(read_file(path), path)
    return outline_of(message, nodes_of(iter(message.node), graph_ref), path.name, reason)


def outline_of(message: Any, nodes: Mapping[str, Node], origin: str, reason: str) -> Outline:
    """Return the outline of a GraphDef message, whose nodes these are."""
    counts = Counter(node.op for node in nodes.values())
    facts = {node.name: _facts(node) for node in nodes.values()}
    return Outline(
        origin=origin,
        nodes=tuple(facts.values()),
        op_counts=by_frequency(counts),
        inputs=tuple(facts[n.name] for n in nodes.values() if n.op in PLACEHOLDERS),
        outputs=tuple(facts[name] for name in _outputs(nodes)),
        variables=tuple(n.name for n in nodes.values() if n.op in VARIABLES),
        untranslated=by_frequency({op: n for op, n in counts.items() if not _is_known(op)}),
        functions=tuple(f.signature.name for f in message.library.function),
        producer=message.versions.producer,
        reason=reason,
    )


WITHOUT_HANDLER = frozenset(
    {"Const", "Merge", "Switch", "Enter", "Exit", "NextIteration", "LoopCond"}
)
"""Operators that the walk treats itself."""


def _is_known(op: str) -> bool:
    return op in WITHOUT_HANDLER or op in PLACEHOLDERS or TF.find(op) is not None


def _outputs(nodes: Mapping[str, Node]) -> Sequence[str]:
    try:
        return [ref.node for ref in dangling(nodes)]
    except TqconvError:
        return []


TYPE_ATTRIBUTES = ("dtype", "DstT", "output_type", "out_type", "T")


def _facts(node: Node) -> NodeFacts:
    inputs = (*map(str, node.inputs), *(f"^{name}" for name in node.controls))
    return NodeFacts(node.name, node.op, inputs, _type(node), _shape(node))


def _type(node: Node) -> str | None:
    for name in TYPE_ATTRIBUTES:
        value = decode(node.attr[name]) if name in node.attr else None
        if isinstance(value, TypeNumber):
            try:
                return "string" if dtype_of(value) == STRING else dtype_of(value).name
            except UnsupportedError:
                return f"type {int(value)}"
    return None


def _shape(node: Node) -> tuple[int | None, ...] | None:
    if node.op == "Const" and "value" in node.attr:
        return node.constant_shape()
    if "shape" in node.attr and node.op in PLACEHOLDERS:
        shape: tuple[int | None, ...] | None = node.get("shape")
        return shape
    shapes = node.get("_output_shapes")
    return shapes[0] if shapes else None
