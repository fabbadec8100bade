"""Where the accuracy of a model shows: the tensors that decide about its outputs."""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.facts import RESHAPES
from tqconv.ops.table import having, known, spec, those
from tqconv.records import dataclass

HIDING = having(lambda row: row.decides)
KEEPING = RESHAPES | those(lambda row: row.converts)
"""Operators behind which the same numbers stand in the same order."""
FEWEST_CLASSES = 3
"""Elements of a row from which one may be the answer: two may be a point."""


@dataclass(frozen=True)
class Decision:
    """The tensor at which the errors of an output are measured.

    `rows`: the axis along which its elements compete, so that what they have in common does not
    matter; `classes`: the axis along which the largest is the answer. None: there is none.
    """

    output: str
    tensor: Tensor
    rows: int | None = None
    classes: int | None = None


def decisions(graph: Graph) -> list[Decision]:
    """Return one for each output: behind SOFTMAX, LOGISTIC, ARG_MAX errors hardly show.

    The same walk leads to the same tensors in a graph and in the integers that it became.
    """
    return [_of(output) for output in graph.outputs]


def _of(output: Tensor) -> Decision:
    found, kind, op = output, None, output.producer
    while op is not None and op.inputs[0] is not None:
        if op.type in HIDING:
            if kind is None or kind[0] == "each":
                kind = (HIDING[op.type], _axis(op))
            found = op.inputs[0]
        elif op.type not in KEEPING:
            break
        op = op.inputs[0].producer
    if kind is not None and kind[0] == "row":
        return Decision(output.name, found, kind[1], kind[1])
    return Decision(output.name, found, None, _classes(found))


def _axis(op: Op) -> int:
    """Return the axis, counted from the end, along which the operator compares."""
    if len(op.inputs) < 2 or op.inputs[1] is None or op.inputs[1].data is None:
        return -1
    axis = int(op.inputs[1].data.reshape(-1)[0])
    return axis if axis < 0 else axis - op.input(0).rank


def _classes(tensor: Tensor) -> int | None:
    """Return the last axis where a linear operator gives each row a few numbers."""
    op = tensor.producer
    while op is not None and op.type in KEEPING and op.inputs[0] is not None:
        op = op.inputs[0].producer
    size = tensor.shape[-1] if tensor.rank == 2 else None
    scores = op is not None and known(op.type) and spec(op.type).linear is not None
    return -1 if scores and size is not None and size >= FEWEST_CLASSES else None
