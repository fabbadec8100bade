"""Recognize what several operators spell out and one kernel does."""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    is_scalar,
    made_by,
    of_type,
    values_of,
    with_constant,
)
from tqconv.ops.emit import emit

SMALLEST_EPSILON = 1e-3
"""Largest epsilon under the root that L2_NORMALIZATION may ignore (TOCO's bound)."""


def recognize_hard_swish(graph: Graph) -> int:
    """Read x * relu6(x + 3) / 6 in any order of its factors.

    y = MUL(MUL(x, RELU6(ADD(x, 3))), 1/6)   ->   y = HARD_SWISH(x)
    """
    count = 0
    for op in of_type(graph, "MUL", "DIV"):
        x = _hard_swish_operand(op)
        if x is None:
            continue
        y = emit(graph, "HARD_SWISH", x, name=f"{op.output.name}/hard_swish", source=op.source)
        graph.replace(op.output, y)
        count += 1
    return count


def _hard_swish_operand(op: Op) -> Tensor | None:
    scale, factors = _factors(op)
    if len(factors) != 2 or not math.isclose(scale, 1 / 6, rel_tol=1e-4):
        return None
    for x, gate in (factors, factors[::-1]):
        relu6 = made_by(gate, "RELU6")
        shifted = made_by(relu6.input(0), "ADD") if relu6 is not None else None
        operands = with_constant(shifted) if shifted is not None else None
        if operands is not None and operands.x is x and np.all(operands.constant == 3):
            return x
    return None


def _factors(op: Op) -> tuple[float, list[Tensor]]:
    """Return a product as (scalar constants multiplied, the other factors)."""
    scale, factors = 1.0, []
    stack: list[tuple[Tensor | None, bool]] = [
        (t, op.type == "DIV" and i == 1) for i, t in enumerate(op.inputs)
    ]
    while stack:
        tensor, inverse = stack.pop()
        if tensor is None:
            continue
        if tensor.data is not None and tensor.size == 1 and tensor.dtype.kind == "f":
            value = float(tensor.data.reshape(-1)[0])
            if value == 0:
                return 0.0, []
            scale = scale / value if inverse else scale * value
            continue
        product = made_by(tensor, "MUL", "DIV")
        if (
            product is not None
            and not inverse
            and not has_activation(product)
            and len(tensor.uses) == 1
        ):
            stack += [(t, product.type == "DIV" and i == 1) for i, t in enumerate(product.inputs)]
        else:
            factors.append(tensor)
            if inverse:
                return scale, []
    return scale, factors


def recognize_l2_normalization(graph: Graph) -> int:
    """Read x * rsqrt(max(sum(x^2), e)) over the last axis.

    y = MUL(x, RSQRT(MAXIMUM(SUM(SQUARE(x), [-1]), e)))   ->   y = L2_NORMALIZATION(x)
    """
    count = 0
    for op in of_type(graph, "MUL", "DIV"):
        root_type = "RSQRT" if op.type == "MUL" else "SQRT"
        pairs = (op.inputs, op.inputs[::-1]) if op.type == "MUL" else (op.inputs,)
        for x, factor in pairs:
            root = made_by(factor, root_type)
            if x is None or root is None or not _is_square_sum(root.input(0), x):
                continue
            y = emit(graph, "L2_NORMALIZATION", x, name=f"{op.output.name}/l2", source=op.source)
            graph.replace(op.output, y)
            count += 1
            break
    return count


def _is_square_sum(total: Tensor, x: Tensor) -> bool:
    guarded = made_by(total, "MAXIMUM", "ADD")
    if guarded is not None:
        operands = with_constant(guarded)
        if operands is None or not np.all(np.abs(operands.constant) <= SMALLEST_EPSILON):
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


def recognize_gelu(graph: Graph) -> int:
    """Read 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    y = MUL(MUL(0.5, x), ADD(1, TANH(...)))   ->   y = GELU(x) {approximate=true}
    """
    count = 0
    for op in of_type(graph, "MUL"):
        scale, factors = _factors(op)
        if len(factors) != 2 or not math.isclose(scale, 0.5, rel_tol=1e-5):
            continue
        for x, gate in (factors, factors[::-1]):
            one_plus = made_by(gate, "ADD")
            operands = with_constant(one_plus) if one_plus is not None else None
            tanh = (
                made_by(operands.x, "TANH")
                if operands is not None and np.all(operands.constant == 1)
                else None
            )
            if tanh is None or not _is_gelu_inner(tanh.input(0), x):
                continue
            y = emit(
                graph, "GELU", x, name=f"{op.output.name}/gelu", source=op.source, approximate=True
            )
            graph.replace(op.output, y)
            count += 1
            break
    return count


def _is_gelu_inner(t: Tensor, x: Tensor) -> bool:
    product = made_by(t, "MUL")
    operands = with_constant(product) if product is not None else None
    if operands is None or not np.allclose(operands.constant, math.sqrt(2 / math.pi), rtol=1e-4):
        return False
    total = made_by(operands.x, "ADD")
    if total is None:
        return False
    for first, cubic in (total.inputs, total.inputs[::-1]):
        scaled = made_by(cubic, "MUL")
        parts = with_constant(scaled) if scaled is not None else None
        if first is x and parts is not None and np.allclose(parts.constant, 0.044715, rtol=1e-4):
            return _is_cube(parts.x, x)
    return False


def _is_cube(t: Tensor, x: Tensor) -> bool:
    power = made_by(t, "POW")
    if power is not None:
        return power.inputs[0] is x and is_scalar(power.inputs[1], 3.0)
    product = made_by(t, "MUL")
    if product is None:
        return False
    for a, b in (product.inputs, product.inputs[::-1]):
        square = made_by(b, "MUL", "SQUARE")
        if a is x and square is not None and all(s is x for s in square.inputs):
            return True
    return False


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
