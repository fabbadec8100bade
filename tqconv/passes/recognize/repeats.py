"""Rows and columns of pictures that are repeated."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op
from tqconv.ir.match import made_by, sole_reader, values_of
from tqconv.ops.emit import emit
from tqconv.ops.rules import axis_of
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at

ROWS, COLUMNS = 2, 3
"""Where the copies of a row, or of a column, stand in a tensor of five dimensions."""


@at("TILE")
def repeat_as_resize(graph: Graph, op: Op) -> bool:
    """Repeat the rows or columns of a picture as a larger picture.

    r = RESHAPE(x: [n,6,4,3], [n,6,1,4,3]); t = TILE(r, [1,1,2,1,1]); y = RESHAPE(t, [n,12,4,3])
    ->   y = RESIZE_NEAREST_NEIGHBOR(x, [12,4])
    """
    row, y = op.input(0), op.output
    times = values_of(op.inputs[1])
    if times is None or row.rank != 5 or made_by(row, "RESHAPE") is None:
        return False
    last = sole_reader(graph, y)
    axes = [axis for axis, count in enumerate(times) if count != 1]
    if last is None or last.type != "RESHAPE" or len(axes) != 1 or row.shape[axes[0]] != 1:
        return False
    axis = axes[0]
    if axis not in (ROWS, COLUMNS) or None in row.shape[1:]:
        return False
    whole = [size for place, size in enumerate(row.shape) if place != axis]
    sizes = [whole[1] or 0, whole[2] or 0]
    sizes[axis - ROWS] *= times[axis]
    x = reshaped(graph, row, whole, f"{y.name}/picture", op.source)
    target = np.array(sizes, np.int32)
    large = emit(
        graph, "RESIZE_NEAREST_NEIGHBOR", x, target, name=f"{y.name}/larger", source=op.source
    )
    graph.replace(y, reshaped(graph, large, y.shape, f"{y.name}/apart", op.source))
    return True


@at("RESIZE_NEAREST_NEIGHBOR")
def resize_once(graph: Graph, op: Op) -> bool:
    """Enlarge rows and columns at once.

    t = RESIZE_NEAREST_NEIGHBOR(x: [n,6,4,3], [12,4]); y = RESIZE_NEAREST_NEIGHBOR(t, [12,8])
    ->   y = RESIZE_NEAREST_NEIGHBOR(x, [12,8])

    Where each repeats rows and columns as often, so that no place falls between two.
    """
    before = made_by(op.inputs[0], "RESIZE_NEAREST_NEIGHBOR")
    if before is None or sole_reader(graph, op.input(0)) is not op:
        return False
    if not _repeats(before) or not _repeats(op):
        return False
    source = op.source.joined(before.source)
    name = f"{op.output.name}/once"
    y = emit(graph, op.type, before.input(0), op.input(1), name=name, source=source)
    graph.replace(op.output, y)
    return True


def _repeats(op: Op) -> bool:
    """Whether a resize shows each place the same number of times, from the corner on."""
    x, y = op.input(0), op.output
    if any(value for value in op.options.values()) or not op.input(1).is_constant:
        return False
    pairs = zip(x.shape[1:3], y.shape[1:3], strict=True)
    return all(size and larger and larger % size == 0 for size, larger in pairs)


@at("CONCATENATION")
def joined_copies(graph: Graph, op: Op) -> bool:
    """Repeat elements without taking each apart.

    a, b = SPLIT(1, x: [n,2,4]); y = CONCATENATION(a, a, a, b, b, b) {axis=1}
    ->   y = RESHAPE(TILE(RESHAPE(x, [n,2,1,4]), [1,1,3,1]), [n,6,4])
    """
    split = made_by(op.inputs[0], "SPLIT")
    if split is None or len(split.outputs) < 2 or len(op.inputs) % len(split.outputs):
        return False
    x, y, axis = split.input(1), op.output, axis_of(int(op.options.get("axis", 0)), op.output.rank)
    along = values_of(split.inputs[0])
    if along is None or along[0] % x.rank != axis:
        return False
    times = len(op.inputs) // len(split.outputs)
    if times < 2 or list(op.inputs) != [t for t in split.outputs for _ in range(times)]:
        return False
    if x.shape[axis] != len(split.outputs) or x.shape.count(None) > 1 or x.rank > 4:
        return False
    apart = [*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]]
    row = reshaped(graph, x, apart, f"{y.name}/apart", op.source)
    copies = np.ones(len(apart), np.int32)
    copies[axis + 1] = times
    wide = emit(graph, "TILE", row, copies, name=f"{y.name}/copies", source=op.source)
    graph.replace(y, reshaped(graph, wide, y.shape, f"{y.name}/joined", op.source))
    return True
