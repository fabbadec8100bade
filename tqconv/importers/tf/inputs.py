"""What a graph says about the tensors that become its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tqconv.config import Dims
from tqconv.importers.borders import Declared
from tqconv.importers.tf.definitions import definition
from tqconv.importers.tf.inner import merged, said_shape, shape_by_readers, shapes_before, type_of
from tqconv.importers.tf.leftovers import PLACEHOLDERS, READERS, VARIABLES
from tqconv.importers.tf.node import Node, Ref, dtype_of
from tqconv.importers.tf.phases import value_advice


def known_shapes(
    nodes: Mapping[str, Node], functions: Mapping[str, Any], refs: Sequence[Ref], producer: int
) -> dict[Ref, Dims]:
    """Return the shapes of those tensors of which the graph tells it.

    functions: its library; producer: the version of TensorFlow's graphs that wrote it.
    """
    own = {ref: _declared_shape(ref, nodes[ref.node], producer) for ref in refs}
    given = (*PLACEHOLDERS, "PlaceholderWithDefault")
    inner = [ref for ref in refs if nodes[ref.node].op not in given or own[ref] is None]
    before = _shapes_before(nodes, functions, inner, producer) if inner else {}
    found = {ref: merged([before.get(ref), own[ref]]) for ref in refs}
    return {ref: shape for ref, shape in found.items() if shape is not None}


def _shapes_before(
    nodes: Mapping[str, Node], functions: Mapping[str, Any], refs: Sequence[Ref], producer: int
) -> dict[Ref, Dims]:
    sources = [Ref(n.name) for n in nodes.values() if n.op in (*PLACEHOLDERS, *VARIABLES)]
    read = {r for n in nodes.values() for r in n.inputs if r.node in nodes}
    sources += sorted(r for r in read if nodes[r.node].op in READERS)
    shapes = {ref: _declared_shape(ref, nodes[ref.node], producer) for ref in sources}
    fed = {ref: shape for ref, shape in shapes.items() if shape is not None}
    return shapes_before(nodes, functions, refs, fed)


def declared(ref: Ref, nodes: Mapping[str, Node], known: Mapping[Ref, Dims]) -> Declared:
    """Return what the graph says about a tensor that becomes an input; known: its shape."""
    node, number, shape = nodes[ref.node], type_of(nodes, ref), known.get(ref)
    return Declared(
        str(ref),
        shape,
        None if number is None else dtype_of(number),
        fixed=node.op in PLACEHOLDERS,
        guessed=definition(node.op) is None,
        asked=shape_by_readers(nodes, ref) if shape is None else None,
        advice=value_advice(ref.node, nodes),
    )


def _declared_shape(ref: Ref, node: Node, producer: int) -> Dims | None:
    """Return the shape that a node declares for an output, or None where it says nothing."""
    if node.op in (*PLACEHOLDERS, "PlaceholderWithDefault", *VARIABLES) and "shape" in node.attr:
        shape: Dims | None = node.get("shape")
        if shape == () and producer < 24 and "_output_shapes" not in node.attr:
            return None  # before producer 24 an empty shape meant an unknown one
        return shape
    return said_shape(node, ref.index)
