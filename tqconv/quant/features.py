"""Features of unlike sizes, which one step for all of them would not tell apart.

A table of sensors has a column of 0 … 5,000 beside one of 0 … 0.1, which is 0 in 8 bits. Networks
for such tables begin with dense layers, and what brings the columns to one size (a layer of the
network, whose numbers the optimizer moves into the weights, or nothing) can be done with reals
before they become integers: two small operators, and weights that undo them.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, has_constant_rest, with_constant
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
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
Columns = NDArray[np.float32]


class Seen:
    """The least and the most of each column of an input."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
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
    """Return the inputs of rows of features that dense layers alone read."""
    return [
        Seen(x)
        for x in graph.inputs
        if x.dtype == np.float32 and x.rank == 2 and (x.shape[-1] or 0) > 1
        if x.uses and x not in graph.outputs and all(_is_layer(u.op, x) for u in x.uses)
    ]


def _is_layer(op: Op, x: Tensor) -> bool:
    weights = op.inputs[1] if op.type == "FULLY_CONNECTED" else None
    if weights is None or op.inputs[0] is not x or not has_constant_rest(op):
        return False
    fits = weights.shape[-1] == x.shape[-1]
    return fits and weights.quant is None and weights.dtype == np.float32


def gain(seen: Seen) -> float:
    """Return how much less noise the layers would read, had each column a step of its own.

    1 where too few rows were seen to say. Columns that never change are exact in both.
    """
    low, high = seen.ends()
    whole = float(max(high.max(), 0)) - float(min(low.min(), 0))
    spans = high.astype(np.float64) - low
    if not seen.tells or not np.isfinite(whole):
        return 1.0
    weights = [u.op.input(1).data for u in seen.tensor.uses]
    sizes = sum(np.square(w, dtype=np.float64).sum(0) for w in weights if w is not None)
    now = whole**2 * float((sizes * (spans > 0)).sum())
    then = float((sizes * spans**2).sum())
    return now / then if then else 1.0


def level(graph: Graph, seen: Seen) -> None:
    """Bring each column to -1 … 1 before the layers that read them.

    y = FULLY_CONNECTED(x, w, b)   ->   y = FULLY_CONNECTED(MUL(SUB(x, c), 1 / r), w * r, b + w c)
    """
    x, layers = seen.tensor, [use.op for use in seen.tensor.uses]
    low, high = seen.ends()
    centre = low / 2 + high / 2
    radius = np.where(high - low > LEAST, high / 2 - low / 2, 1).astype(np.float32)
    source = Source("", x.name, "input")
    name = f"{x.name}/level"
    shifted = emit(graph, "SUB", x, centre, name=f"{name}/centre", source=source)
    y = emit(graph, "MUL", shifted, 1 / radius, name=name, source=source)
    for layer in layers:
        w, bias = layer.input(1), layer.inputs[2] if len(layer.inputs) > 2 else None
        assert w.data is not None
        moved = w.data.astype(np.float64) @ centre
        moved = moved if bias is None or bias.data is None else moved + bias.data
        graph.set_input(layer, 0, y)
        graph.set_input(layer, 1, graph.constant(f"{w.name}/level", w.data * radius))
        own = graph.constant(f"{layer.output.name}/level_bias", moved.astype(np.float32))
        graph.set_input(layer, 2, own)


def told(seen: Seen, stored: bool) -> str:
    """Return the note about an input; stored: as integers, so that all columns have one step."""
    low, high = seen.ends()
    spans = (high - low)[high > low]
    words = f"columns of input '{seen.tensor.name}' span {spans.min():.3g} to {spans.max():.3g}: "
    if stored:
        return words + "one step for all loses the small ones; with float inputs each has its own"
    return words + "each is brought to -1 … 1 before it becomes integers"


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
