"""Features of unlike sizes, which one step for all of them would not tell apart.

A table of sensors has a column of 0 … 5,000 beside one of 0 … 0.1, which is 0 in 8 bits. Networks
for such tables, or for steps of time of them, begin with layers that weigh each column, and what
brings the columns to one size (a layer of the network, whose numbers the optimizer moves into the
weights, or nothing) can be done with reals before they become integers: one or two small operators,
and weights that undo them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, with_constant
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.ops.facts import LINEAR, RESHAPES
from tqconv.quant.losses import UNEVEN

GAIN = 16.0
"""How much less noise of rounded columns is worth two operators: 12 dB. One step for all then keeps
less than 36 dB of what the first layer makes."""
FEWEST, FEW = 4, 25
"""Rows below which nothing is said of columns, and below which their least and most are a chance;
so many samples are too few to judge by, or to judge by as they are."""
LEAST = 1e-30
"""A column that changes by less is taken for one that does not."""
REASON = "brings features of unlike sizes to one"
Columns = NDArray[np.floating[Any]]


Feed = Mapping[str, NDArray[Any]]


class Seen:
    """The least and the most of each column of an input, and the layers that read it."""

    def __init__(self, tensor: Tensor, layers: Sequence[Op]) -> None:
        self.tensor = tensor
        self.layers = layers
        self._low = self._high = np.zeros(tensor.shape[-1] or 0, np.float32)
        self._rows = 0

    def add(self, rows: NDArray[np.float32]) -> None:
        """Look at rows of features."""
        rows = rows.reshape(-1, len(self._low))
        if not len(rows):
            return
        low, high = rows.min(0), rows.max(0)
        self._low = np.minimum(self._low, low) if self._rows else low
        self._high = np.maximum(self._high, high) if self._rows else high
        self._rows += len(rows)

    def ends(self) -> tuple[Columns, Columns]:
        """Return the ends of the columns; those of few rows reach to zero, less by chance."""
        if self._rows >= FEW:
            return self._low, self._high
        return np.minimum(self._low, 0), np.maximum(self._high, 0)

    @property
    def tells(self) -> bool:
        """Whether there were rows enough."""
        return self._rows >= FEWEST


def tables(graph: Graph) -> list[Seen]:
    """Return the inputs of features, alone or in steps of time, that linear layers alone read."""
    return [
        Seen(x, layers)
        for x in graph.inputs
        if x.dtype == np.float32 and x.rank in (2, 3) and (x.shape[-1] or 0) > 1
        if (layers := _layers(graph, x))
    ]


def watched(samples: Iterable[Feed], tables: Sequence[Seen]) -> Iterator[Feed]:
    """Yield samples, at which the tables have looked."""
    for feed in samples:
        for table in tables:
            table.add(feed[table.tensor.name])
        yield feed


def unlike(tables: Iterable[Seen]) -> list[Seen]:
    """Return the inputs whose columns the samples showed to be of unlike sizes."""
    return [table for table in tables if _gain(table) >= GAIN]


def _layers(graph: Graph, x: Tensor) -> list[Op]:
    """Return the layers that read a tensor, each feature by weights of its own; none if others do.

    They may read it as a RESHAPE leaves it that keeps the features apart.
    """
    found: list[Op] = []
    waiting = [x]
    while waiting:
        tensor = waiting.pop()
        if tensor in graph.outputs:
            return []
        for op, index in tensor.uses:
            if op.type in RESHAPES and index == 0 and op.output.shape[-1:] == x.shape[-1:]:
                waiting.append(op.output)
            elif op.type in LINEAR and index == LINEAR[op.type].x and _is_by_column(op, x):
                found.append(op)
            else:
                return []
    return found


def _is_by_column(op: Op, x: Tensor) -> bool:
    place = LINEAR[op.type]
    weights = op.inputs[place.w]
    if weights is None or weights.data is None or weights.dtype != np.float32:
        return False
    bias = op.inputs[place.b] if place.b < len(op.inputs) else None
    columns = (x.shape[-1] or 0) * int(op.options.get("depth_multiplier", 1))
    return weights.shape[-1] == columns and (bias is None or bias.is_constant)


def _each(op: Op, columns: Columns) -> Columns:
    """Return numbers of columns as numbers of the last axis of an operator's weights."""
    return np.repeat(columns, int(op.options.get("depth_multiplier", 1)))


