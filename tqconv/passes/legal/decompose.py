"""Compose what a kernel does not take of what it takes."""

from __future__ import annotations

from tqconv.compose.builder import Builder
from tqconv.compose.products import product_over_one_batch
from tqconv.ir.graph import Graph, Op
from tqconv.passes.rewrite import at
from tqconv.targets.target import LITERT


@at("BATCH_MATMUL")
def join_batch_axes(graph: Graph, op: Op) -> bool:
    """Multiply over one batch axis where there are more than the kernel takes.

    y = BATCH_MATMUL(x: [2,1,2,3,4,5], w)   ->   y = RESHAPE(BATCH_MATMUL(x: [12,4,5], w: …), …)
    """
    if LITERT.refused_rank(op) is None:
        return False
    adjoint = {key: bool(op.options.get(key)) for key in ("adj_x", "adj_y")}
    y = product_over_one_batch(_builder(graph, op), op.input(0), op.input(1), **adjoint)
    graph.replace(op.output, y)
    return True


def _builder(graph: Graph, op: Op) -> Builder:
    return Builder(graph, op.source, op.output.name)
