"""Values that are asked whether they are finite: integers are, so reals have to answer.

What makes such a value of finite ones (a quotient, a logarithm, a root), the question, and the
choice that puts a number in its place stay float. A value of which all is finite, as a convolution
makes it, needs no reals for that.
"""

from __future__ import annotations

from collections.abc import Set

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.facts import COMPARES
from tqconv.ops.finite import HANDS_ON, asked
from tqconv.ops.table import known, spec
from tqconv.quant.select import is_real, reals

REASON = "is asked, or asks, whether it is finite"


def questions(graph: Graph) -> set[Op]:
    """Return the operators that make, ask and replace values that may be infinite or no numbers."""
    endless = _endless(graph)
    sought: set[Tensor] = set()
    found: set[Op] = set()
    for op in reversed(graph.ops):
        about = asked(op)
        if about is not None and about in endless:
            found.add(op)
            sought.add(about)
        elif sought.intersection(op.outputs):
            found.add(op)
            if not spec(op.type).undefined:
                sought.update(t for _, t in reals(op) if t in endless)
    readers = {use.op for tensor in sought for use in tensor.uses}
    return found | {op for op in readers if _compares_or_chooses(op)}


def _endless(graph: Graph) -> Set[Tensor]:
    """Return the values that may be infinite or no numbers: what users give may be so, too."""
    found = set(filter(is_real, graph.inputs))
    for op in graph.ops:
        if not known(op.type) or op.graphs:
            continue
        handed = op.type in HANDS_ON and any(t in found for t in op.inputs)
        if handed or spec(op.type).undefined:
            found.update(filter(is_real, op.outputs))
    return found


def _compares_or_chooses(op: Op) -> bool:
    chooses = op.type in HANDS_ON and any(t is not None and t.dtype == bool for t in op.inputs)
    return op.type in COMPARES or chooses
