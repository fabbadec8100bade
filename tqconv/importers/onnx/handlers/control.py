"""If and Loop: their bodies read outer tensors by name, which become operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.control import as_predicate, branch, within
from tqconv.compose.rearrange import stacked
from tqconv.compose.rounds import Round, repeated
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.model import Body, ValueInfo, body_of, reads
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.sequences import Absent, Grown, Several, only_tensors
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
    count = len(carried)
    check_counts("Loop", inner, 2 + count, 1 + count)
    first = b.const(True) if condition is None else as_predicate(b, condition)
    if not any(isinstance(value, Several | Grown | Absent) for value in carried):
        return _repeated(b, inner, trips, first, carried)
    few = trips is None or (trips.data is not None and bool((trips.data <= MOST_ROUNDS).all()))
    if few and first.data is not None:
        return _unrolled(b, inner, trips, first, carried)
    return _grown(b, inner, trips, first, carried)


def _repeated(
    b: ONNXBuilder, inner: Body, trips: Tensor | None, first: Tensor, carried: Sequence[Tensor]
) -> list[Tensor]:
    """Return the carried values behind the last round, then what all rounds yield, stacked."""
    inputs = [i.name for i in inner.inputs]
    count = len(carried)
    outer = Outer(b, inner.captured())

    def turn(
        graph: Graph,
        time: Tensor,
        goes_on: Tensor,
        values: Sequence[Tensor],
        fixed: Sequence[Tensor],
    ) -> Round:
        here = within(b, graph)
        heads = _declared(here, inner, here.cast(time, np.int64), goes_on)
        own = [*heads, *values, *outer.inside(fixed)]
        made = only_tensors(filled(b, graph, inner, [*inputs, *outer.names], own), "a loop")
        return Round(as_predicate(here, made[0]), made[1 : 1 + count], made[1 + count :])

    yields = len(inner.outputs) - 1 - count
    done = repeated(b, turn, first, _limit(b, trips), carried, outer.tensors, yields)
    return [*done.carried, *done.stacks]


def _declared(b: Builder, inner: Body, *heads: Tensor) -> list[Tensor]:
    """Return the number of a round, and whether it goes on, in the ranks that a body declares.

    PyTorch writes bodies that take them as vectors of one element.
    """
    ranks = [len(info.shape or ()) for info in inner.inputs]
    return [b.reshape(t, (1,) * rank) for t, rank in zip(heads, ranks, strict=False)]


def _grown(
    b: ONNXBuilder, inner: Body, trips: Tensor | None, first: Tensor, carried: Sequence[Any]
) -> list[Any]:
    """Repeat a graph that adds a tensor to an empty sequence each round: one more thing it yields.

    s = Loop(n, c, SequenceEmpty()) <body = (i, c, q) => (c, SequenceInsert(q, x))>
    """
    count = len(carried)
    pairs = zip(inner.inputs[2:], inner.outputs[1 : 1 + count], carried, strict=True)
    added = [_added(inner, i, o, v) for i, o, v in pairs]
    plain = [place for place, name in enumerate(added) if name is None]
    adding = {inner.outputs[1 + i].name for i, name in enumerate(added) if name is not None}
    simpler = replace(
        inner,
        nodes=tuple(node for node in inner.nodes if adding.isdisjoint(node.outputs)),
        inputs=(*inner.inputs[:2], *(inner.inputs[2 + i] for i in plain)),
        outputs=(
            inner.outputs[0],
            *(inner.outputs[1 + i] for i in plain),
            *inner.outputs[1 + count :],
            *(ValueInfo(name, 0, None) for name in added if name is not None),
        ),
    )
    made = _repeated(b, simpler, trips, first, only_tensors((carried[i] for i in plain), "a loop"))
    values, stacks = iter(made[: len(plain)]), made[len(plain) :]
    yielded = len(inner.outputs) - 1 - count
    grown = iter(stacks[yielded:])
    ends = [next(values) if name is None else Grown(next(grown)) for name in added]
    return [*ends, *stacks[:yielded]]


def _added(inner: Body, read: ValueInfo, made: ValueInfo, value: Any) -> str | None:
    """Return the tensor that a round adds to a sequence; None for a value of another kind."""
    if not isinstance(value, Several):
        return None
    node = inner.makers.get(made.name)
    readers = [n for n in inner.nodes if read.name in reads(n) or made.name in reads(n)]
    if value.items or node is None or node.op != "SequenceInsert" or readers != [node]:
        raise UnsupportedError(
            "a loop of unknown length that does more with a sequence than add to it at its end"
        )
    if len(node.inputs) != 2 or node.inputs[0] != read.name:
        raise UnsupportedError("a loop of unknown length that adds to a sequence inside of it")
    return node.inputs[1]


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
        heads = _declared(b, inner, b.const(time, np.int64, "round"), goes_on)
        own = [*heads, *values, *outer]
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
