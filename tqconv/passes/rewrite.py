"""What a pass is made of: a rewrite, tried at one operator after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from tqconv.ir.graph import Graph, Op

Pass = Callable[[Graph], int]
Rewrite = Callable[[Graph, Op], bool]
"""Change the graph around one operator, or say that there is nothing to do."""

EXACT: set[Pass] = set()
"""Passes after which every bit is what it was; filled by `exact` while their modules load."""


TYPES: dict[Pass, frozenset[str]] = {}
"""The operators without which a pass has nothing to do; filled by `at`."""


def exact(function: Pass) -> Pass:
    """Declare that a pass keeps every bit, so that it may see a model that holds integers.

    Integers stand for reals there, and the last bit of a sum decides between two of them.
    """
    EXACT.add(function)
    return function


def at(*types: str) -> Callable[[Rewrite], Pass]:
    """Return how a rewrite becomes a pass: it is tried at the operators of `types`, or at all.

    They come in the order of the graph, so that a rewrite sees what it made of those before. Where
    it raises UnsupportedError (operands that `emit` refuses), the graph stays as it was.
    """
    wanted = frozenset(types)

    def made(rewrite: Rewrite) -> Pass:
        @wraps(rewrite)
        def run(graph: Graph) -> int:
            count = 0
            ops = graph.ops
            for op in [op for op in ops if op.type in wanted] if wanted else list(ops):
                if not op.outputs or op.outputs[0].producer is op:
                    count += graph.attempt(rewrite, op)
            return count

        if wanted:
            TYPES[run] = wanted
        return run

    return made
