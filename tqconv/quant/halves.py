"""Half precision at borders that become integers: reals stand behind those, of whatever digits."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.match import made_by

HALF, REAL = np.dtype(np.float16), np.dtype(np.float32)


def widen_borders(graph: Graph, *, inputs: bool, outputs: bool) -> int:
    """Take float32 in and give it out, in place, where only a CAST lies between; return how often.

    x: f16; y = CAST(x)   ->   y: f32
    """
    widened = [t for t in graph.inputs if inputs and t.dtype == HALF and _is_only_widened(t)]
    for tensor in widened:
        tensor.dtype = REAL
        for use in list(tensor.uses):
            graph.replace(use.op.output, tensor, keep_name=False)
    narrowed = [t for t in graph.outputs if outputs and _is_narrowed(graph, t)]
    for tensor in narrowed:
        assert tensor.producer is not None
        graph.replace(tensor, tensor.producer.input(0))
    graph.prune()
    return len(widened) + len(narrowed)


def _is_only_widened(tensor: Tensor) -> bool:
    casts = [use.op for use in tensor.uses]
    return bool(casts) and all(op.type == "CAST" and op.output.dtype == REAL for op in casts)


def _is_narrowed(graph: Graph, tensor: Tensor) -> bool:
    op = made_by(tensor, "CAST")
    if op is None or tensor.dtype != HALF or tensor.uses:
        return False
    wide = op.input(0)
    return wide.dtype == REAL and wide.producer is not None and wide not in graph.outputs