def _gain(seen: Seen) -> float:
    """Return how much less noise the layers would read, had each column a step of its own.

    1 where too few rows were seen to say. Columns that never change are exact in both.
    """
    low, high = seen.ends()
    whole = float(max(high.max(), 0)) - float(min(low.min(), 0))
    spans = high.astype(np.float64) - low
    if not seen.tells or not np.isfinite(whole):
        return 1.0
    now = then = 0.0
    for op in seen.layers:
        weights = op.input(LINEAR[op.type].w).data
        assert weights is not None
        sizes = np.square(weights, dtype=np.float64).reshape(-1, weights.shape[-1]).sum(0)
        own = _each(op, spans)
        now += whole**2 * float((sizes * (own > 0)).sum())
        then += float((sizes * own**2).sum())
    return now / then if then else 1.0


def level(graph: Graph, seen: Seen) -> None:
    """Bring each column to -1 … 1 before the layers that read them.

    y = FULLY_CONNECTED(x, w, b)   ->   y = FULLY_CONNECTED(MUL(SUB(x, c), 1 / r), w * r, b + w c)

    Zeros that a convolution reads around its operand stay zeros: there is no SUB then.
    """
    x = seen.tensor
    low, high = seen.ends()
    moves = not any(op.options.get("padding") == "SAME" for op in seen.layers)
    centre = low / 2 + high / 2 if moves else np.zeros_like(low)
    reach = np.maximum(high - centre, centre - low)
    radius = np.where(reach > LEAST, reach, 1).astype(np.float32)
    source, name, uses = Source("", x.name, "input"), f"{x.name}/level", list(x.uses)
    y = emit(graph, "SUB", x, centre, name=f"{name}/centre", source=source) if moves else x
    y = emit(graph, "MUL", y, 1 / radius, name=name, source=source)
    for op, index in uses:
        graph.set_input(op, index, y)
    for op in seen.layers:
        _take_in(graph, op, _each(op, centre), _each(op, radius))


def _take_in(graph: Graph, op: Op, centre: Columns, radius: Columns) -> None:
    """Let weights and bias of a layer undo what was done to the columns that it reads."""
    place = LINEAR[op.type]
    weights, bias = op.input(place.w).data, op.inputs[place.b : place.b + 1]
    assert weights is not None
    others = tuple(i for i in range(weights.ndim) if i != place.out_axis % weights.ndim)
    moved = (weights.astype(np.float64) * centre).sum(others)
    if bias and bias[0] is not None and bias[0].data is not None:
        moved = moved + bias[0].data
    name = op.output.name
    graph.set_input(op, place.w, graph.constant(f"{name}/level_weights", weights * radius))
    if centre.any():
        made = graph.constant(f"{name}/level_bias", moved.astype(np.float32))
        graph.set_input(op, place.b, made)


def told(seen: Seen, stored: bool) -> str:
    """Return the note about an input; stored: as integers, so that all columns have one step."""
    if stored:
        return (
            _spans(seen) + "one step for all loses the small ones; with float inputs each has one"
        )
    return _spans(seen) + "each is brought to -1 … 1 before it becomes integers"


def unsaid(seen: Seen) -> str:
    """Return the note of who writes ranges, which say nothing of columns."""
    return (
        _spans(seen) + "in int8 each has a step of its own if a conversion is given these samples "
        "(--calibration_data); a file of ranges does not say so"
    )


def _spans(seen: Seen) -> str:
    low, high = seen.ends()
    spans = (high - low)[high > low]
    return f"columns of input '{seen.tensor.name}' span {spans.min():.3g} to {spans.max():.3g}: "


def levelling(graph: Graph, inputs: Set[Tensor]) -> set[Op]:
    """Return the operators that scale columns of the inputs by unlike numbers, and lead there."""
    found: set[Op] = set()
    for x in inputs:
        chain: list[Op] = []
        while len(x.uses) == 1 and x not in graph.outputs:
            op = x.uses[0].op
            parts = with_constant(op)
            if parts is None or parts.x is not x or has_activation(op):
                break
            chain.append(op)
            numbers = parts.constant.reshape(-1)
            by_column = parts.constant.ndim and parts.constant.shape[-1] == x.shape[-1]
            scales = op.type == "MUL" or (op.type == "DIV" and parts.first)
            if scales and by_column and numbers.size > 1 and _unlike(numbers):
                found.update(chain)
            x = op.output
    return found


def _unlike(numbers: Columns) -> bool:
    sizes = np.abs(numbers[numbers != 0])
    return bool(sizes.size and sizes.max() >= UNEVEN * sizes.min())
