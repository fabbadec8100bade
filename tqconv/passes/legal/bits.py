"""Move elements of types without a kernel as the bits of a type that has one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import finish
from tqconv.ops.operands import data_operand, is_data
from tqconv.ops.table import known, spec, those
from tqconv.targets.target import LITERT

SAME_WIDTH: Mapping[str, np.dtype] = {
    "uint16": np.dtype(np.int16),
    "uint32": np.dtype(np.int32),
    "uint64": np.dtype(np.int64),
    "complex64": np.dtype(np.int64),
}
"""Element type -> the integers of its width, which most kernels move."""

MOVES = those(lambda row: row.copies not in (None, "order"))
"""Operators whose kernels copy elements or put a 0 between them: its bits are 0 in every type."""


def move_as_bits(graph: Graph) -> int:
    """Move what no kernel moves as integers of the same width; nothing is converted.

    y = GATHER(x: uint64, i)   ->   y = BITCAST(GATHER(BITCAST(x): int64, i)): uint64
    """
    count = 0
    for op in list(graph.ops):
        if op.type not in MOVES or not known(op.type) or op.outputs[0].producer is not op:
            continue
        dtype = op.input(data_operand(spec(op.type))).dtype
        allowed = LITERT.types(op)
        bits: np.dtype | None = SAME_WIDTH.get(dtype.name)
        if allowed is None or bits is None:
            continue
        if dtype.name in allowed or bits.name not in allowed:
            continue
        _move(graph, op, dtype, bits)
        count += 1
    return count


def _move(graph: Graph, op: Op, dtype: np.dtype, bits: np.dtype) -> None:
    row, name = spec(op.type), op.outputs[0].name
    inputs = tuple(
        _bitcast(graph, op, t, bits, f"{name}/bits")
        if t is not None and t.dtype == dtype and is_data(row, i)
        else t
        for i, t in enumerate(op.inputs)
    )
    moved = Op(op.type, inputs, (), dict(op.options), op.source)
    made = finish(graph, row, moved, row.shape(moved), f"{name}/{bits.name}")
    for old, new in zip(op.outputs, made if isinstance(made, tuple) else (made,), strict=True):
        graph.replace(old, _bitcast(graph, op, new, old.dtype, f"{name}/{old.dtype.name}"))


def _bitcast(graph: Graph, op: Op, tensor: Tensor, dtype: np.dtype, name: str) -> Tensor:
    if tensor.data is not None:
        return graph.constant(name, np.ascontiguousarray(tensor.data).view(dtype))
    cast = Op("BITCAST", (tensor,), (), {}, op.source)
    made: Tensor = finish(graph, spec("BITCAST"), cast, [(tensor.shape, dtype)], name)
    return made
