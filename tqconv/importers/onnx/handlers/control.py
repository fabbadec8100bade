"""If and Loop: their bodies read outer tensors by name, which become operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import lists
from tqconv.compose.control import branch, loop, within
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.model import Body, body_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.walk import run
from tqconv.importers.translate import Failed, ReportedError
from tqconv.ir.graph import Graph, Tensor

INT32 = np.dtype(np.int32)


def _filled(
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


def _outer(b: ONNXBuilder, names: Sequence[str]) -> list[Tensor]:
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
        lambda graph, inside, body=body: _filled(b, graph, body, names, inside) for body in bodies
    )
    return branch(b, condition, _outer(b, names), then, other, _no_lists)


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
    count = len(carried)
    collected = len(inner.outputs) - 1 - count
    if collected and trips is None:
        raise UnsupportedError("a Loop that stacks results without a limit of rounds")
    limit = None if trips is None else b.cast(b.reshape(trips, ()), INT32)
    inputs = [i.name for i in inner.inputs]

    def step(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        here = within(b, graph)
        time, goes_on, values = inside[0], inside[1], inside[2 : 2 + count]
        stacks, outer = inside[2 + count : 2 + count + collected], inside[2 + count + collected :]
        own = [here.cast(time, np.int64), goes_on, *values]
        fixed = outer[1:] if limit is not None else outer
        made = _filled(b, graph, inner, [*inputs, *names], [*own, *fixed])
        rows = [
            lists.write(here, old, time, new)
            for old, new in zip(stacks, made[1 + count :], strict=True)
        ]
        following = here("ADD", time, np.array(1, INT32))
        return [following, made[0], *made[1 : 1 + count], *rows, *outer]

    def goes_on(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        here = within(b, graph)
        wanted = inside[1]
        if limit is None:
            return [wanted]
        last = inside[2 + count + collected]
        return [here("LOGICAL_AND", wanted, here("LESS", inside[0], last))]

    first = b.const(True) if condition is None else b.reshape(condition, ())
    fixed = [*([] if limit is None else [limit]), *_outer(b, names)]
    start = [b.const(0, INT32), first, *carried]
    stacks = _empty_stacks(b, inner, limit, start, names, collected) if collected else []
    initial = [*start, *stacks, *fixed]
    invariant = range(len(initial) - len(fixed), len(initial))
    results = loop(b, initial, goes_on, step, _no_lists, invariant)
    found = results[2 : 2 + count + collected]
    return found


def _empty_stacks(
    b: ONNXBuilder,
    inner: Body,
    limit: Tensor | None,
    start: Sequence[Tensor],
    names: Sequence[str],
    collected: int,
) -> list[Tensor]:
    """Return zeros in the shapes of what the rounds stack, which one round on the side tells."""
    if limit is None or limit.data is None:
        raise UnsupportedError(
            "a Loop that stacks results for a number of rounds that is not known",
            hint="give the inputs a shape with --input_shapes",
        )
    aside = Graph("round")
    inputs = [i.name for i in inner.inputs]
    stand_ins = [
        aside.constant(t.name, t.data)
        if t.data is not None
        else aside.add_input(t.name, t.shape, t.dtype)
        for t in (b.const(0, np.int64), *start[1:], *_outer(b, names))
    ]
    made = _filled(b, aside, inner, [*inputs, *names], stand_ins)[len(start) - 1 :]
    rounds = int(limit.data)
    if any(None in t.shape for t in made):
        raise UnsupportedError("a Loop that stacks results whose shape changes")
    return [b.const(np.zeros((rounds, *(d or 0 for d in t.shape)), t.dtype)) for t in made]
