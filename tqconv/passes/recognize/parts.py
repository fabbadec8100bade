"""Slices of a tensor: together, alone, and what a dense layer makes of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    has_constant_rest,
    is_read,
    is_same,
    made_by,
    sole_reader,
    values_of,
)
from tqconv.ops.emit import emit
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at, exact


class Part(NamedTuple):
    """What a slice takes along the only axis that it cuts."""

    axis: int
    begin: int
    end: int


@exact
@at("STRIDED_SLICE")
def slices_as_split(graph: Graph, op: Op) -> bool:
    """Split at once what slices of one size take apart.

    a = STRIDED_SLICE(x, …[:, :8]); b = STRIDED_SLICE(x, …[:, 8:])   ->   a, b = SPLIT(1, x)
    """
    x, own = op.input(0), _part(op)
    if own is None or own.begin != 0 or x.is_constant:
        return False
    found: dict[Part, Op] = {}
    for use in x.uses:
        part = _part(use.op) if use.index == 0 else None
        if part is not None and part.axis == own.axis:
            found.setdefault(part, use.op)
    parts = sorted(found)
    size, whole = own.end, x.shape[own.axis]
    places = [(part.begin, part.end) for part in parts]
    if len(parts) < 2 or whole != len(parts) * size:
        return False
    if places != [(i, i + size) for i in range(0, whole, size)]:
        return False
    axis = np.array(own.axis, np.int32)
    name = f"{x.name}/parts"
    made = emit(graph, "SPLIT", axis, x, name=name, source=op.source, num_splits=len(parts))
    for part, y in zip(parts, made, strict=True):
        graph.replace(found[part].output, y)
    return True


@exact
@at("SPLIT", "SPLIT_V", "UNPACK", "STRIDED_SLICE")
def part_of_join(graph: Graph, op: Op) -> bool:
    """Read what was joined, not the part of the whole that it became.

    y = CONCATENATION(a: [4,1,8], b: [4,1,8]) {axis=1}; c, d = SPLIT(1, y)   ->   c, d = a, b
    """
    x = op.inputs[1] if op.type == "SPLIT" else op.inputs[0]
    join = made_by(x, "CONCATENATION")
    if x is None or join is None or has_activation(join) or x.quant is not None:
        return False
    axis = int(join.options.get("axis", 0)) % x.rank
    joined: dict[tuple[int, int], Tensor] = {}
    begin = 0
    for operand in join.inputs:
        size = None if operand is None else operand.shape[axis]
        if operand is None or size is None:
            break
        joined.setdefault((begin, begin + size), operand)
        begin += size
    changed = False
    for y, place in _taken(op, x, axis):
        found = joined.get(place)
        if found is None or not is_read(graph, y) or found.is_constant:
            continue
        if op.type == "UNPACK":
            sizes = [size for i, size in enumerate(found.shape) if i != axis]
            found = reshaped(graph, found, sizes, f"{y.name}/joined", op.source)
        graph.replace(y, found)
        changed = True
    return changed


def _taken(op: Op, x: Tensor, axis: int) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield the results that are whole slices of x along an axis, and from where to where."""
    if op.type == "STRIDED_SLICE":
        part = _part(op)
        if part is not None and part.axis == axis:
            yield op.output, (part.begin, part.end)
        return
    own = values_of(op.inputs[2 if op.type == "SPLIT_V" else 0])
    along = int(op.options.get("axis", 0)) if op.type == "UNPACK" else own[0] if own else None
    if along is None or along % x.rank != axis:
        return
    begin = 0
    for y in op.outputs:
        size = 1 if op.type == "UNPACK" else y.shape[axis]
        if size is None:
            return
        yield y, (begin, begin + size)
        begin += size


@exact
@at("SPLIT_V")
def equal_parts(graph: Graph, op: Op) -> bool:
    """Split into parts of one size as such.

    a, b = SPLIT_V(x: [2,16], [8,8], 1)   ->   a, b = SPLIT(1, x)
    """
    axis = values_of(op.inputs[2])
    if axis is None or op.input(0).quant is not None:
        return False
    sizes = {t.shape[axis[0] % op.input(0).rank] for t in op.outputs}
    if len(sizes) != 1 or None in sizes or 0 in sizes:
        return False
    place = np.array(axis[0], np.int32)
    made = emit(
        graph,
        "SPLIT",
        place,
        op.input(0),
        name=f"{op.outputs[0].name}/equal",
        source=op.source,
        num_splits=len(op.outputs),
    )
    for old, new in zip(op.outputs, made, strict=True):
        graph.replace(old, new)
    return True


