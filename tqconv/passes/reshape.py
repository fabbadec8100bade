"""Reshape as little as possible, and late."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, sole_reader, values_of, with_constant
from tqconv.ir.types import Shape, Source
from tqconv.ops.emit import Operand, emit
from tqconv.ops.facts import LINEAR, RESHAPES
from tqconv.ops.table import known, spec, those
from tqconv.passes.fuse import FUSED
from tqconv.passes.rewrite import at, exact

BINARY = those(lambda row: row.fuses_activation and row.layout.kind == "elementwise")


@at(*FUSED, *BINARY)
def lift_over_reshape(graph: Graph, op: Op) -> bool:
    """Do before a RESHAPE what the linear operator in front of it can take in.

    y = RESHAPE(CONV_2D(x): [1,1,8,4], [1,8,4]); z = ADD(y, c: [4])
    ->   z = RESHAPE(ADD(CONV_2D(x), c), [1,8,4])
    """
    operands = with_constant(op) if op.type in BINARY else None
    if op.type in BINARY and operands is None:
        return False
    y = op.input(0) if operands is None else operands.x
    reshape = made_by(y, *RESHAPES)
    if reshape is None or sole_reader(graph, y) is not op or op.output.shape != y.shape:
        return False
    x = reshape.input(0)
    if made_by(x, *LINEAR) is None or sole_reader(graph, x) is not reshape or has_activation(op):
        return False
    if y.shape.count(None) > 1:
        return False
    inputs: list[Operand] = [x]
    if operands is not None:
        constant = _per_channel(operands.constant, x, y)
        if constant is None:
            return False
        inputs.insert(1 if operands.first else 0, constant)
    name = f"{op.output.name}/{op.type.lower()}"
    lifted = emit(graph, op.type, *inputs, name=name, source=op.source, **op.options)
    lifted.range = op.output.range
    graph.replace(op.output, _reshape(graph, lifted, y, reshape))
    return True


@at()
def sink_reshapes(graph: Graph, op: Op) -> bool:
    """Reshape behind what works element by element, so that it meets the next RESHAPE.

    y = MUL(RESHAPE(a: [1,1,8,4], [1,8,4]), RESHAPE(b: [1,1,8,4], [1,8,4]))
    ->   y = RESHAPE(MUL(a, b), [1,8,4])

    Only behind operators, where nothing is lost: a scale of the model's input is better off next to
    the first convolution.
    """
    if not is_elementwise(op) or op.output.shape.count(None) > 1:
        return False
    places = [i for i, t in enumerate(op.inputs) if t is not None and t.rank > 0]
    before = [made_by(op.inputs[i], *RESHAPES) for i in places]
    origin = before[0].input(0) if before and before[0] is not None else None
    if origin is None or not _is_computed(origin):
        return False
    like = [r for r in before if r is not None and _same(r, origin, op.output)]
    if len(like) < len(before) or any(sole_reader(graph, r.output) is not op for r in like):
        return False
    inputs = list(op.inputs)
    for place, reshape in zip(places, like, strict=True):
        inputs[place] = reshape.input(0)
    name = f"{op.output.name}/{op.type.lower()}"
    sunk = emit(graph, op.type, *inputs, name=name, source=op.source, **op.options)
    sunk.range = op.output.range
    graph.replace(op.output, _reshape(graph, sunk, op.output, like[0]))
    return True


FOUR = 4
"""Dimensions that every device and delegate takes; kernels of LiteRT take more."""


@at()
def compute_in_four_dimensions(graph: Graph, op: Op) -> bool:
    """Leave dimensions of 1 out, and merge neighbours, where RESHAPEs before it made too many.

    y = ADD(RESHAPE(x: [1,4,6,5], [1,1,4,6,5]), c: [1,1,4,1,5])
    ->   y = RESHAPE(ADD(x, c: [1,4,1,5]), [1,1,4,6,5])      (a RESHAPE of a RESHAPE goes)
    """
    y = op.output if len(op.outputs) == 1 else None
    if y is None or y.rank <= FOUR or y.shape.count(None) > 1 or not is_elementwise(op):
        return False
    wide = [t for t in op.inputs if t is not None and t.rank > 0]
    computed = [t for t in wide if not t.is_constant]
    if not computed or any(
        made_by(t, "RESHAPE") is None or sole_reader(graph, t) is not op for t in computed
    ):
        return False
    groups = _merged(y.shape, [_extended(t, y.rank) for t in wide])
    if len(groups) > FOUR:
        return False
    name = f"{y.name}/{op.type.lower()}"
    inputs: list[Operand] = list(op.inputs)
    for place, t in enumerate(op.inputs):
        if t is None or t.rank == 0:
            continue
        shape = [_product(_extended(t, y.rank), group) for group in groups]
        if t.data is None:
            inputs[place] = reshaped(graph, t, shape, f"{t.name}/reshape", op.source)
        else:
            inputs[place] = t.data.reshape([-1 if d is None else d for d in shape])
    made: Tensor = emit(graph, op.type, *inputs, name=name, source=op.source, **op.options)
    made.range = y.range
    graph.replace(y, _reshape(graph, made, y, op))
    return True


def _extended(tensor: Tensor, rank: int) -> Shape:
    return (1,) * (rank - tensor.rank) + tensor.shape


def _merged(whole: Shape, operands: Sequence[Shape]) -> list[list[int]]:
    """Return the axes in at most four groups, or in more where that cannot be.

    Axes of size 1 are in none, but for the first ones while there is room; the last neighbours that
    every operand has whole, or as 1, are in one group where there are too many.
    """
    groups = [[axis] for axis, size in enumerate(whole) if size != 1]

    def alike(first: Sequence[int], second: Sequence[int]) -> bool:
        axes = (first[-1], second[0])
        marks = [tuple(shape[axis] == whole[axis] for shape in operands) for axis in axes]
        return marks[0] == marks[1] and None not in [whole[axis] for axis in (*first, *second)]

    while len(groups) > FOUR:
        pairs = [i for i in range(len(groups) - 1) if alike(groups[i], groups[i + 1])]
        if not pairs:
            return groups
        groups[pairs[-1]] += groups.pop(pairs[-1] + 1)
    ones = [[axis] for axis, size in enumerate(whole) if size == 1]
    return sorted([*groups, *ones[: FOUR - len(groups)]])


def _product(shape: Shape, axes: Sequence[int]) -> int | None:
    sizes = [shape[axis] for axis in axes]
    return None if None in sizes else math.prod(d for d in sizes if d is not None)


def is_elementwise(op: Op) -> bool:
    """Whether an operator makes one tensor, each element from those in the same place."""
    if not known(op.type) or len(op.outputs) != 1 or op.output.producer is not op:
        return False
    return spec(op.type).layout.kind == "elementwise"


def _is_computed(tensor: Tensor) -> bool:
    made = tensor.producer
    return made is not None and (made.type in LINEAR or is_elementwise(made))


def _same(reshape: Op, origin: Tensor, y: Tensor) -> bool:
    """Whether a RESHAPE brings an operand of the origin's shape to the shape of the result."""
    return reshape.input(0).shape == origin.shape and reshape.output.shape == y.shape


