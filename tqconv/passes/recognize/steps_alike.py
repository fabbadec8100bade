"""Steps of a sequence that are computed one by one, all alike: rows of a larger batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tqconv.compose.dims import Dim, dim_origin
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_constant_rest, is_same, made_by, values_of
from tqconv.ops.emit import Operand, emit
from tqconv.ops.spec import ELEMENTWISE
from tqconv.ops.table import known, spec
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at

Steps = Sequence[Tensor]
"""One tensor of each step, in order."""
MOST = 4096
"""Operators of one step that are followed."""


@at("PACK")
def steps_as_rows(graph: Graph, op: Op) -> bool:
    """Compute at once what is computed alike for each step of a sequence.

    y = PACK(f(x[:, 0]), f(x[:, 1]), f(x[:, 2]))   with x: [n,3,…]
    ->   y = TRANSPOSE(RESHAPE(f(RESHAPE(x, [n*3,…])), [n,3,…]), [1,0,…])
    """
    ends = [t for t in op.inputs if t is not None]
    if op.options.get("axis", 0) or len(ends) < 2 or any(t.is_constant for t in ends):
        return False
    walk = _Walk(graph, len(ends))
    if not walk.is_alike(ends) or walk.count == 0:
        return False
    flat = walk.rows_of(ends)
    assert walk.axis is not None
    rest, steps, y = list(ends[0].shape[1:]), len(ends), op.output
    if ends[0].rank == 0 or list(flat.shape[1:]) != rest or None in rest:
        return False
    lead = [steps, ends[0].shape[0]] if walk.axis == 0 else [ends[0].shape[0], steps]
    wide = reshaped(graph, flat, [*lead, *rest], f"{y.name}/steps", op.source)
    if walk.axis == 1:
        order = np.array([1, 0, *range(2, wide.rank)], np.int32)
        wide = emit(graph, "TRANSPOSE", wide, order, name=f"{y.name}/first", source=op.source)
    if wide.shape != y.shape:
        return False
    graph.replace(y, wide)
    return True


class _Walk:
    """Compares the steps from their ends back to the sequence, and computes them as rows."""

    def __init__(self, graph: Graph, steps: int) -> None:
        self.graph = graph
        self.steps = steps
        self.axis: int | None = None
        self.count = 0
        self.known: dict[tuple[int, ...], Tensor | None] = {}
        """What is alike: a sequence that it is the steps of, or None where it is computed."""
        self.made: dict[tuple[int, ...], Tensor] = {}

    def is_alike(self, ends: Steps) -> bool:
        """Whether the steps depend alike on their parts of sequences, and on constants."""
        stack: list[Steps] = [ends]
        while stack:
            parts = stack.pop()
            key = tuple(map(id, parts))
            if key in self.known:
                continue
            sequence = self._sequence(parts)
            self.known[key] = sequence
            if sequence is not None:
                continue
            ops = [t.producer for t in parts]
            self.count += 1
            if self.count > MOST or not _are_alike(ops, parts):
                return False
            stack += [column for column in _columns(ops) if column is not None]
        return True

    def _sequence(self, parts: Steps) -> Tensor | None:
        """Return what has these tensors as its steps along one axis, or None."""
        first = _step(parts[0])
        if first is None:
            return None
        x, axis, _ = first
        if [_step(t) for t in parts] != [(x, axis, i) for i in range(self.steps)]:
            return None
        turned = made_by(x, "TRANSPOSE")
        order = values_of(turned.inputs[1]) if turned is not None else None
        if turned is not None and order == [1, 0, *range(2, x.rank)]:
            x, axis = turned.input(0), 1 - axis
        if self.axis not in (None, axis) or axis > 1 or x.shape[axis] != self.steps:
            return None
        self.axis = axis
        return x

    def rows_of(self, ends: Steps) -> Tensor:
        """Return the same of all steps, as rows of a batch."""
        stack: list[tuple[Steps, bool]] = [(ends, False)]
        while stack:
            parts, ready = stack.pop()
            key = tuple(map(id, parts))
            if key in self.made:
                continue
            sequence = self.known[key]
            if sequence is not None:
                self.made[key] = self._flat(sequence, parts[0])
                continue
            op = parts[0].producer
            assert op is not None
            columns = _columns([t.producer for t in parts])
            if not ready:
                stack.append((parts, True))
                stack += [(column, False) for column in columns if column is not None]
                continue
            inputs: list[Operand] = [
                t if column is None else self.made[tuple(map(id, column))]
                for t, column in zip(op.inputs, columns, strict=True)
            ]
            if op.type == "RESHAPE":
                inputs[1] = np.array([-1, *(size or 0 for size in op.output.shape[1:])], np.int32)
            name = f"{op.output.name}/rows"
            made = emit(self.graph, op.type, *inputs, name=name, source=op.source, **op.options)
            self.made[key] = made
        return self.made[tuple(map(id, ends))]

    def _flat(self, sequence: Tensor, part: Tensor) -> Tensor:
        batch = sequence.shape[1 - (self.axis or 0)]
        rows = None if batch is None else batch * self.steps
        name = f"{sequence.name}/rows"
        source = (part.producer or self.graph.ops[0]).source
        return reshaped(self.graph, sequence, [rows, *sequence.shape[2:]], name, source)


def _step(tensor: Tensor) -> tuple[Tensor, int, int] | None:
    """Return the sequence, the axis and the number of the step that a tensor is, or None."""
    op = tensor.producer
    if op is None or not op.inputs or op.inputs[0] is None:
        return None
    x = op.input(0)
    if op.type == "UNPACK":
        place = next(i for i, t in enumerate(op.outputs) if t is tensor)
        return x, int(op.options.get("axis", 0)) % x.rank, place
    if op.type == "GATHER" and not op.options.get("batch_dims"):
        index = values_of(op.inputs[1])
        alone = index is not None and op.input(1).rank == 0
        return (x, int(op.options.get("axis", 0)) % x.rank, index[0]) if index and alone else None
    if op.type != "STRIDED_SLICE" or x.rank != tensor.rank + 1:
        return None
    shrunk = int(op.options.get("shrink_axis_mask", 0))
    axis = shrunk.bit_length() - 1
    begin, strides = values_of(op.inputs[1]), values_of(op.inputs[3])
    if begin is None or strides is None or shrunk != 1 << axis or any(s != 1 for s in strides):
        return None
    if op.options.get("ellipsis_mask") or op.options.get("new_axis_mask"):
        return None
    rest = [size for place, size in enumerate(x.shape) if place != axis]
    others = ((1 << len(begin)) - 1) & ~shrunk
    full = op.options.get("begin_mask", 0) & op.options.get("end_mask", 0) & others == others
    if list(tensor.shape) != rest or axis >= len(begin) or (not full and None in rest):
        return None
    return x, axis, begin[axis]


def _columns(ops: Sequence[Op | None]) -> list[Steps | None]:
    """Return for each operand those of all steps; None for what does not come of a sequence."""
    first = ops[0]
    assert first is not None
    columns: list[Steps | None] = []
    for place, operand in enumerate(first.inputs):
        if operand is None or operand.is_constant or (first.type == "RESHAPE" and place == 1):
            columns.append(None)
            continue
        columns.append([op.input(place) for op in ops if op is not None])
    return columns


def _are_alike(ops: Sequence[Op | None], parts: Steps) -> bool:
    """Whether operators do the same, with equal constants, to each row of a batch alone."""
    first = ops[0]
    if first is None or not _is_by_rows(first):
        return False
    for op, part in zip(ops, parts, strict=True):
        if op is None or (op.type, op.options) != (first.type, first.options):
            return False
        if len(op.inputs) != len(first.inputs) or part.shape != parts[0].shape:
            return False
        if not all(map(is_same, op.inputs, first.inputs)):
            return False
    return True


def _is_by_rows(op: Op) -> bool:
    """Whether each row of a result is made of the same row of operands, and constants, alone."""
    if not known(op.type) or len(op.outputs) != 1 or op.graphs or not spec(op.type).pure:
        return False
    x, y = op.inputs[0], op.output
    if x is None or y.rank == 0 or x.rank == 0 or y.quant is not None:
        return False
    if spec(op.type).layout is ELEMENTWISE:
        read = [t for t in op.inputs if t is not None]
        return all(_is_for_each_row(t, y) if t.is_constant else _has_rows_of(t, x) for t in read)
    if not has_constant_rest(op):
        return op.type == "RESHAPE" and _keeps_rows(op)
    if op.type in ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return True
    if op.type in (
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "DEPTH_TO_SPACE",
        "SPACE_TO_DEPTH",
    ):
        return True
    if op.type == "FULLY_CONNECTED":
        alone = x.shape[-1] is not None and x.shape[-1] == op.input(1).shape[-1]
        return alone and (x.rank == 2 or bool(op.options.get("keep_num_dims")))
    if op.type in ("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "PRELU"):
        return x.rank > 1
    values = values_of(op.inputs[1]) if len(op.inputs) > 1 else None
    if op.type in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
        return values is not None and all(axis % x.rank for axis in values)
    if op.type == "TRANSPOSE":
        return values is not None and values[0] % x.rank == 0
    if op.type in ("PAD", "PADV2", "MIRROR_PAD"):
        return values is not None and values[:2] == [0, 0]
    return op.type == "RESHAPE" and _keeps_rows(op)


def _is_for_each_row(constant: Tensor, y: Tensor) -> bool:
    return constant.rank < y.rank or constant.shape[0] == 1


def _has_rows_of(tensor: Tensor, x: Tensor) -> bool:
    """Whether an operand of the rank of another has as many rows, however many these are."""
    if tensor.rank != x.rank or tensor.shape[0] != x.shape[0]:
        return False
    return x.shape[0] is not None or dim_origin(Dim(tensor, 0)) == dim_origin(Dim(x, 0))


def _keeps_rows(op: Op) -> bool:
    """Whether a RESHAPE leaves the first axis as it is."""
    x, y = op.input(0), op.output
    if None in x.shape[1:] or None in y.shape[1:] or 0 in y.shape[1:]:
        return False
    kept, made = (math.prod(size or 0 for size in t.shape[1:]) for t in (x, y))
    return x.shape[0] == y.shape[0] and kept == made
