"""Loops that stack what their rounds yield, with or without a number of rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tqconv.compose import lists
from tqconv.compose.builder import Builder
from tqconv.compose.control import loop, stand_in, within
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Tensor
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
MANY = 2**16
"""A limit of more rounds is no plan to reach it: what they yield grows then, row by row."""


class Round(NamedTuple):
    """What one round makes."""

    goes_on: Tensor
    """Whether there is a next round: a boolean scalar."""
    carried: Sequence[Tensor]
    yields: Sequence[Tensor]


Body = Callable[[Graph, Tensor, Tensor, Sequence[Tensor], Sequence[Tensor]], Round]
"""(graph, number of the round int32, condition, carried values, outer tensors) -> a round."""


@dataclass(frozen=True)
class Repeated:
    """What a loop makes: the last carried values, and [rounds, …] of all that was yielded."""

    carried: Sequence[Tensor]
    stacks: Sequence[Tensor]


def repeated(
    b: Builder,
    body: Body,
    first: Tensor,
    limit: Tensor | None,
    carried: Sequence[Tensor],
    outer: Sequence[Tensor],
    yields: int,
) -> Repeated:
    """Repeat while the condition holds, `first` before the first round, and `limit` is not reached.

    limit: an int32 scalar, or None. outer: what the rounds read and do not change.
    """
    count = len(carried)
    start = [b.const(0, INT32), first, *carried]
    rows = _rows(b, body, start, limit, outer) if yields else _Rows([], True, False)
    fixed = [*([] if limit is None else [limit]), *outer]
    read = 0 if limit is None else 1

    def step(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        here = within(b, graph)
        time, condition, values = inside[0], inside[1], inside[2 : 2 + count]
        stacks, unchanged = inside[2 + count : 2 + count + yields], inside[2 + count + yields :]
        made = body(graph, time, condition, values, unchanged[read:])
        pairs = zip(stacks, made.yields, strict=True)
        if rows.grow:
            stacked = [lists.append(here, old, new) for old, new in pairs]
        else:
            stacked = [lists.write(here, old, time, new) for old, new in pairs]
        following = here("ADD", time, np.array(1, INT32))
        return [following, made.goes_on, *made.carried, *stacked, *unchanged]

    def goes_on(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        here = within(b, graph)
        if limit is None:
            return [inside[1]]
        before = here("LESS", inside[0], inside[2 + count + yields])
        return [before if inside[1].data is not None else here("LOGICAL_AND", inside[1], before)]

    initial = [*start, *rows.empty, *fixed]
    invariant = range(len(initial) - len(fixed), len(initial))
    results = loop(b, initial, goes_on, step, _no_lists, invariant)
    stacks = results[2 + count : 2 + count + yields]
    if rows.grow:
        stacks = [along(b, stack, 0, 1, None) for stack in stacks]
    elif not rows.complete:
        stacks = [_first_rows(b, stack, results[0]) for stack in stacks]
    return Repeated(results[2 : 2 + count], stacks)


def _no_lists(*arguments: object) -> Tensor:
    raise UnsupportedError("a list of unknown shape")


@dataclass(frozen=True)
class _Rows:
    """Stacks before the first round. `complete`: no condition ends the loop before its limit.

    Those that grow begin with a row that does not count: WHILE copies no empty tensors, it stops.
    """

    empty: Sequence[Tensor]
    complete: bool
    grow: bool


def _rows(
    b: Builder, body: Body, start: Sequence[Tensor], limit: Tensor | None, outer: Sequence[Tensor]
) -> _Rows:
    """Find out by a round on the side what the rounds yield."""
    aside = Graph("round")
    inside = [stand_in(aside, t, t.shape, baked=t.is_constant) for t in (*start, *outer)]
    time, condition, *values = inside[: len(start)]
    made = body(aside, time, condition, values, inside[len(start) :])
    examples = list(made.yields)
    if any(None in t.shape for t in examples):
        # Their sizes are asked of a round that is translated where the loop stands.
        examples = list(body(b.graph, start[0], start[1], start[2:], outer).yields)
    grow = limit is None or (limit.data is not None and int(limit.data) > MANY)
    if grow or limit is None:
        size = b.const(np.ones(1, INT32))
    else:
        # A row more than none: DYNAMIC_UPDATE_SLICE does not take an update that is larger.
        size = b.reshape(b("MAXIMUM", limit, np.array(1, INT32)), (1,))
    certain = all(t.data is not None and bool(t.data) for t in (start[1], made.goes_on))
    complete = certain and limit is not None and limit.data is not None and int(limit.data) > 0
    return _Rows([lists.zeros(b, t.dtype, size, t.shape, t) for t in examples], complete, grow)


def _first_rows(b: Builder, stack: Tensor, count: Tensor) -> Tensor:
    begin, size = np.zeros(stack.rank, np.int32), np.full(stack.rank - 1, -1, np.int32)
    rows = b.reshape(count, (1,))
    sizes = b("CONCATENATION", rows, size, axis=0) if stack.rank > 1 else rows
    return b("SLICE", stack, begin, sizes)