def _per_channel(constant: NDArray[Any], x: Tensor, y: Tensor) -> NDArray[Any] | None:
    """Return a constant beside `y` as one number, or one per element of the last axis of `x`.

    That axis may be several of `y`, such as heads and their elements.
    """
    if constant.size == 1:
        return constant.reshape([])
    channels, count = x.shape[-1] if x.rank else None, 1
    for behind in range(1, y.rank + 1):
        size = y.shape[-behind]
        if size is None or channels is None:
            return None
        count *= size
        if count == channels:
            apart = y.shape[-behind:]
            extended = constant.reshape((1,) * (behind - constant.ndim) + constant.shape)
            lead = extended.shape[: extended.ndim - behind]
            if math.prod(lead) != 1:
                return None
            own = extended.reshape(extended.shape[extended.ndim - behind :])
            return np.broadcast_to(own, [size or 0 for size in apart]).reshape(-1)
    return None


@exact
@at("SQUEEZE", "EXPAND_DIMS", "PACK")
def as_reshape(graph: Graph, op: Op) -> bool:
    """Write SQUEEZE, EXPAND_DIMS and a one-element PACK as the RESHAPE that they are.

    y = SQUEEZE(x: [1,1,1,8])   ->   y = RESHAPE(x, [8])
    """
    if op.type == "PACK" and len(op.inputs) > 1:
        return False
    if op.output.shape.count(None) > 1 or op.input(0).shape.count(None) > 1:
        return False
    y = _reshape(graph, op.input(0), op.output, op)
    graph.replace(op.output, y)
    return True


@exact
@at("STRIDED_SLICE", "GATHER")
def whole_as_reshape(graph: Graph, op: Op) -> bool:
    """Write a selection that takes everything as the RESHAPE that it is.

    y = STRIDED_SLICE(x: [1,1,8], [0,-1,0], …) {shrink_axis_mask=2}   ->   y = RESHAPE(x, [1,8])
    """
    x, y = op.input(0), op.output
    takes_all = _gathers_all if op.type == "GATHER" else _slices_all
    if not x.means(y) or y.shape.count(None) > 1 or not takes_all(op):
        return False
    graph.replace(y, _reshape(graph, x, y, op))
    return True


