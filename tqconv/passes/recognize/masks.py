"""Masks that are added."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by
from tqconv.ops.emit import emit
from tqconv.passes.rewrite import at


@at("ADD")
def choose_infinity(graph: Graph, op: Op) -> bool:
    """Choose -inf where a mask adds it: the kernel of a sum makes it the lowest finite number.

    y = ADD(x, SELECT_V2(m, 0, -inf))   ->   y = SELECT_V2(m, x, -inf)
    """
    if has_activation(op) or op.output.dtype != np.float32:
        return False
    for x, added in (op.inputs, op.inputs[::-1]):
        mask = made_by(added, "SELECT_V2")
        if mask is None or x is None:
            continue
        condition, *chosen = mask.inputs
        if _is(chosen[0], 0.0) and _is(chosen[1], -np.inf):
            operands: tuple[Tensor | None, ...] = (condition, x, chosen[1])
        elif _is(chosen[1], 0.0) and _is(chosen[0], -np.inf):
            operands = (condition, chosen[0], x)
        else:
            continue
        name = f"{op.output.name}/masked"
        source = op.source.joined(mask.source)
        y = emit(graph, "SELECT_V2", *operands, name=name, source=source)
        graph.replace(op.output, y)
        return True
    return False


def _is(tensor: Tensor | None, value: float) -> bool:
    """Whether a tensor is one constant number that widens nothing."""
    if tensor is None or tensor.data is None or tensor.data.size != 1 or tensor.rank > 1:
        return False
    return bool(np.all(tensor.data == value))
