"""Which sizes LiteRT knows before a model runs.

It prepares operators in their order and stops at the first whose result has a size that only
running can tell. A variable tensor has memory by then, of the size that it had so far, and never
gets other memory: an operator for sequences whose rows are counted later writes beyond its states
(measured with LiteRT 2.3.0: the heap is damaged from 3 rows on).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.dims import Dim, Origins, described_dim, dim_origin, open_inputs
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.emit import infer
from tqconv.ops.table import having, known, spec
from tqconv.passes.recurrent.cells import cell_of

F = np.float32
STATES = having(lambda row: tuple(map(row.operands.index, row.states)) or None)
"""Which operands are states."""
ROWS = 5040
"""Stands for sizes that are known before a model runs; many numbers divide it."""


class Rows:
    """What is known of a graph's sizes before it runs; one pass asks it for all its layers.

    No operator for a sequence whose states have their memory makes another size late.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._late: list[Op] | None = None

    def are_known(self, ends: Sequence[Tensor], states: Sequence[Tensor]) -> bool:
        """Whether the states of an operator can have their memory before the model runs.

        ends: what the operator would make; nothing that depends on it matters.
        """
        if all(state.is_static for state in states):
            return True
        if self._late is None:
            self._late = late(self.graph)
        found = [op for op in self._late if op.outputs[0].producer is op]
        after = _dependent(self.graph, ends) if found else set()
        return all(id(op) in after for op in found)


def late(graph: Graph, given: Sequence[Shape] | None = None) -> list[Op]:
    """Return the operators whose results have sizes that are known once it runs.

    given: the shapes of the inputs; without them every open size counts as known.
    """
    graph.sort()
    shapes: dict[int, Tensor] = {}
    for tensor, shape in zip(graph.inputs, given or [t.shape for t in graph.inputs], strict=True):
        sizes = tuple(ROWS if size is None else size for size in shape)
        shapes[id(tensor)] = Tensor(tensor.name, sizes, tensor.dtype)
    found = []
    for op in graph.ops:
        if not op.outputs:
            continue
        inputs = [t if t is None or t.is_constant else shapes.get(id(t), t) for t in op.inputs]
        types = _prepared(op, inputs)
        if types is None:
            found.append(op)
            types = [t.shape for t in op.outputs]
        for tensor, shape in zip(op.outputs, types, strict=True):
            shapes[id(tensor)] = Tensor(tensor.name, shape, tensor.dtype)
    return found


def _prepared(op: Op, inputs: Sequence[Tensor | None]) -> list[Shape] | None:
    """Return the shapes of results that follow from those of the operands, or None."""
    if any(t is not None and not t.is_static for t in inputs):
        return None
    if not known(op.type) or not (spec(op.type).pure or op.type == "WHILE"):
        return None
    bare = Op(op.type, tuple(inputs), op.outputs, op.options, op.source, graphs=op.graphs)
    if op.type == "WHILE":
        carried = [t.shape for t in inputs if t is not None]
        return None if any(late(body, carried) for body in op.graphs) else carried
    try:
        shapes = [tuple(shape) for shape, _ in infer(bare)]
    except UnsupportedError:
        return None
    return None if any(None in shape for shape in shapes) else shapes


def _dependent(graph: Graph, ends: Sequence[Tensor]) -> set[int]:
    """Return the identities of the operators that make some tensors, or need them."""
    reached = {id(tensor) for tensor in ends}
    found = {id(t.producer) for t in ends}
    for op in graph.ops:
        if id(op) in found or any(t is not None and id(t) in reached for t in op.inputs):
            found.add(id(op))
            reached |= {id(t) for t in op.outputs}
    return found


def size_first_states(graph: Graph) -> int:
    """Make what a layer begins with of a tensor that has as many rows, not of their number.

    FILL([SHAPE(x)[0], 6], v)   ->   TILE(ADD(ZEROS_LIKE(x[:, 0, :1]), v), [1, 6])

    These have their size before the model runs.
    """
    fills = [op for op in graph.ops if op.type == "FILL" and not op.output.is_static]
    if not fills or not any(op.type == "WHILE" or cell_of(op) is not None for op in graph.ops):
        return 0
    firsts = _Firsts()
    return sum(graph.attempt(lambda _, fill: _of_a_tensor(graph, fill, firsts), op) for op in fills)


def _of_a_tensor(graph: Graph, op: Op, firsts: _Firsts) -> bool:
    y, value = op.output, op.input(1).data
    axes = [axis for axis, size in enumerate(y.shape) if size is None]
    if len(axes) != 1 or value is None or y.dtype != F:
        return False
    dim = described_dim(op.input(0), axes[0])
    found = None if dim is None else firsts.of(dim)
    if found is None:
        return False
    x, axis = found
    b = Builder(graph, op.source, y.name)
    row = b.cast(b("ZEROS_LIKE", _one_of_each_row(b, x, axis)), F)
    row = b("ADD", row, value.reshape(())) if value.any() else row
    row = b.reshape(row, [-1 if size is None else 1 for size in y.shape])
    times = np.array([size or 1 for size in y.shape], np.int32)
    graph.replace(y, b("TILE", row, times) if times.max() > 1 else row)
    return True


class _Firsts:
    """The earliest tensors that have some size, so that what only tells it can go."""

    def __init__(self) -> None:
        self._origins: Origins = {}
        self._found: dict[Dim, Dim | None] = {}

    def of(self, dim: Dim) -> Dim | None:
        """Return the earliest dimension that is one size with `dim`, in a tensor that serves.

        One of reals comes before one of integers.
        """
        stack = [dim]
        while stack:
            current = stack[-1]
            same = [d for d in open_inputs(current) if self._origin(d) == self._origin(current)]
            missing = [d for d in same if d not in self._found]
            if missing:
                stack += missing
                continue
            stack.pop()
            fit = [
                d for d in (*map(self._found.get, same), current) if d is not None and _serves(d)
            ]
            reals = [d for d in fit if d.tensor.dtype == F]
            self._found[current] = next(iter(reals or fit), None)
        return self._found[dim]

    def _origin(self, dim: Dim) -> Dim:
        return dim_origin(dim, self._origins)


def _serves(dim: Dim) -> bool:
    """Whether rows can be made of a tensor: of one with no other open size."""
    others = (size for axis, size in enumerate(dim.tensor.shape) if axis != dim.axis)
    return dim.tensor.dtype in (F, np.int32) and all(others)


def _one_of_each_row(b: Builder, x: Tensor, axis: int) -> Tensor:
    """Return the first of all elements that share an index along an axis: [n, 1], or [n]."""
    if x.rank == 1:
        return x
    apart = np.arange(x.rank) != axis
    places = [np.zeros(x.rank, np.int32), apart.astype(np.int32), np.ones(x.rank, np.int32)]
    dropped = [int(i) for i in np.flatnonzero(apart)]
    dropped = dropped[:-1] if dropped[-1] > axis else dropped
    mask = sum(1 << i for i in dropped)
    return b("STRIDED_SLICE", x, *places, end_mask=1 << axis, shrink_axis_mask=mask)
