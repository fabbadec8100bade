"""Small constants beside float activations where LiteRT's kernel reads them wrong as they stand.

A table that is gathered from is moved in its integers, and what was taken becomes reals; products
over several batch axes are taken over one.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import ACTIVATION, has_activation
from tqconv.ir.types import Shape, dtype_of
from tqconv.ops.emit import Operand, emit, finish
from tqconv.ops.table import spec, those
from tqconv.quant.params import encode, limits, weights
from tqconv.quant.schemes import INT8
from tqconv.quant.select import operand_name, rule_of

TAKES_FROM = those(lambda row: row.copies == "chosen" and "indices" in row.operands.names)
"""Operators whose kernel copies elements of operand 0 at places that are computed."""
WIDE_ROW = 192
"""Elements of a row beside which a scale and a zero point of its own (12 bytes) weigh little."""


Stored = dict[tuple[Tensor, int | None, np.dtype, int], Tensor]
"""The small form of a constant, by the axis of its scales (None: one), its type, its blocks."""
LEAST_HALF, LARGEST_HALF = 2.0**-14, 65504.0
"""The scales that float16, in which a file keeps those of blocks, holds in full."""
FEWEST_IN_BLOCKS = 4
"""Outputs of a layer below which the builtin kernel makes zeros of weights in blocks (measured)."""


def take_from_small_table(graph: Graph, op: Op, stored: Stored) -> None:
    """Store the table that an operator takes from as int8, in place.

    y = GATHER(table, i)   ->   y = DEQUANTIZE(GATHER(table: int8, i))
    y = GATHER(table, i)   ->   y = RESHAPE(EMBEDDING_LOOKUP(i: [n], table: int8 by rows), ...)

    Rows with scales of their own need the second form, which knows only the first axis.
    """
    table = op.input(0)
    if _is_lookup(op) and (_row_size(table) >= WIDE_ROW or _has_scales_by_row(table, stored)):
        _look_up(graph, op, small(graph, table, 0, stored))
        return
    integers = small(graph, table, None, stored)
    taken = _emit(graph, op, op.type, integers, op.input(1), name="stored", **op.options)
    taken.quant = integers.quant
    graph.replace(op.output, _emit(graph, op, "DEQUANTIZE", taken, name="reals"))


def _is_lookup(op: Op) -> bool:
    x, indices = op.input(0), op.input(1)
    first = not op.options.get("axis", 0) and not op.options.get("batch_dims", 0)
    fits = indices.dtype == np.int32 and indices.shape.count(None) <= 1
    return op.type == "GATHER" and first and fits and x.rank >= 2


def _row_size(table: Tensor) -> int:
    return table.size // max(table.shape[0] or 1, 1)


def _has_scales_by_row(table: Tensor, stored: Stored) -> bool:
    """Whether another operator reads the table with scales for its first axis."""
    axes = [rule.hybrid.get(operand_name(*use)) for use in table.uses if (rule := rule_of(use.op))]
    return 0 in axes or (table, 0, INT8, 0) in stored


def _look_up(graph: Graph, op: Op, table: Tensor) -> None:
    indices = op.input(1)
    flat = indices
    if indices.rank != 1:
        flat = _emit(graph, op, "RESHAPE", indices, _sizes((None,)), name="places")
    taken = Op("EMBEDDING_LOOKUP", (flat, table), (), {}, op.source)
    shape = (*flat.shape, *table.shape[1:])
    name, row = f"{op.output.name}/rows", spec(taken.type)
    rows: Tensor = finish(graph, row, taken, [(shape, op.output.dtype)], name)
    if indices.rank != 1:
        rows = _emit(graph, op, "RESHAPE", rows, _sizes(op.output.shape), name="shaped")
        rows.shape = op.output.shape
    graph.replace(op.output, rows)


def small(
    graph: Graph,
    tensor: Tensor,
    axis: int | None,
    stored: Stored,
    dtype: np.dtype = INT8,
    block: int = 0,
) -> Tensor:
    """Return a small form of a constant under its name; the one before, where read, takes another.

    dtype: int8 or int4; block: elements that share a scale instead of a slice of the axis.
    """
    key = tensor, axis, dtype, block
    if key in stored:
        return stored[key]
    data, name = tensor.data, tensor.name
    assert data is not None
    graph.release(name)
    tensor.name = graph.unique(f"{name}/float")
    rows = data.reshape(-1, block) if block else data
    params = weights(rows, 0 if block else axis, dtype)
    if block:
        params = replace(params, scale=_short(params.scale))
    constant = graph.constant(name, encode(rows, params).reshape(data.shape))
    constant.quant = replace(params.quant, block=block)
    stored[key] = constant
    return constant


def fits_blocks(data: NDArray[np.float32], block: int) -> bool:
    """Whether enough rows are whole blocks, whose scales float16 holds, but for hardly any."""
    largest = float(np.abs(data).max(initial=0.0)) / limits(dtype_of("INT4"))[1]
    held = 16 * LEAST_HALF <= largest <= LARGEST_HALF
    return held and len(data) >= FEWEST_IN_BLOCKS and data.shape[-1] % block == 0


def unfuse(graph: Graph, op: Op) -> None:
    """Let an operator of its own clamp what another computes, in place.

    y = FULLY_CONNECTED(x, w, b) {RELU}   ->   y = RELU(FULLY_CONNECTED(x, w, b))
    """
    if has_activation(op):
        options = {**op.options, ACTIVATION: "NONE"}
        sums = _emit(graph, op, op.type, *op.inputs, name="sums", **options)
        clamped = _emit(graph, op, op.options[ACTIVATION], sums, name="clamped")
        graph.replace(op.output, clamped)


def _short(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scales with the 8 digits (base 2) that XNNPACK reads of a float16."""
    fraction, exponent = np.frexp(np.clip(scale, LEAST_HALF, LARGEST_HALF))
    return np.ldexp(np.rint(fraction * 256) / 256, exponent)


