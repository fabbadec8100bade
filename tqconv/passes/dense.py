"""Dense layers read rows, and keep the dimensions around them."""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, sole_reader
from tqconv.ir.types import Shape
from tqconv.ops.emit import emit
from tqconv.ops.facts import RESHAPES
from tqconv.passes.reshape import is_elementwise, reshaped
from tqconv.passes.rewrite import at


@at("FULLY_CONNECTED")
def drop_reshape_before_dense(graph: Graph, op: Op) -> bool:
    """Leave the rows alone: FULLY_CONNECTED reads them from an operand of any rank.

    y = RESHAPE(x: [1,1,1,64], [1,64]); z = FULLY_CONNECTED(y, w)   ->   z = FULLY_CONNECTED(x, w)
    """
    y = op.input(0)
    before = made_by(y, *RESHAPES)
    if before is None or op.options.get("keep_num_dims") or y.rank != 2:
        return False
    x = before.input(0)
    if x.rank > 4 or x.shape[-1:] != y.shape[-1:]:
        return False
    graph.set_input(op, 0, x)
    op.source = op.source.joined(before.source)
    return True


@at(*RESHAPES)
def keep_dense_dims(graph: Graph, op: Op) -> bool:
    """Let FULLY_CONNECTED keep the dimensions that a RESHAPE puts back further on.

    y = FULLY_CONNECTED(x: [2,5,8], w: [3,8]): [10,3]; z = RESHAPE(GELU(y), [2,5,3])
    ->   z = GELU(FULLY_CONNECTED(x, w) {keep_num_dims=true})
    """
    chain = _flat_chain(graph, op)
    if not chain:
        return False
    y = _widened(graph, chain[0].input(0), op.output.shape[:-1])
    for step in chain:
        dense = step.type == "FULLY_CONNECTED"
        options = {**step.options, "keep_num_dims": True} if dense else step.options
        inputs = [y, *step.inputs[1:]] if dense else [_or(t, y) for t in step.inputs]
        name = f"{step.output.name}/kept"
        y = emit(graph, step.type, *inputs, name=name, source=step.source, **options)
        y.range = step.output.range
    graph.replace(op.output, y)
    return True


def _widened(graph: Graph, rows: Tensor, lead: Shape) -> Tensor:
    """Return a tensor with these leading dimensions; rows are still to be reshaped."""
    before = made_by(rows, *RESHAPES)
    if rows.shape[:-1] == lead or before is None:
        return rows
    shape, name = (*lead, rows.shape[-1]), f"{rows.name}/kept"
    return reshaped(graph, before.input(0), shape, name, before.source)


def _or(operand: Tensor | None, y: Tensor) -> Tensor | None:
    return operand if operand is None or operand.is_constant else y


def _flat_chain(graph: Graph, reshape: Op) -> list[Op]:
    """Return the operators on rows, the first of them dense, before a RESHAPE that ends them.

    None where what the first reads has not the RESHAPE's dimensions and is not reshaped itself.
    """
    lead = reshape.output.shape[:-1]
    chain: list[Op] = []
    y, reader = reshape.input(0), reshape
    if lead.count(None) > 1 or y.rank != 2 or y.shape[-1:] != reshape.output.shape[-1:]:
        return []
    while sole_reader(graph, y) is reader and (op := y.producer) is not None:
        chain.insert(0, op)
        if op.type == "FULLY_CONNECTED":
            y = op.input(0)
            if y.rank > 2 and y.shape[:-1] == lead:
                return chain
            if made_by(y, *RESHAPES) is not None and sole_reader(graph, y) is op:
                return chain
        else:
            y, carried = _row_operand(op)
            if not carried:
                return []
        reader = op
    return []


def _row_operand(op: Op) -> tuple[Tensor, bool]:
    """Return the one operand of rows of an element by element operator, and whether it has one."""
    rows = [t for t in op.inputs if t is not None and not t.is_constant]
    if not is_elementwise(op) or len(rows) != 1 or rows[0].shape != op.output.shape:
        return op.output, False
    others = [t for t in op.inputs if t is not None and t.is_constant]
    return rows[0], all(t.rank <= 1 for t in others)
