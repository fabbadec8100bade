"""Adapt operators to what kernels take: element types they lack, ranks above theirs.

What is refused says the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import type_name
from tqconv.ops.emit import emit, finish
from tqconv.ops.operands import is_data
from tqconv.ops.spec import OpSpec
from tqconv.ops.table import spec
from tqconv.targets.target import LITERT

WIDER = {
    "bool": ("uint8", "int8", "int32"),
    "int8": ("int16", "int32", "int64", "float32"),
    "uint8": ("int16", "int32", "int64", "float32"),
    "int16": ("int32", "int64", "float32"),
    "uint16": ("int32", "int64", "float32"),
    "int32": ("int64",),
    "uint32": ("int64",),
    "uint64": (),
    "int64": (),
    "float16": ("float32",),
    "float64": ("float32",),
}
"""Element type -> types that stand in for it, the nearest first; CAST has no kernel for uint64."""


def lower_types(graph: Graph) -> int:
    """Compute in a wider type where the kernel lacks the one of the operands.

    y = ADD(a: int8, b: int8)   ->   y = CAST(ADD(CAST(a, int16), CAST(b, int16)), int8)
    """
    count = 0
    for op in list(graph.ops):
        narrow = LITERT.refused_type(op)
        if narrow is None or not op.outputs or op.outputs[0].producer is not op:
            continue
        allowed = LITERT.types(op) or frozenset()
        wide = next((w for w in WIDER.get(narrow, ()) if w in allowed), None)
        if wide is None:
            raise UnsupportedError(
                f"{op.type} has no kernel for {narrow}",
                where=op.source,
                hint="cast the operands in the model",
            )
        _recompute(graph, op, spec(op.type), np.dtype(narrow), np.dtype(wide))
        count += 1
    return count


def _recompute(graph: Graph, op: Op, row: OpSpec, narrow: np.dtype, wide: np.dtype) -> None:
    name = op.outputs[0].name
    inputs = tuple(
        _cast(graph, t, wide, f"{name}/widened", op)
        if t is not None and t.dtype == narrow and is_data(row, i)
        else t
        for i, t in enumerate(op.inputs)
    )
    moved = Op(op.type, inputs, (), dict(op.options), op.source)
    made = finish(graph, row, moved, row.shape(moved), f"{name}/{wide.name}")
    for old, new in zip(op.outputs, made if isinstance(made, tuple) else (made,), strict=True):
        graph.replace(old, _cast(graph, new, old.dtype, f"{name}/narrowed", op))


def _cast(graph: Graph, tensor: Tensor, dtype: np.dtype, name: str, op: Op) -> Tensor:
    if tensor.dtype == dtype:
        return tensor
    cast: Tensor = emit(
        graph,
        "CAST",
        tensor,
        name=name,
        source=op.source,
        in_data_type=type_name(tensor.dtype),
        out_data_type=type_name(dtype),
    )
    return cast


def lower_ranks(graph: Graph) -> int:
    """Collapse dimensions where the kernel takes fewer than the operands have.

    y = ADD(a: [2,1,3,4,5,6,7], b)   ->   y = RESHAPE(ADD(RESHAPE(a, [2,…]), …), [2,1,3,4,5,6,7])
    """
    count = 0
    for op in list(graph.ops):
        rank = LITERT.refused_rank(op)
        if rank is None or not op.outputs or op.outputs[0].producer is not op:
            continue
        row, limit = spec(op.type), LITERT.ranks(op) or 0
        if row.layout.kind != "elementwise":
            continue
        if not all(t is None or t.is_static for t in (*op.inputs, *op.outputs)):
            raise UnsupportedError(
                f"{op.type} takes at most {limit} dimensions, "
                f"the sizes of these {rank} are unknown",
                where=op.source,
                hint="give the inputs a shape with --input_shapes",
            )
        groups = _joint_groups([t.shape for t in op.inputs if t is not None], rank)
        if len(groups) > limit:
            raise UnsupportedError(
                f"{op.type} takes at most {limit} dimensions, got {rank}", where=op.source
            )
        _collapse(graph, op, row, groups, rank)
        count += 1
    return count


def _joint_groups(shapes: Sequence[tuple[int | None, ...]], rank: int) -> list[list[int]]:
    """Return runs of dimensions in which every operand either has all sizes or is 1 throughout."""
    padded = [(1,) * (rank - len(s)) + tuple(d or 0 for d in s) for s in shapes]
    kinds = [tuple(p[i] == 1 for p in padded) for i in range(rank)]
    groups: list[list[int]] = []
    for axis in range(rank):
        all_ones = all(kinds[axis])
        if groups and (
            all_ones or kinds[axis] == kinds[groups[-1][0]] or all(kinds[groups[-1][0]])
        ):
            if all(kinds[groups[-1][0]]) and not all_ones:
                groups[-1].insert(0, axis)
            else:
                groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _collapse(graph: Graph, op: Op, row: OpSpec, groups: list[list[int]], rank: int) -> None:
    name = op.output.name

    def collapsed(tensor: Tensor | None) -> Tensor | None:
        if tensor is None or tensor.rank == 0:
            return tensor
        dims = (1,) * (rank - tensor.rank) + tuple(d or 0 for d in tensor.shape)
        sizes = np.array([int(np.prod([dims[i] for i in g])) for g in groups], np.int32)
        made: Tensor = emit(graph, "RESHAPE", tensor, sizes, name=f"{name}/flat", source=op.source)
        return made

    moved = Op(op.type, tuple(collapsed(t) for t in op.inputs), (), dict(op.options), op.source)
    made = finish(graph, row, moved, row.shape(moved), f"{name}/{op.type.lower()}")
    sizes = np.array(op.output.shape, np.int32)
    back = emit(graph, "RESHAPE", made, sizes, name=f"{name}/unflattened", source=op.source)
    graph.replace(op.output, back)