def sums_wrong(op: Op) -> bool:
    """Whether a product has more than one batch axis: the hybrid kernel takes wrong scales then."""
    batch = op.output.shape[:-2] if op.type == "BATCH_MATMUL" else ()
    return sum(size != 1 for size in batch) > 1


def flatten_product(graph: Graph, op: Op) -> Op | None:
    """Take a product with a constant over one batch axis, in place; None where that cannot be.

    y = BATCH_MATMUL(x: [a,b,m,k], w: [a,b,k,n])
    ->   y = RESHAPE(BATCH_MATMUL(RESHAPE(x, [a*b,m,k]), w: [a*b,k,n]), [a,b,m,n])
    """
    x, w, y = op.input(0), op.input(1), op.output
    batch, count = x.shape[:-2], x.shape[:-2].count(None)
    shared = all(size == 1 for size in w.shape[:-2])
    if w.data is None or 0 in x.shape or (not shared and w.shape[:-2] != batch):
        return None
    if x.shape[-2:].count(None) + count > 1 or y.shape.count(None) > 1:
        return None
    joined = None if count else prod(size or 0 for size in batch)
    matrix = w.data.shape[-2:]
    flat = w.data.reshape(matrix if shared else (-1, *matrix))
    narrow = _emit(graph, op, "RESHAPE", x, _sizes((joined, *x.shape[-2:])), name="x")
    again = w if w.rank == flat.ndim else flat
    product = _emit(graph, op, op.type, narrow, again, name="product", **op.options)
    made = product.producer
    wide = _emit(graph, op, "RESHAPE", product, _sizes(y.shape), name="wide")
    wide.shape = y.shape
    graph.replace(y, wide)
    return made


def _sizes(shape: Shape) -> Operand:
    return np.array([-1 if size is None else size for size in shape], np.int32)


def _emit(
    graph: Graph, op: Op, type: str, *operands: Operand | None, name: str, **options: object
) -> Tensor:
    name = f"{op.output.name}/{name}"
    made: Tensor = emit(graph, type, *operands, name=name, source=op.source, **options)
    return made
