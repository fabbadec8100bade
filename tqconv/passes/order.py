"""The order of operators, where LiteRT's result depends on it."""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.passes.reshape import RESHAPES
from tqconv.passes.rewrite import exact

IN_PLACE = frozenset({"ADD", "SUB", "MUL", "DIV", "SOFTMAX"})
"""Operators that LiteRT's builtin kernels let write over their operand (measured)."""


@exact
def read_before_reuse(graph: Graph) -> int:
    """Let others read a tensor before a RESHAPE of it is overwritten in place.

    r = RESHAPE(t); s = SOFTMAX(r); y = NEG(t)   ->   y = NEG(t); r = RESHAPE(t); s = SOFTMAX(r)

    LiteRT keeps r where t is, and forgets that t is still to be read when t itself was made in
    place. Where y depends on s there is no such order, and the graph stays as it is.
    """
    before: dict[Op, list[Op]] = {}
    for op in graph.ops:
        if op.type not in RESHAPES or not _is_overwritten(op.output):
            continue
        readers = dict.fromkeys(use.op for use in op.input(0).uses)
        for other in readers:
            if other.type not in RESHAPES and not _leads_to(op, other, before):
                before.setdefault(op, []).append(other)
    old = list(graph.ops)
    graph.sort(before)
    return int(graph.ops != old)


def _is_overwritten(tensor: Tensor) -> bool:
    """Whether an operator may write where the tensor is, directly or behind another RESHAPE."""
    readers = [use.op for use in tensor.uses]
    return any(
        op.type in IN_PLACE or (op.type in RESHAPES and _is_overwritten(op.output))
        for op in readers
    )


def _leads_to(first: Op, last: Op, before: dict[Op, list[Op]]) -> bool:
    """Whether the last operator has to run after the first one."""
    stack, seen = [last], {id(last)}
    while stack:
        op = stack.pop()
        if op is first:
            return True
        for other in (*op.sources, *before.get(op, ())):
            if id(other) not in seen:
                seen.add(id(other))
                stack.append(other)
    return False
