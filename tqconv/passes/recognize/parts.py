"""Slices that together are all of a tensor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqconv.ir.graph import Graph, Op
from tqconv.ir.match import values_of
from tqconv.ops.emit import emit
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
    if whole is None or places != [(i, i + size) for i in range(0, whole, size)] or len(parts) < 2:
        return False
    axis = np.array(own.axis, np.int32)
    name = f"{x.name}/parts"
    made = emit(graph, "SPLIT", axis, x, name=name, source=op.source, num_splits=len(parts))
    for part, y in zip(parts, made, strict=True):
        graph.replace(found[part].output, y)
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
