"""Tensors that hold one number everywhere."""

from __future__ import annotations

import numpy as np

from tqconv.compose.dims import Dim, described_dim, dim_origin
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import infer
from tqconv.ops.spec import ELEMENTWISE
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import at, exact


@exact
@at("FILL")
def fill_as_scalar(graph: Graph, op: Op) -> bool:
    """Read the number itself where operands beside it have the shape already.

    z = SELECT_V2(c, x, FILL(SHAPE(x), 0))   ->   z = SELECT_V2(c, x, 0)
    """
    value = op.input(1).data
    if value is None:
        return False
    scalar = None
    for reader, index in list(op.output.uses):
        if not _is_spare(reader, op):
            continue
        scalar = scalar or graph.constant(f"{op.output.name}/value", value.reshape(()))
        inputs = tuple(scalar if t is op.output else t for t in reader.inputs)
        if _keeps_types(reader, inputs):
            graph.set_input(reader, index, scalar)
    return scalar is not None and bool(scalar.uses)


def _is_spare(reader: Op, fill: Op) -> bool:
    """Whether an operator works element by element on something of the shape of what is filled."""
    if not known(reader.type) or spec(reader.type).layout is not ELEMENTWISE:
        return False
    others = [t for t in reader.inputs if t is not None and t is not fill.output]
    return any(not t.is_constant and _has_shape_of(t, fill) for t in others)


def _has_shape_of(tensor: Tensor, fill: Op) -> bool:
    if tensor.shape != fill.output.shape:
        return False
    for axis, size in enumerate(tensor.shape):
        told = None if size is not None else described_dim(fill.input(0), axis)
        if size is None and (told is None or dim_origin(told) != dim_origin(Dim(tensor, axis))):
            return False
    return True


def _keeps_types(reader: Op, inputs: tuple[Tensor | None, ...]) -> bool:
    """Whether what an operator makes of other operands looks the same; raises if it takes none."""
    made = infer(Op(reader.type, inputs, reader.outputs, reader.options, reader.source))
    own = [(t.shape, t.dtype) for t in reader.outputs]
    return [(tuple(shape), np.dtype(dtype)) for shape, dtype in made] == own
