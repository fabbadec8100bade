"""What a layer repeats, over time: in a loop, or step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.compose import lists
from tqconv.compose.builder import Builder
from tqconv.compose.control import loop, within
from tqconv.compose.operands import static_size
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Tensor

Step = Callable[
    [Builder, list[Tensor], list[Tensor], list[Tensor]], tuple[Sequence[Tensor], Sequence[Tensor]]
]
"""Makes the next states and what is collected of a round, from rows, states and fixed tensors."""


def over_time(
    b: Builder,
    sequences: Sequence[Tensor],
    states: Sequence[Tensor],
    fixed: Sequence[Tensor],
    collected: Sequence[Tensor],
    step: Step,
    length: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Call `step` for each row of the sequences; return what it collects, and the last states.

    `collected`: zeros in the shapes of what is collected: [time, …]. `length`: rounds, if there are
    less of them than rows.
    """
    steps = lists.length(b, sequences[0])
    if length is not None:
        steps = b("MINIMUM", b.cast(length, np.int32), steps)
    constant = [b.reshape(steps, ()), *sequences, *fixed]
    moving = [b.const(np.array(0, np.int32), what="time"), *states, *collected]
    count, first = len(moving), 1 + len(states)

    def goes_on(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        return [within(b, graph)("LESS", inside[0], inside[count])]

    def next_round(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        here = within(b, graph)
        time, rest = inside[0], inside[count + 1 :]
        rows = [lists.read(here, t, time) for t in rest[: len(sequences)]]
        now, found = step(here, rows, inside[1:first], rest[len(sequences) :])
        pairs = zip(inside[first:count], found, strict=True)
        written = [lists.write(here, old, time, new) for old, new in pairs]
        following = here("ADD", time, np.array(1, np.int32))
        return [following, *now, *written, *inside[count:]]

    invariant = range(count, count + len(constant))
    results = loop(b, [*moving, *constant], goes_on, next_round, _no_lists, invariant)
    return results[first:count], results[1:first]


def written_out(
    b: Builder,
    sequences: Sequence[Tensor],
    states: Sequence[Tensor],
    fixed: Sequence[Tensor],
    step: Step,
) -> tuple[list[Tensor], list[Tensor]]:
    """Do the same as `over_time` without a loop, for sequences of known length."""
    count = static_size(sequences[0], 0)
    rows = [b("UNPACK", t, num=count, axis=0) for t in sequences]
    now, rounds = list(states), []
    for place in range(count):
        made, found = step(b, [parts[place] for parts in rows], now, list(fixed))
        now = list(made)
        rounds.append(found)
    y = [b("PACK", *column, values_count=count, axis=0) for column in zip(*rounds, strict=True)]
    return y, now


def zeros_like(b: Builder, x: Tensor, state: Tensor) -> Tensor:
    """Return zeros [time, n, cells] for x: [time, …] and a state [n, cells]."""
    return lists.zeros(
        b,
        x.dtype,
        b.reshape(lists.length(b, x), (1,)),
        state.shape,
        b("EXPAND_DIMS", state, np.array(0, np.int32)),
    )


def _no_lists(*arguments: object) -> Tensor:
    raise UnsupportedError("a layer has no lists of unknown shape")
