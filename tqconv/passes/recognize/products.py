"""Products of two matrices that are computed: as attention has them."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, sole_reader, values_of, with_constant
from tqconv.ops.emit import emit
from tqconv.ops.facts import LINEAR
from tqconv.passes.fold import float_weights
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at


@at("MUL", "DIV")
def scale_before_product(graph: Graph, op: Op) -> bool:
    """Scale the operand that a linear operator makes, whose weights can take it in.

    s = BATCH_MATMUL(RESHAPE(FULLY_CONNECTED(x, w)), k); y = MUL(s, 0.5)
    ->   y = BATCH_MATMUL(MUL(RESHAPE(FULLY_CONNECTED(x, w)), 0.5), k)
    """
    operands = with_constant(op)
    if operands is None or operands.constant.size != 1:
        return False
    if (op.type == "DIV" and not operands.first) or operands.x.shape != op.output.shape:
        return False
    product = made_by(operands.x, "BATCH_MATMUL")
    if product is None or sole_reader(graph, operands.x) is not op:
        return False
    place = next((i for i in (0, 1) if _is_linear(graph, product.input(i), product)), None)
    if place is None:
        return False
    factor, name = operands.constant.reshape(()), op.output.name
    inputs = list(product.inputs)
    inputs[place] = emit(
        graph, op.type, product.input(place), factor, name=f"{name}/scaled", source=op.source
    )
    source = product.source.joined(op.source)
    y = emit(
        graph, "BATCH_MATMUL", *inputs, name=f"{name}/product", source=source, **product.options
    )
    graph.replace(op.output, y)
    return True


def _is_linear(graph: Graph, tensor: Tensor, reader: Op) -> bool:
    """Whether a linear operator makes a tensor for one reader, moved at most on the way."""
    while sole_reader(graph, tensor) is reader and tensor.producer is not None:
        reader = tensor.producer
        if reader.type in LINEAR:
            return float_weights(reader) is not None and not has_activation(reader)
        if reader.type not in ("RESHAPE", "TRANSPOSE"):
            return False
        tensor = reader.input(0)
    return False


@at("TRANSPOSE")
def product_across(graph: Graph, op: Op) -> bool:
    """Multiply in the other order rather than turn the product.

    y = TRANSPOSE(BATCH_MATMUL(k, TRANSPOSE(q, [0,2,3,1])), [0,1,3,2])
    ->   y = BATCH_MATMUL(TRANSPOSE(q, [0,2,1,3]), k) {adj_y=true}
    """
    product, perm = made_by(op.inputs[0], "BATCH_MATMUL"), values_of(op.inputs[1])
    if product is None or perm is None or sole_reader(graph, op.input(0)) is not op:
        return False
    rank = len(perm)
    if rank < 2 or [p % rank for p in perm] != [*range(rank - 2), rank - 1, rank - 2]:
        return False
    first, second = product.input(1), product.input(0)
    across = not product.options.get("adj_y", False)
    if across:
        before = made_by(first, "TRANSPOSE")
        order = None if before is None else values_of(before.inputs[1])
        if before is None or order is None or sole_reader(graph, first) is not product:
            return False
        turned = np.array([*order[:-2], order[-1], order[-2]], np.int32)
        x, name = before.input(0), f"{first.name}/across"
        first = emit(graph, "TRANSPOSE", x, turned, name=name, source=before.source)
    options = {**product.options, "adj_x": False, "adj_y": not product.options.get("adj_x", False)}
    name, source = f"{op.output.name}/product", product.source.joined(op.source)
    y = emit(graph, "BATCH_MATMUL", first, second, name=name, source=source, **options)
    graph.replace(op.output, y)
    return True


@at("BATCH_MATMUL")
def product_of_vectors(graph: Graph, op: Op) -> bool:
    """Multiply two vectors element by element, and add up.

    a: [n,1,5]; b: [n,5,1]; y = BATCH_MATMUL(a, b)
    ->   y = RESHAPE(SUM(MUL(RESHAPE(a, [n,5]), RESHAPE(b, [n,5])), [1]), [n,1,1])
    """
    a, b, y = op.input(0), op.input(1), op.output
    if a.is_constant or b.is_constant or y.rank < 3 or y.shape[-2:] != (1, 1):
        return False
    if a.shape[:-2] != b.shape[:-2] or a.shape[:-2] != y.shape[:-2] or y.shape.count(None) > 1:
        return False
    depth = a.shape[-2 if op.options.get("adj_x") else -1]
    if depth is None or depth == 1 or any(made_by(t, "RESHAPE") is None for t in (a, b)):
        return False
    shape, name = [*y.shape[:-2], depth], y.name
    rows = [reshaped(graph, t, shape, f"{t.name}/vector", op.source) for t in (a, b)]
    both = emit(graph, "MUL", *rows, name=f"{name}/both", source=op.source)
    last = np.array([len(shape) - 1], np.int32)
    total = emit(graph, "SUM", both, last, name=f"{name}/sum", source=op.source, keep_dims=True)
    graph.replace(y, reshaped(graph, total, y.shape, f"{name}/product", op.source))
    return True
