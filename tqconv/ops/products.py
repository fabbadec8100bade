"""Products of two matrices, and the rows of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ir.types import Shape, numpy_name
from tqconv.ops import stops
from tqconv.ops.rules import broadcast_shapes, is_sub_byte, ranked, same_size, values
from tqconv.ops.spec import QuantRule, Typed, op


def _matrix(shape: Shape, adjoint: bool) -> Shape:
    return (shape[-1], shape[-2]) if adjoint else (shape[-2], shape[-1])


def _batch_matmul(op: Op) -> Sequence[Typed]:
    """a: [..., m, k]; b: [..., k, n]; the leading dimensions broadcast."""
    a, b = op.input(0), op.input(1)
    if a.rank < 2 or b.rank < 2:
        raise UnsupportedError(f"a matrix product of ranks {a.rank} and {b.rank}")
    rows, depth = _matrix(a.shape, op.options.get("adj_x", False))
    other, columns = _matrix(b.shape, op.options.get("adj_y", False))
    same_size(depth, other)
    return [((*broadcast_shapes([a.shape[:-2], b.shape[:-2]]), rows, columns), a.dtype)]


def _multiply(op: Op) -> NDArray[Any]:
    a, b = values(op, 0), values(op, 1)
    if op.options.get("adj_x", False):
        a = a.swapaxes(-1, -2)
    if op.options.get("adj_y", False):
        b = b.swapaxes(-1, -2)
    return np.asarray(np.matmul(a, b), a.dtype)


def _embedding(op: Op) -> Sequence[Typed]:
    """ids: [n]; table: [rows, ...]; y: [n, ...], the reals of a stored table where it says so."""
    ids, table = ranked(op.input(0), 1), op.input(1)
    if table.rank < 2:
        raise UnsupportedError(f"an embedding table of rank {table.rank}")
    real = table.quant is not None and any(y.dtype == np.float32 for y in op.outputs)
    return [((*ids, *table.shape[1:]), np.dtype(np.float32) if real else table.dtype)]


def _rows(op: Op) -> NDArray[Any] | None:
    ids, table = values(op, 0), values(op, 1)
    if ids.size and (ids.min() < 0 or ids.max() >= table.shape[0]):
        return None
    return None if any(y.dtype != table.dtype for y in op.outputs) else np.asarray(table[ids])


# Minimum versions: LiteRT tools/versioning/op_version.cc.
def _batch_matmul_version(op: Op) -> int:
    hybrid = tuple(numpy_name(op.input(i).dtype) for i in (0, 1)) == ("float32", "int8")
    if hybrid and op.options.get("asymmetric_quantize_inputs", False):
        return 4
    return {"int16": 3, "int8": 2}.get(numpy_name(op.input(0).dtype), 1)


def _embedding_version(op: Op) -> int:
    table = op.input(1)
    if table.dtype.name == "int2":
        return 5
    return 4 if is_sub_byte(table) or not (table.quant is None or table.quant.is_per_tensor) else 1


def _batch_matmul_macs(op: Op) -> int:
    depth = _matrix(op.input(0).shape, op.options.get("adj_x", False))[1]
    return op.output.size * (depth or 1)


op(
    "BATCH_MATMUL",
    "a b -> y",
    shape=_batch_matmul,
    fold=_multiply,
    # XNNPACK takes over only products with a symmetric constant.
    quant=QuantRule(
        types=frozenset({"INT8", "INT16"}), centered=("b",), hybrid={"b": None}, skewed=True
    ),
    version=_batch_matmul_version,
    dense=True,
    category="conv",
    macs=_batch_matmul_macs,
    types=frozenset({"float32"}),
    max_rank=5,
)
op(
    "EMBEDDING_LOOKUP",
    "ids table -> y",
    shape=_embedding,
    fold=_rows,
    quant=QuantRule(
        same=True,
        same_over=("table",),
        types=frozenset({"INT8", "UINT8"}),
        hybrid={"table": 0},
    ),
    version=_embedding_version,
    stops=stops.outside_rows,
    category="gather",
)
