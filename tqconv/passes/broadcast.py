"""Operands that an operator extends by itself to the shape of the others."""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, values_of
from tqconv.ir.types import Shape
from tqconv.ops.table import spec
from tqconv.passes.reshape import is_elementwise
from tqconv.passes.rewrite import at


@at()
def drop_leading_ones(graph: Graph, op: Op) -> bool:
    """Leave it to the operator to extend an operand by leading dimensions of 1.

    y = MUL(x: [1,6,6,8], RESHAPE(s: [1,8], [1,1,1,8]))   ->   y = MUL(x, s)
    """
    if not is_elementwise(op) or len(op.inputs) != 2:
        return False
    for place in (0, 1):
        # The other operand as it is now: it gives the rank, so only one of two can lose it.
        other, before = op.input(1 - place), made_by(op.inputs[place], "RESHAPE")
        if before is None or other.rank < op.output.rank or other is op.inputs[place]:
            continue
        x, y = before.input(0), before.output
        ones = y.rank - x.rank
        fits = x.rank > 0 and ones > 0 and y.shape == (*[1] * ones, *x.shape)
        if fits and _takes(op, place, x):
            graph.set_input(op, place, x)
            return True
    return False


def _takes(op: Op, place: int, x: Tensor) -> bool:
    """Whether an operator makes a result of the same shape from another operand."""
    inputs = [x if i == place else t for i, t in enumerate(op.inputs)]
    try:
        made = spec(op.type).shape(Op(op.type, tuple(inputs), (), op.options))
    except UnsupportedError:
        return False
    return made[0][0] == op.output.shape


@at()
def drop_copies(graph: Graph, op: Op) -> bool:
    """Leave it to the operator to repeat an operand along dimensions of 1.

    y = ADD(x: [2,5,4], TILE(s: [2,1,4], [1,5,1]))   ->   y = ADD(x, s)      (also BROADCAST_TO)
    """
    if not is_elementwise(op) or len(op.inputs) < 2:
        return False
    for place in range(len(op.inputs)):
        copies = made_by(op.inputs[place], "TILE", "BROADCAST_TO")
        if copies is None or copies.output.rank != op.output.rank:
            continue
        x, y = copies.input(0), copies.output.shape
        others = [t for i, t in enumerate(op.inputs) if i != place and t is not None]
        wide = [1] * (len(y) - x.rank) + list(x.shape)
        if copies.type == "TILE":
            times = values_of(copies.inputs[1])
            if times is None:
                continue
            repeated = [axis for axis, count in enumerate(times) if count != 1]
        elif copies.output.is_static:
            repeated = [
                axis for axis, pair in enumerate(zip(wide, y, strict=True)) if len({*pair}) > 1
            ]
        else:
            continue
        if all(wide[axis] == 1 and _has_size(others, y, axis) for axis in repeated) and _takes(
            op, place, x
        ):
            graph.set_input(op, place, x)
            return True
    return False


def _has_size(others: Sequence[Tensor], shape: Shape, axis: int) -> bool:
    """Whether another operand has the known size of an axis already."""
    behind, size = axis - len(shape), shape[axis]
    return size is not None and any(t.rank >= -behind and t.shape[behind] == size for t in others)