def _slices_all(op: Op) -> bool:
    """Whether a STRIDED_SLICE leaves nothing out and turns nothing around."""
    x, y, strides = op.input(0), op.output, values_of(op.inputs[3])
    if strides is None or op.options.get("ellipsis_mask") or op.options.get("new_axis_mask"):
        return False
    full = op.options.get("begin_mask", 0) & op.options.get("end_mask", 0)
    full &= ~op.options.get("shrink_axis_mask", 0)
    for axis, (size, stride) in enumerate(zip(x.shape, strides, strict=False)):
        if (size is None and not full >> axis & 1) or (size != 1 and stride != 1):
            return False
    # What is unknown of the result alone is unknown because bounds are computed.
    alike = x.shape.count(None) == y.shape.count(None)
    return alike and _known_product(x) == _known_product(y) > 0


def _gathers_all(op: Op) -> bool:
    """Whether a GATHER takes the only slice that there is."""
    x, index, axis = op.input(0), values_of(op.inputs[1]), op.options.get("axis", 0)
    if index is None or op.options.get("batch_dims") or x.rank == 0:
        return False
    return x.shape[axis] == 1 and len(index) == 1 and not any(index)


def _known_product(tensor: Tensor) -> int:
    return math.prod(size for size in tensor.shape if size is not None)


@exact
@at(*RESHAPES)
def merge_reshapes(graph: Graph, op: Op) -> bool:
    """Reshape once.

    y = RESHAPE(x, s); z = RESHAPE(y, t)   ->   z = RESHAPE(x, t)
    """
    before = made_by(op.inputs[0], *RESHAPES)
    if before is None or op.output.shape.count(None) > 1:
        return False
    known_target = op.output.is_static or _minus_one_is_safe(op)
    if not known_target:
        return False
    y = _reshape(graph, before.input(0), op.output, op)
    graph.replace(op.output, y)
    return True


def _minus_one_is_safe(op: Op) -> bool:
    """Whether the one unknown size of the result follows from the number of elements."""
    return op.output.shape.count(None) == 1 and 0 not in op.output.shape


def reshaped(
    graph: Graph, x: Tensor, shape: Sequence[int | None], name: str, source: Source
) -> Tensor:
    """Emit a RESHAPE to sizes of which at most one is unknown."""
    sizes = np.array([-1 if d is None else d for d in shape], np.int32)
    y: Tensor = emit(graph, "RESHAPE", x, sizes, name=name, source=source)
    return y


def _reshape(graph: Graph, x: Tensor, like: Tensor, op: Op) -> Tensor:
    return reshaped(graph, x, like.shape, f"{like.name}/reshape", op.source)


@at("RESHAPE")
def keep_reduced_dims(graph: Graph, op: Op) -> bool:
    """Let the reduction keep the dimensions that a RESHAPE puts back.

    y = MEAN(x, [1,2]) {keep_dims=false}; z = RESHAPE(y, [1,1,1,c])
    ->   z = MEAN(x, [1,2]) {keep_dims=true}
    """
    before = made_by(op.inputs[0], "MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    if (
        before is None
        or before.options.get("keep_dims")
        or sole_reader(graph, before.output) is not op
    ):
        return False
    axes, x = values_of(before.inputs[1]), before.input(0)
    if axes is None or x.shape.count(None) > 1:
        return False
    kept = {a % x.rank for a in axes}
    if op.output.shape != tuple(1 if i in kept else d for i, d in enumerate(x.shape)):
        return False
    y = emit(
        graph,
        before.type,
        x,
        before.input(1),
        name=f"{op.output.name}/kept",
        source=before.source.joined(op.source),
        keep_dims=True,
    )
    graph.replace(op.output, y)
    return True


@at("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
def reduction_to_reshape(graph: Graph, op: Op) -> bool:
    """Reshape where a reduction has nothing to reduce.

    y = MEAN(x: [1,8], [0])   ->   y = RESHAPE(x, [8])
    """
    axes, x = values_of(op.inputs[1]), op.input(0)
    if axes is None or x.shape.count(None) > 1:
        return False
    if any(not -x.rank <= a < x.rank or x.shape[a] != 1 for a in axes):
        return False  # a file may state no shape where it does not know the rank
    graph.replace(op.output, _reshape(graph, x, op.output, op))
    return True
