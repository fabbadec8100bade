"""WHILE loops that run recurrent cells over a sequence become the operators for sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

import numpy as np

from tqconv.compose.unroll import write_out
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import is_read, made_by
from tqconv.ops.emit import emit
from tqconv.passes.recurrent.cells import Cell, Weights, cell_of
from tqconv.passes.recurrent.memory import Rows
from tqconv.passes.recurrent.steps import Layer, Sequence3
from tqconv.records import dataclass

MATERIALIZE = Callable[[], Tensor]


def fuse_loops(graph: Graph) -> int:
    """Run a layer that a loop computes step by step as one operator.

    WHILE {i < n; h = cell(GATHER(x, i), h); y = DYNAMIC_UPDATE_SLICE(y, h, i)}   ->   y =
    SEQUENCE(x)
    """
    rows = Rows(graph)
    loops = [op for op in graph.ops if op.type == "WHILE"]
    return sum(graph.attempt(lambda _, loop: _fuse_loop(graph, loop, rows), op) for op in loops)


def _fuse_loop(graph: Graph, op: Op, rows: Rows) -> bool:
    steps = trip_count(op)
    if steps is None or steps < 1:
        return False
    loop = _Loop(graph, op, steps)
    results: dict[int, MATERIALIZE] = {}
    for i, tensor in enumerate(op.outputs):
        if not is_read(graph, tensor):
            continue
        made = loop.result(i)
        if made is None:
            return False
        results[i] = made
    if not rows.are_known(op.outputs, [op.input(i) for i in range(len(op.inputs))]):
        return False
    for i, make in results.items():
        graph.replace(op.outputs[i], make())
    return bool(results)


def write_out_one_round(graph: Graph) -> int:
    """Do without a loop what happens once, or never: a layer that is fed one step at a time.

    i, y = WHILE(0, x) {i < 1; i + 1, f(x)}   ->   y = f(x)
    """
    loops = [op for op in graph.ops if op.type == "WHILE"]
    count = sum(graph.attempt(lambda graph, loop: write_out(graph, loop, 1), op) for op in loops)
    if count:
        graph.prune()
        graph.sort()
    return count


@dataclass(frozen=True)
class Written:
    """What a body writes into a list; `every_round`: into the row of the round, else into row 0."""

    element: Tensor
    every_round: bool


@dataclass
class _Loop:
    """A loop of known length and the layers found in it so far."""

    graph: Graph
    op: Op
    steps: int
    sequences: dict[int, Sequence3] = field(default_factory=dict)
    """Result of a cell inside -> all its steps outside."""

    def result(self, i: int) -> MATERIALIZE | None:
        """Return what makes the final value of variable `i` without the loop, or None."""
        body = self.op.graphs[1]
        after, before = body.outputs[i], body.inputs[i]
        name = self.op.outputs[i].name
        if after is before:
            return lambda: self.op.input(i)
        if self.is_counter(before):
            return lambda: self.graph.constant(f"{name}/count", np.array(self.steps, np.int32))
        written = self._written(i)
        tensor = after if written is None else written.element
        if not self._is_layer(tensor):
            return None
        if written is None:
            return lambda: self._last(self._sequence(tensor), name)
        if written.every_round:
            return lambda: self._time_major(self._sequence(tensor), name)
        return lambda: self._only_row(self._last(self._sequence(tensor), name), name)

    def is_counter(self, tensor: Tensor) -> bool:
        """Whether a tensor of the body counts the rounds from 0."""
        i = self._variable(tensor)
        start = None if i is None else self.op.input(i).data
        return (
            i is not None
            and start is not None
            and start.size == 1
            and int(start.reshape(-1)[0]) == 0
            and is_increment(self.op.graphs[1].outputs[i], tensor)
        )

    def _is_layer(self, h: Tensor) -> bool:
        """Whether a tensor of the body is the result of a cell all of whose steps can be had."""
        found = self._cell(h)
        if found is None:
            return False
        x = found[1].x
        return self._gathered(x) is not None or (x is not h and self._is_layer(x))

    def _cell(self, h: Tensor) -> tuple[Cell, Weights, int, int | None] | None:
        """Return the cell, its weights, and the variables that hold its states."""
        cell = None if h.producer is None else cell_of(h.producer)
        position = self._holder(h)
        if cell is None or position is None:
            return None
        weights = cell.weights(self.op.graphs[1].inputs[position])
        if weights is None:
            return None
        if cell.c is None or cell.c_before is None:
            return cell, weights, position, None
        inner = self._variable(cell.c_before)
        if inner is None or self.op.graphs[1].outputs[inner] is not cell.c:
            return None
        return cell, weights, position, inner

    def _sequence(self, h: Tensor) -> Sequence3:
        """Return all steps of a cell's result, emitting its layer when it is not there yet."""
        made = self.sequences.get(id(h))
        if made is not None:
            return made
        found = self._cell(h)
        assert found is not None
        cell, weights, position, inner = found
        source = self._gathered(weights.x)
        x = self._sequence(weights.x) if source is None else self._batch_major(source)
        h0 = self.op.input(position)
        layer = Layer(cell, weights, h0, None if inner is None else self.op.input(inner))
        name = f"{self.op.outputs[position].name}/sequence"
        made = self.sequences[id(h)] = layer.emit(self.graph, x, name, self.op.source)
        return made

    def _gathered(self, x: Tensor) -> Tensor | None:
        """Return the tensor outside of which `x` is row number `round`, or None."""
        gather = made_by(x, "GATHER")
        if gather is None or gather.options.get("axis", 0) or gather.options.get("batch_dims", 0):
            return None
        i = self._variable(gather.input(0))
        if i is None or not self.is_counter(gather.input(1)):
            return None
        rows = self.op.input(i)
        body = self.op.graphs[1]
        unchanged = body.outputs[i] is body.inputs[i]
        return rows if unchanged and rows.rank == 3 and rows.shape[0] == self.steps else None

    def _written(self, i: int) -> Written | None:
        """Return what the body writes into variable `i`: into a row per round, or the only row."""
        body = self.op.graphs[1]
        only = made_by(body.outputs[i], "EXPAND_DIMS", "RESHAPE")
        if only is not None and only.output.shape == (1, *only.input(0).shape):
            return Written(only.input(0), False)
        update = made_by(body.outputs[i], "DYNAMIC_UPDATE_SLICE")
        rows = self.op.input(i).shape[:1]
        if update is None or update.input(0) is not body.inputs[i]:
            return None
        row = made_by(update.inputs[1], "EXPAND_DIMS", "RESHAPE")
        if row is None or row.output.shape != (1, *row.input(0).shape):
            return None
        fixed = update.input(2).data
        if fixed is not None:
            return Written(row.input(0), False) if rows == (1,) and not fixed.any() else None
        begin = made_by(update.inputs[2], "CONCATENATION")
        if begin is None or rows != (self.steps,) or len(begin.inputs) != 2:
            return None
        index, rest = made_by(begin.inputs[0], "RESHAPE"), begin.input(1).data
        at_round = index is not None and self.is_counter(index.input(0))
        return (
            Written(row.input(0), True)
            if at_round and rest is not None and not rest.any()
            else None
        )

    def _variable(self, tensor: Tensor) -> int | None:
        inputs = self.op.graphs[1].inputs
        return next((i for i, t in enumerate(inputs) if t is tensor), None)

    def _holder(self, tensor: Tensor) -> int | None:
        """Return the variable that keeps a tensor of the body for the next round."""
        outputs = self.op.graphs[1].outputs
        return next((i for i, t in enumerate(outputs) if t is tensor), None)

    def _batch_major(self, x: Tensor) -> Sequence3:
        """Return [time, n, size] as what it was transposed from, if it was."""
        transpose = made_by(x, "TRANSPOSE")
        perm = None if transpose is None else transpose.input(1).data
        if transpose is not None and perm is not None and perm.tolist() == [1, 0, 2]:
            return Sequence3(transpose.input(0), False)
        return Sequence3(x, True)

    def _time_major(self, y: Sequence3, name: str) -> Tensor:
        if y.time_major:
            return y.tensor
        perm = np.array([1, 0, 2], np.int32)
        made: Tensor = emit(
            self.graph, "TRANSPOSE", y.tensor, perm, name=f"{name}/steps", source=self.op.source
        )
        return made

    def _only_row(self, h: Tensor, name: str) -> Tensor:
        first = np.array(0, np.int32)
        made: Tensor = emit(
            self.graph, "EXPAND_DIMS", h, first, name=f"{name}/row", source=self.op.source
        )
        return made

    def _last(self, y: Sequence3, name: str) -> Tensor:
        axis = 0 if y.time_major else 1
        first, end = np.zeros(3, np.int32), np.zeros(3, np.int32)
        first[axis], end[axis] = self.steps - 1, self.steps
        others = 0b111 & ~(1 << axis)
        made: Tensor = emit(
            self.graph,
            "STRIDED_SLICE",  # more accelerators take it than take GATHER
            y.tensor,
            first,
            end,
            np.ones(3, np.int32),
            name=f"{name}/last",
            source=self.op.source,
            begin_mask=others,
            end_mask=others,
            shrink_axis_mask=1 << axis,
        )
        return made


