"""What a graph says about tensors in its midst, where it may be cut: types and shapes.

The operator that makes a tensor tells its type, and where it does not, what reads it. Shapes come
from a translation of the part before the cut. There every operator may stand, also one without a
translation; a tensor whose shape follows from none of that may have one by what reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqconv.config import Dims
from tqconv.errors import TqconvError
from tqconv.importers.tf.definitions import definition, input_type, output_type
from tqconv.importers.tf.flow.functional import functionalize
from tqconv.importers.tf.flow.primitives import behind, reached
from tqconv.importers.tf.foreign import output_shapes
from tqconv.importers.tf.node import Node, Ref, TypeNumber, computed_dtype
from tqconv.importers.tf.registry import TF
from tqconv.importers.tf.shared import Shared
from tqconv.importers.tf.walk import run
from tqconv.importers.translate import Translation
from tqconv.ir.graph import Graph, Tensor

TYPE_ATTRIBUTES = ("Tout", "out_type", "output_type", "dtype", "DstT", "T")
"""Where a node of an operator that is nobody's may say its output's type, the surest first."""
PASSING = ("Identity", "Relu", "Relu6", "Sigmoid", "Tanh", "Elu", "Neg", "Abs", "Cast", "Snapshot")
"""Operators that make what they read, in shape."""
PASSED = 20
"""How many of them are looked through."""


def type_of(nodes: Mapping[str, Node], ref: Ref) -> int | None:
    """Return the DataType of a tensor, or None where nothing in the graph says it."""
    node = nodes[ref.node]
    own = output_type(node, ref.index)
    if own is not None:
        return own
    if definition(node.op) is None and ref.index == 0:
        said = said_type(node)
        if said is not None:
            return said
    types = (input_type(reader, position) for reader, position in _readers(nodes, ref))
    return next((number for number in types if number is not None), None)


def said_type(node: Node) -> int | None:
    """Return the DataType that the attributes of an unknown operator's node name, or None."""
    values = (node.get(name) for name in TYPE_ATTRIBUTES)
    return next((int(v) % 100 for v in values if isinstance(v, TypeNumber)), None)


def shapes_before(
    nodes: Mapping[str, Node],
    functions: Mapping[str, Any],
    refs: Sequence[Ref],
    fed: Mapping[Ref, Dims],
) -> dict[Ref, Dims]:
    """Return the shapes of those tensors of which the part before them tells it.

    fed: placeholders, variables and what else is not looked behind, with their shapes.
    """
    try:
        return _translated(nodes, functions, refs, fed)
    except TqconvError:
        pass  # damage before one of them; the others may be told yet
    found: dict[Ref, Dims] = {}
    for ref in refs if len(refs) > 1 else ():
        found |= shapes_before(nodes, functions, [ref], fed)
    return found


def _translated(
    nodes: Mapping[str, Node],
    functions: Mapping[str, Any],
    refs: Sequence[Ref],
    fed: Mapping[Ref, Dims],
) -> dict[Ref, Dims]:
    graph = Graph("before")
    read = {ref for name in reached(nodes, refs, fed) for ref in nodes[name].inputs}
    feeds: dict[Ref, Tensor] = {}
    for ref, shape in fed.items():
        number = type_of(nodes, ref) if ref in read else None
        if number is not None:
            feeds[ref] = graph.add_input(str(ref), shape, computed_dtype(number))
    flat, bodies = functionalize(nodes, refs, feeds)
    translation = Translation(TF, "", [], allow_custom_ops=True)
    shared = Shared(translation, {**functions, **bodies}, flat)
    values = run(shared, graph, flat, feeds, refs)
    return {
        ref: value.shape
        for ref, value in zip(refs, values, strict=True)
        if isinstance(value, Tensor) and id(value) not in translation.unshaped
    }


def shape_by_readers(nodes: Mapping[str, Node], ref: Ref) -> tuple[Dims, str] | None:
    """Return the shape that what reads a tensor asks for, and who; None where nothing tells it."""
    known = []
    for reader, position in _shape_readers(nodes, ref):
        shape = _asked(nodes, reader, position)
        if shape is not None:
            known.append((sum(d is not None for d in shape), shape, f"{reader.op} '{reader.name}'"))
    return max(known, key=lambda entry: entry[0])[1:] if known else None


def _readers(nodes: Mapping[str, Node], ref: Ref) -> Iterator[tuple[Node, int]]:
    for node in nodes.values():
        for position, read in enumerate(node.inputs):
            if read == ref:
                yield node, position


def _shape_readers(nodes: Mapping[str, Node], ref: Ref) -> Iterator[tuple[Node, int]]:
    """Yield the readers of a tensor, and of what has its shape."""
    todo: list[Ref] = [ref]
    for _ in range(PASSED):
        if not todo:
            return
        for node, position in _readers(nodes, todo.pop()):
            if node.op in PASSING:
                todo.append(Ref(node.name))
            yield node, position


def _asked(nodes: Mapping[str, Node], reader: Node, position: int) -> Dims | None:
    """Return what an operator asks of an operand, given the weights that stand beside it."""
    if reader.op == "MatMul" and len(reader.inputs) == 2:
        other = _constant_shape(nodes, reader.inputs[1 - position])
        return None if other is None or len(other) != 2 else _factor(reader, position, other)
    depth = WINDOWS.get(reader.op)
    if depth is None or position:
        return None
    weights = _constant_shape(nodes, reader.inputs[1]) if len(reader.inputs) > 1 else None
    channels = None if weights is None or len(weights) <= depth else weights[depth]
    first = str(reader.get("data_format", "NHWC")).startswith("NC")
    return (None, channels, None, None) if first else (None, None, None, channels)


def _factor(product: Node, position: int, other: Sequence[int]) -> Dims:
    """Return the shape of one factor: the axis that is summed has the size that the other has."""
    transposed = bool(product.get("transpose_a")), bool(product.get("transpose_b"))
    size = other[position ^ transposed[1 - position]]
    return (None, size) if (1 - position) ^ transposed[position] else (size, None)


WINDOWS: Mapping[str, int] = {
    "Conv2D": 2,
    "DepthwiseConv2dNative": 2,
    "FusedBatchNorm": 0,
    "FusedBatchNormV2": 0,
    "FusedBatchNormV3": 0,
}
"""Operators over images -> where the shape of their second operand says the channels."""


def _constant_shape(nodes: Mapping[str, Node], ref: Ref) -> Sequence[int] | None:
    node = nodes.get(behind(nodes, ref).node)
    return None if node is None or node.op != "Const" else node.constant_shape()


def said_shape(node: Node, index: int) -> Dims | None:
    """Return the shape that a node itself says for an output, or None."""
    for name in ("_output_shapes", "output_shapes"):
        said = node.get(name)
        if isinstance(said, list) and index < len(said):
            return said[index]
    found = output_shapes(node, ())
    return found[index] if index < len(found) else None


def merged(shapes: Iterable[Dims | None]) -> Dims | None:
    """Return what several sources together know of a shape; the first one's rank counts."""
    known = [shape for shape in shapes if shape is not None]
    if not known:
        return None
    same = [shape for shape in known if len(shape) == len(known[0])]
    return tuple(next((d for d in dims if d is not None), None) for dims in zip(*same, strict=True))
