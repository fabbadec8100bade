"""If and Loop: their bodies read outer tensors by name, which become operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.control import as_predicate, branch, within
from tqconv.compose.rearrange import stacked
from tqconv.compose.rounds import Round, repeated
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.model import Body, body_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.sequences import Absent, Several, only_tensors
from tqconv.importers.onnx.walk import run
from tqconv.importers.translate import Failed, ReportedError
from tqconv.ir.graph import Graph, Tensor

INT32 = np.dtype(np.int32)


def filled(
    b: ONNXBuilder, graph: Graph, body: Body, names: Sequence[str], values: Sequence[Any]
) -> list[Any]:
    """Translate a body into a graph; the failure of a node is reported once, by its own name."""
    feeds = dict(zip(names, values, strict=True))
    made = run(b.shared, graph, body, feeds, [o.name for o in body.outputs])
    for value in made:
        if isinstance(value, Failed):
            raise ReportedError(value.node)
    return made


def _no_lists(*arguments: object) -> Tensor:
    raise UnsupportedError("a list of unknown shape")


class Outer:
    """What bodies read of the graph around them; constants come along."""

    def __init__(self, b: ONNXBuilder, names: Sequence[str]) -> None:
        self.names = names
        self.values = [b.captured(name) for name in names]
        pieces = [v.items if isinstance(v, Several) else [v] for v in self.values]
        self.tensors: list[Tensor] = only_tensors((t for p in pieces for t in p), "a body")

    def inside(self, tensors: Sequence[Tensor]) -> list[Any]:
        """Return the values with what stands for their tensors inside of a body."""
        left = iter(tensors)
        return [
            Several(tuple(next(left) for _ in v.items)) if isinstance(v, Several) else next(left)
            for v in self.values
        ]


@handles("If")
def if_(b: ONNXBuilder, condition: Tensor, *, then_branch: Any, else_branch: Any) -> list[Any]:
    """Run one of two graphs; a condition that is known chooses it now."""
    bodies = [body_of(graph, b.node.files) for graph in (then_branch, else_branch)]
    test = as_predicate(b, condition)
    if test.data is not None:
        chosen = bodies[0 if test.data.item() else 1]
        names = chosen.captured()
        return filled(b, b.graph, chosen, names, [b.captured(name) for name in names])
    outer = Outer(b, list(dict.fromkeys(n for body in bodies for n in body.captured())))
    then, other = (
        lambda graph, inside, body=body: only_tensors(
            filled(b, graph, body, outer.names, outer.inside(inside)),
            "the results of a branch",
        )
        for body in bodies
    )
    return branch(b, test, outer.tensors, then, other, _no_lists)


@handles("Loop")
def loop_(
    b: ONNXBuilder,
    trips: Tensor | None = None,
    condition: Tensor | None = None,
    *carried: Any,
    body: Any,
) -> list[Any]:
    """Repeat a graph; what it yields each round is stacked behind the carried values."""
    inner = body_of(body, b.node.files)
    inputs = [i.name for i in inner.inputs]
    count = len(carried)
    check_counts("Loop", inner, 2 + count, 1 + count)
    first = b.const(True) if condition is None else as_predicate(b, condition)
    if any(isinstance(value, Several | Absent) for value in carried):
        return _unrolled(b, inner, trips, first, carried)
    outer = Outer(b, inner.captured())

    def turn(
        graph: Graph,
        time: Tensor,
        goes_on: Tensor,
        values: Sequence[Tensor],
        fixed: Sequence[Tensor],
    ) -> Round:
        here = within(b, graph)
        own = [here.cast(time, np.int64), goes_on, *values, *outer.inside(fixed)]
        made = only_tensors(filled(b, graph, inner, [*inputs, *outer.names], own), "a loop")
        return Round(as_predicate(here, made[0]), made[1 : 1 + count], made[1 + count :])

    yields = len(inner.outputs) - 1 - count
    done = repeated(b, turn, first, _limit(b, trips), carried, outer.tensors, yields)
    return [*done.carried, *done.stacks]


MOST_ROUNDS = 256
"""A loop that carries sequences is written out round by round; more of them make no model."""


def _unrolled(
    b: ONNXBuilder, inner: Body, trips: Tensor | None, first: Tensor, carried: Sequence[Any]
) -> list[Any]:
    """Write a loop out, whose sequences grow from round to round."""
    names = inner.captured()
    outer = [b.captured(name) for name in names]
    rounds = ENDLESS if trips is None else int(b.scalar(trips, "M"))
    values, rows, goes_on = list(carried), [], first
    for time in range(rounds):
        if not b.scalar(goes_on, "the condition of a loop that carries a sequence"):
            break
        if time >= MOST_ROUNDS:
            raise UnsupportedError(f"a loop of {MOST_ROUNDS} rounds and more carries a sequence")
        own = [b.const(time, np.int64, "round"), goes_on, *values, *outer]
        made = filled(b, b.graph, inner, [*(i.name for i in inner.inputs), *names], own)
        goes_on, values = made[0], made[1 : 1 + len(values)]
        rows.append(only_tensors(made[1 + len(values) :], "the stacked results of a loop"))
    if not rows and len(inner.outputs) > 1 + len(values):
        raise UnsupportedError("the stacked results of no rounds")
    return [*values, *(stacked(b, parts) for parts in zip(*rows, strict=True))]


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
