"""A copy of a graph that shares nothing but the arrays."""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.records import dataclass


@dataclass(frozen=True)
class Copy:
    """A copied graph, and what each tensor and operator of the original became."""

    graph: Graph
    tensors: dict[Tensor, Tensor]
    ops: dict[Op, Op]


def copy_graph(graph: Graph) -> Copy:
    """Return a copy whose edits do not reach the original; bodies of control flow are shared."""
    tensors = {t: _copy_tensor(t) for t in graph.tensors()}
    result = graph.body(graph.name)
    for tensor in tensors.values():
        result.unique(tensor.name)
    result.inputs[:] = [tensors[t] for t in graph.inputs]
    result.outputs[:] = [tensors[t] for t in graph.outputs]
    ops = {}
    for op in graph.ops:
        inputs = tuple(None if t is None else tensors[t] for t in op.inputs)
        outputs = tuple(tensors[t] for t in op.outputs)
        within = tuple(tensors[t] for t in op.intermediates)
        made = Op(
            op.type, inputs, outputs, dict(op.options), op.source, op.graphs, within, op.version
        )
        ops[op] = result.add(made)
    return Copy(result, tensors, ops)


def _copy_tensor(tensor: Tensor) -> Tensor:
    return Tensor(
        tensor.name,
        tensor.shape,
        tensor.dtype,
        tensor.data,
        tensor.quant,
        tensor.range,
        elements=tensor.elements,
        variable=tensor.variable,
        sparsity=tensor.sparsity,
        filler=tensor.filler,
    )
