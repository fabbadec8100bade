"""If and Loop: their bodies read outer tensors by name, which become operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.control import as_predicate, branch, within
from tqconv.compose.rounds import Round, repeated
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.model import Body, body_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.walk import run
from tqconv.importers.translate import Failed, ReportedError
from tqconv.ir.graph import Graph, Tensor

INT32 = np.dtype(np.int32)


def filled(
    b: ONNXBuilder, graph: Graph, body: Body, names: Sequence[str], tensors: Sequence[Tensor]
) -> list[Tensor]:
    """Translate a body into a graph; the failure of a node is reported once, by its own name."""
    feeds = dict(zip(names, tensors, strict=True))
    made = run(b.shared, graph, body, feeds, [o.name for o in body.outputs])
    for value in made:
        if isinstance(value, Failed):
            raise ReportedError(value.node)
    return [value for value in made if isinstance(value, Tensor)]


def _no_lists(*arguments: object) -> Tensor:
    raise UnsupportedError("a list of unknown shape")


def outer_tensors(b: ONNXBuilder, names: Sequence[str]) -> list[Tensor]:
    """Return the outer tensors that bodies read; constants come along."""
    return [b.captured(name) for name in names]


@handles("If")
def if_(
    b: ONNXBuilder, condition: Tensor, *, then_branch: Any, else_branch: Any
) -> list[Tensor | None]:
    """Run one of two graphs."""
    bodies = [body_of(graph, b.node.files) for graph in (then_branch, else_branch)]
    names = list(dict.fromkeys(n for body in bodies for n in body.captured()))
    then, other = (
        lambda graph, inside, body=body: filled(b, graph, body, names, inside) for body in bodies
    )
    return branch(b, condition, outer_tensors(b, names), then, other, _no_lists)


@handles("Loop")
def loop_(
    b: ONNXBuilder,
    trips: Tensor | None = None,
    condition: Tensor | None = None,
    *carried: Tensor,
    body: Any,
) -> list[Tensor]:
    """Repeat a graph; what it yields each round is stacked behind the carried values."""
    inner = body_of(body, b.node.files)
    names = inner.captured()
    inputs = [i.name for i in inner.inputs]
    count = len(carried)
    check_counts("Loop", inner, 2 + count, 1 + count)
    first = b.const(True) if condition is None else as_predicate(b, condition)

    def turn(
        graph: Graph,
        time: Tensor,
        goes_on: Tensor,
        values: Sequence[Tensor],
        outer: Sequence[Tensor],
    ) -> Round:
        own = [within(b, graph).cast(time, np.int64), goes_on, *values]
        made = filled(b, graph, inner, [*inputs, *names], [*own, *outer])
        return Round(
            as_predicate(within(b, graph), made[0]), made[1 : 1 + count], made[1 + count :]
        )

    yields = len(inner.outputs) - 1 - count
    done = repeated(b, turn, first, _limit(b, trips), carried, outer_tensors(b, names), yields)
    return [*done.carried, *done.stacks]


def _limit(b: ONNXBuilder, trips: Tensor | None) -> Tensor | None:
    """Return a number of rounds as int32, which it may exceed: it is no limit then."""
    if trips is None:
        return None
    if trips.data is not None:
        number = int(b.scalar(trips, "M"))
        return None if number >= ENDLESS else b.const(number, INT32, "rounds")
    least = b("MINIMUM", b.reshape(trips, ()), np.array(ENDLESS, trips.dtype))
    return b.cast(least, INT32)


ENDLESS = 2**31 - 1
"""So many rounds or more are as many as the condition wants."""


def check_counts(op: str, inner: Body, inputs: int, outputs: int) -> None:
    """Raise FormatError where a body has not so many inputs, or fewer outputs."""
    if len(inner.inputs) != inputs or len(inner.outputs) < outputs:
        raise FormatError(
            f"the body of a {op} has {len(inner.inputs)} inputs and {len(inner.outputs)} outputs, "
            f"where {inputs} and at least {outputs} are due"
        )
