"""Tensors that hold one number everywhere."""

from __future__ import annotations

import numpy as np

from tqconv.compose.dims import Dim, described_dim, dim_origin
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import infer
from tqconv.ops.spec import ELEMENTWISE
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import exact

Origins = dict[Dim, Dim]
"""Where open sizes first appear, as far as is known: no rewrite of this pass changes any."""


@exact
def fill_as_scalar(graph: Graph) -> int:
    """Read the number itself where operands beside it have the shape already.

    z = SELECT_V2(c, x, FILL(SHAPE(x), 0))   ->   z = SELECT_V2(c, x, 0)
    """
    origins: Origins = {}
    fills = [op for op in graph.ops if op.type == "FILL"]
    return sum(graph.attempt(lambda _, fill: _as_scalar(graph, fill, origins), op) for op in fills)


def _as_scalar(graph: Graph, op: Op, origins: Origins) -> bool:
    value = op.input(1).data
    if value is None:
        return False
    scalar = None
    for reader, index in list(op.output.uses):
        if not _is_spare(reader, op, origins):
            continue
        scalar = scalar or graph.constant(f"{op.output.name}/value", value.reshape(()))
        inputs = tuple(scalar if t is op.output else t for t in reader.inputs)
        if _keeps_types(reader, inputs):
            graph.set_input(reader, index, scalar)
    return scalar is not None and bool(scalar.uses)


def _is_spare(reader: Op, fill: Op, origins: Origins) -> bool:
    """Whether an operator works element by element on something of the shape of what is filled."""
    if not known(reader.type) or spec(reader.type).layout is not ELEMENTWISE:
        return False
    others = [t for t in reader.inputs if t is not None and t is not fill.output]
    return any(not t.is_constant and _has_shape_of(t, fill, origins) for t in others)


def _has_shape_of(tensor: Tensor, fill: Op, origins: Origins) -> bool:
    if tensor.shape != fill.output.shape:
        return False
    for axis, size in enumerate(tensor.shape):
        if size is not None:
            continue
        told, own = described_dim(fill.input(0), axis), Dim(tensor, axis)
        if told is None or dim_origin(told, origins) != dim_origin(own, origins):
            return False
    return True


def _keeps_types(reader: Op, inputs: tuple[Tensor | None, ...]) -> bool:
    """Whether what an operator makes of other operands looks the same; raises if it takes none."""
    made = infer(Op(reader.type, inputs, reader.outputs, reader.options, reader.source))
    own = [(t.shape, t.dtype) for t in reader.outputs]
    return [(tuple(shape), np.dtype(dtype)) for shape, dtype in made] == own
