"""What is in an ONNX file, without translating it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx import handlers  # noqa: F401  (fills the registry)
from tqconv.importers.onnx.model import Node, ValueInfo, read
from tqconv.importers.onnx.registry import ONNX
from tqconv.importers.onnx.tensors import dtype_of
from tqconv.importers.outline import NodeFacts, Outline, by_frequency
from tqconv.ir.types import STRING


def outline(path: Path, options: LoadOptions, reason: str = "") -> Outline:
    """Return the nodes of an ONNX file; `reason` says why there is no more than that."""
    network = read(path)
    body = network.body
    counts = Counter(node.op for node in body.nodes)
    missing = {op: n for op, n in counts.items() if ONNX.find(op, network.opset) is None}
    return Outline(
        origin=path.name,
        nodes=tuple(map(_node, body.nodes)),
        op_counts=by_frequency(counts),
        inputs=tuple(_border(i, "input") for i in body.inputs),
        outputs=tuple(_border(o, "output") for o in body.outputs),
        variables=(),
        untranslated=by_frequency(missing),
        functions=(),
        producer=network.opset,
        reason=reason,
        version_of="opset",
    )


def _node(node: Node) -> NodeFacts:
    inputs = tuple(filter(None, node.inputs))
    return NodeFacts(node.name, node.op, inputs, None, None, tuple(filter(None, node.outputs)))


def _border(info: ValueInfo, kind: str) -> NodeFacts:
    return NodeFacts(info.name, kind, (), _type(info.dtype), info.shape)


def _type(number: int) -> str | None:
    try:
        dtype = dtype_of(number)
    except UnsupportedError:
        return None
    return "string" if dtype == STRING else dtype.name
