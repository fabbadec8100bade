"""Products of constants, once the layers are recognized that are known by their products."""

from __future__ import annotations

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op
from tqconv.ops.emit import fold
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import at


@at()
def compute_now(graph: Graph, op: Op) -> bool:
    """Compute what reads constants alone: a table that a layer of weights makes of places.

    b = GATHER(FULLY_CONNECTED(RELU(FULLY_CONNECTED(places, v)), w), i); y = ADD(x, b)
    ->   y = ADD(x, b)      with b a constant
    """
    if not known(op.type) or op.graphs or not op.inputs or not op.outputs:
        return False
    if not all(t is None or t.is_constant for t in op.inputs):
        return False
    if any(t in graph.outputs or t.variable or t.quant is not None for t in op.outputs):
        return False
    row = spec(op.type)
    try:
        arrays = fold(row, op, row.shape(op), graph.budget, late=True)
    except UnsupportedError:
        return False
    for tensor, array in zip(op.outputs, arrays or (), strict=arrays is not None):
        graph.replace(tensor, graph.constant(f"{tensor.name}/value", array))
    return arrays is not None
