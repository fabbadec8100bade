"""Recognize what several operators spell out and one kernel does."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.match import (
    made_by,
    of_type,
    values_of,
    with_constant,
)
from tqconv.ops.emit import emit

EXACT_EPSILON = 1e-10
"""Largest epsilon under the root without which L2_NORMALIZATION is right to 5e-5: it counts only
for vectors shorter than 1e-3."""
TOCO_EPSILON = 1e-3
"""Largest epsilon that TOCO ignores, whose integer kernels have no other form of the pattern."""


def recognize_l2_normalization(graph: Graph) -> int:
    """Read x * rsqrt(max(sum(x^2), e)) over the last axis.

    y = MUL(x, RSQRT(MAXIMUM(SUM(SQUARE(x), [-1]), e)))   ->   y = L2_NORMALIZATION(x)
    """
    return _recognize_l2(graph, EXACT_EPSILON)


def recognize_loose_l2_normalization(graph: Graph) -> int:
    """Read the same as `recognize_l2_normalization`, with each epsilon that TOCO lets pass."""
    return _recognize_l2(graph, TOCO_EPSILON)


def _recognize_l2(graph: Graph, most: float) -> int:
    count = 0
    for op in of_type(graph, "MUL", "DIV"):
        root_type = "RSQRT" if op.type == "MUL" else "SQRT"
        pairs = (op.inputs, op.inputs[::-1]) if op.type == "MUL" else (op.inputs,)
        for x, factor in pairs:
            root = made_by(factor, root_type)
            if x is None or root is None or not _is_square_sum(root.input(0), x, most):
                continue
            y = emit(graph, "L2_NORMALIZATION", x, name=f"{op.output.name}/l2", source=op.source)
            graph.replace(op.output, y)
            count += 1
            break
    return count


def _is_square_sum(total: Tensor, x: Tensor, most: float) -> bool:
    guarded = made_by(total, "MAXIMUM", "ADD")
    if guarded is not None:
        operands = with_constant(guarded)
        if operands is None or not np.all(np.abs(operands.constant) <= most):
            return False
        total = operands.x
    reduction = made_by(total, "SUM")
    if reduction is None or not reduction.options.get("keep_dims"):
        return False
    axes = values_of(reduction.inputs[1])
    if axes is None or [a % x.rank for a in axes] != [x.rank - 1]:
        return False
    square = made_by(reduction.input(0), "SQUARE", "MUL")
    return square is not None and all(t is x for t in square.inputs)


def recognize_log_softmax(graph: Graph) -> int:
    """Take the logarithm inside, where it cannot overflow.

    y = LOG(SOFTMAX(x))   ->   y = LOG_SOFTMAX(x)
    """
    count = 0
    for op in of_type(graph, "LOG"):
        softmax = made_by(op.inputs[0], "SOFTMAX")
        if softmax is None or softmax.options.get("beta", 1.0) != 1.0:
            continue
        source = op.source.joined(softmax.source)
        y = emit(
            graph,
            "LOG_SOFTMAX",
            softmax.input(0),
            name=f"{op.output.name}/log_softmax",
            source=source,
        )
        graph.replace(op.output, y)
        count += 1
    return count