@exact
@at("UNPACK")
def only_slice(graph: Graph, op: Op) -> bool:
    """Take the only slice that is read, and leave the others.

    a, b, c = UNPACK(x: [3,2,4]); a and b are nobody's   ->   c = STRIDED_SLICE(x, …[2])
    """
    read = [i for i, t in enumerate(op.outputs) if is_read(graph, t)]
    x, axis = op.input(0), int(op.options.get("axis", 0)) % op.input(0).rank
    if len(read) != 1 or len(op.outputs) < 2 or x.quant is not None:
        return False
    begin, end = np.zeros(x.rank, np.int32), np.zeros(x.rank, np.int32)
    begin[axis], end[axis] = read[0], read[0] + 1
    others = ((1 << x.rank) - 1) & ~(1 << axis)
    y = op.outputs[read[0]]
    made = emit(
        graph,
        "STRIDED_SLICE",
        x,
        begin,
        end,
        np.ones(x.rank, np.int32),
        name=f"{y.name}/slice",
        source=op.source,
        begin_mask=others,
        end_mask=others,
        shrink_axis_mask=1 << axis,
    )
    graph.replace(y, made)
    return True


@at("UNPACK")
def project_before_unpack(graph: Graph, op: Op) -> bool:
    """Let a dense layer see all rows at once that it is given one by one.

    a, b = UNPACK(x: [2,n,8]); y = FULLY_CONNECTED(a, w); z = FULLY_CONNECTED(b, w)
    ->   y, z = UNPACK(FULLY_CONNECTED(x, w): [2,n,5])
    """
    x, axis = op.input(0), int(op.options.get("axis", 0)) % op.input(0).rank
    layers = [sole_reader(graph, t) for t in op.outputs]
    first = layers[0]
    if x.rank != 3 or axis == 2 or len(layers) < 2 or first is None or has_activation(first):
        return False
    weights = first.inputs[1:]
    if first.type != "FULLY_CONNECTED" or not has_constant_rest(first):
        return False
    for layer, row in zip(layers, op.outputs, strict=True):
        if layer is None or layer.type != first.type or layer.options != first.options:
            return False
        same = map(is_same, layer.inputs[1:], weights)
        if layer.inputs[0] is not row or len(layer.inputs) != len(first.inputs) or not all(same):
            return False
    options = {**first.options, "keep_num_dims": True}
    name, source = f"{first.output.name}/all", first.source
    y = emit(graph, "FULLY_CONNECTED", x, *weights, name=name, source=source, **options)
    rows = emit(
        graph, "UNPACK", y, name=f"{name}/rows", source=op.source, num=len(layers), axis=axis
    )
    for layer, row in zip(layers, rows, strict=True):
        if layer is not None:
            graph.replace(layer.output, row)
    return True


def _part(op: Op) -> Part | None:
    """Return the part of one axis that a STRIDED_SLICE takes of a tensor, or None."""
    if op.type != "STRIDED_SLICE":
        return None
    x, y = op.input(0), op.output
    bounds = [values_of(t) for t in op.inputs[1:]]
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    if None in bounds or any(op.options.get(mask) for mask in masks) or x.rank != y.rank:
        return None
    begins, ends, strides = bounds
    if begins is None or ends is None or strides is None or any(s != 1 for s in strides):
        return None
    cut = None
    for axis, size in enumerate(x.shape):
        first, last = (op.options.get(mask, 0) >> axis & 1 for mask in ("begin_mask", "end_mask"))
        if axis >= len(begins) or (first and last):
            continue
        if size is None or size == 0:
            return None
        begin, end, _ = slice(
            None if first else begins[axis], None if last else ends[axis]
        ).indices(size)
        if (begin, end) == (0, size):
            continue
        if cut is not None or begin >= end:
            return None
        cut = Part(axis, begin, end)
    return cut