def trip_count(op: Op) -> int | None:
    """Return how often the body runs, if the condition only compares counters with constants.

    Counters of reals are not followed.
    """
    condition, body = op.graphs
    counts = []
    stack = [condition.outputs[0]]
    while stack:
        test = stack.pop().producer
        if test is None or test.type not in ("LOGICAL_AND", "LESS"):
            return None
        if test.type == "LOGICAL_AND":
            stack += [test.input(0), test.input(1)]
            continue
        counter, limit = test.input(0), test.input(1).data
        i = next((i for i, t in enumerate(condition.inputs) if t is counter), None)
        if i is None or limit is None or limit.size != 1 or limit.dtype.kind not in "iu":
            return None
        start = op.input(i).data
        if start is None or not is_increment(body.outputs[i], body.inputs[i]):
            return None
        counts.append(int(limit.reshape(-1)[0]) - int(start.reshape(-1)[0]))
    return min(counts)


def is_increment(after: Tensor, before: Tensor) -> bool:
    """Whether a variable holds one more after a round than before."""
    total = made_by(after, "ADD")
    if total is None:
        return False
    operands = (total.input(0), total.input(1))
    step = next((t.data for t in operands if t is not before), None)
    return any(t is before for t in operands) and step is not None and step.tolist() in (1, [1])
