"""Make tensors that have no elements, of a number of rows that is not known, as LiteRT can.

Where all sizes are known they are constants, and nothing is left to run (`ops/empty`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, size_of, vector
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import emit
from tqconv.ops.rules import axis_of
from tqconv.ops.slice import taking_nothing
from tqconv.passes.rewrite import at

WHOLE = {"begin_mask": 1, "end_mask": 1, "shrink_axis_mask": 0, "new_axis_mask": 0}
"""How a strided slice says that it takes a dimension as it is: a bit per mask."""


@at("SLICE", "STRIDED_SLICE")
def take_nothing(graph: Graph, op: Op) -> bool:
    """Take a dimension whole and none of its elements, when another size is not known.

    XNNPACK reads a size of 0 as the rest of the dimension (measured with LiteRT 2.3.0).

    y = SLICE(x: [?,3], [0,0], [-1,0])   ->   y = GATHER(SLICE(x, [0,0], [-1,-1]), []) {axis=1}
    """
    found = taking_nothing(op) if not op.output.is_static else None
    if found is None or any(t is None or t.data is None for t in op.inputs[1:]):
        return False
    place, axis = found
    name, nothing = f"{op.output.name}/whole", np.zeros(0, np.int32)
    operands, options = _taking_all(op, place)
    y = emit(graph, op.type, op.input(0), *operands, name=name, source=op.source, **options)
    y = emit(graph, "GATHER", y, nothing, name=f"{name}/none", source=op.source, axis=axis)
    graph.replace(op.output, y)
    return True


@at("UNPACK")
def unpack_nothing(graph: Graph, op: Op) -> bool:
    """Take the parts of a tensor without elements one by one: the kernel of UNPACK refuses it.

    y, z = UNPACK(x: [?,2,0]) {axis=1}   ->   y = GATHER(x, 0) {axis=1}; z = GATHER(x, 1) {axis=1}
    """
    x = op.input(0)
    if x.is_static or 0 not in x.shape:
        return False
    axis = axis_of(int(op.options.get("axis", 0)), x.rank)
    for place, part in enumerate(op.outputs):
        at_place, name = np.array(place, np.int32), f"{part.name}/part"
        graph.replace(
            part, emit(graph, "GATHER", x, at_place, name=name, source=op.source, axis=axis)
        )
    return True


@at("SOFTMAX", "LOG_SOFTMAX", "REVERSE_V2")
def pass_on_nothing(graph: Graph, op: Op) -> bool:
    """Hand on a tensor without elements: these kernels end the process (LiteRT 2.3.0).

    y = SOFTMAX(x: [?,2,0])   ->   y = TILE(x, [1,1,1])
    """
    x, y = op.input(0), op.output
    if x.is_static or 0 not in x.shape:
        return False
    once = np.ones(x.rank, np.int32)
    graph.replace(y, emit(graph, "TILE", x, once, name=f"{y.name}/same", source=op.source))
    return True


@at("BATCH_MATMUL")
def sum_nothing(graph: Graph, op: Op) -> bool:
    """Write down the product of matrices without elements: XNNPACK does not prepare it.

    y = BATCH_MATMUL(a: [?,2,0], b: [0,3])   ->   y = FILL([SHAPE(a)[0], 2, 3], 0)
    """
    y = op.output
    if y.dtype != np.float32 or not any(0 in op.input(i).shape for i in (0, 1)):
        return False
    b = Builder(graph, op.source, y.name)
    sizes: list[Size] = []
    for axis, size in enumerate(y.shape):
        sizes.append(_computed_size(b, op, axis - y.rank) if size is None else size)
    graph.replace(y, b("FILL", vector(b, sizes), np.zeros((), np.float32)))
    return True


def _computed_size(b: Builder, op: Op, axis: int) -> Size:
    """Return the size of an axis of a product, counted from the end."""
    x, w = op.input(0), op.input(1)
    if axis == -2:
        return size_of(b, x, -1 if op.options.get("adj_x", False) else -2)
    if axis == -1:
        return size_of(b, w, -2 if op.options.get("adj_y", False) else -1)
    batches = [size_of(b, t, axis) for t in (x, w) if t.rank >= -axis]
    return calculate(b, "MAXIMUM", *batches)


def _taking_all(op: Op, place: int) -> tuple[Sequence[NDArray[np.int32]], dict[str, int]]:
    """Return operands and options of a slice that takes all of the dimension at `place`."""
    operands = [_values(t) for t in op.inputs[1:]]
    operands[0][place] = 0
    if op.type == "SLICE":
        operands[1][place] = -1
        return operands, dict(op.options)
    operands[2][place] = 1
    masks = {name: int(op.options.get(name, 0)) & ~(1 << place) for name in WHOLE}
    return operands, {**op.options, **{m: v | WHOLE[m] << place for m, v in masks.items()}}


def _values(tensor: Tensor | None) -> NDArray[np.int32]:
    assert tensor is not None
    assert tensor.data is not None
    return tensor.data.astype(np.int32)
