"""The order of operators, where LiteRT's result depends on it."""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.facts import RESHAPES
from tqconv.ops.table import those
from tqconv.passes.rewrite import exact

IN_PLACE = those(lambda row: row.in_place)


@exact
def read_before_reuse(graph: Graph) -> int:
    """Let others read a tensor before a RESHAPE of it is overwritten in place.

    r = RESHAPE(t); s = SOFTMAX(r); y = NEG(t)   ->   y = NEG(t); r = RESHAPE(t); s = SOFTMAX(r)

    LiteRT keeps r where t is, and forgets that t is still to be read when t itself was made in
    place. Where y depends on s there is no such order, and the graph stays as it is.
    """
    graph.sort()
    order = _Order(graph)
    first: dict[int, Op] = {}
    for op in graph.ops:
        order.arrive(op)
        if op.type not in RESHAPES or not _is_overwritten(op.output):
            continue
        t = op.input(0)
        earlier = first.setdefault(id(t), op)
        others = [other for other in _readers(t) if other.type not in RESHAPES]
        if earlier is not op and not order.leads_to(op, earlier):
            order.put(earlier, op)  # and so behind everything that has to come before that one
            others = [other for other in others if order.leads_to(earlier, other)]
        for other in others:
            if not order.leads_to(op, other):
                order.put(other, op)
    old = list(graph.ops)
    graph.sort(order.before)
    return int(graph.ops != old)


def _readers(tensor: Tensor) -> list[Op]:
    return list(dict.fromkeys(use.op for use in tensor.uses))


def _is_overwritten(tensor: Tensor) -> bool:
    """Whether an operator may write where the tensor is, directly or behind another RESHAPE."""
    stack = [tensor]
    while stack:
        for use in stack.pop().uses:
            if use.op.type in IN_PLACE:
                return True
            if use.op.type in RESHAPES:
                stack.append(use.op.output)
    return False


class _Order:
    """What has to run before what: operands, and more that is put on top while walking a graph.

    `reach[p]`: the last place that anything put before one of the first p + 1 operators has. An
    operator from which only earlier places can be reached is not searched, so that the searches
    of a long chain stay short.
    """

    def __init__(self, graph: Graph) -> None:
        self.place = {op: i for i, op in enumerate(graph.ops)}
        self.before: dict[Op, list[Op]] = {}
        self.reach: list[int] = []

    def arrive(self, op: Op) -> None:
        """Walk on to the next operator: nothing is put before those behind it any more."""
        self.reach.append(self.reach[-1] if self.reach else -1)

    def put(self, first: Op, op: Op) -> None:
        """Let an operator run before the one that the walk has arrived at."""
        self.before.setdefault(op, []).append(first)
        self.reach[-1] = max(self.reach[-1], self.place[first])

    def leads_to(self, first: Op, last: Op) -> bool:
        """Whether the last operator has to run after the first one."""
        goal = self.place[first]
        stack, seen = [last], {last}
        while stack:
            op = stack.pop()
            if op is first:
                return True
            place = self.place[op]
            if place < goal and self.reach[place] < goal:
                continue
            for other in (*op.sources, *self.before.get(op, ())):
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        return False
