"""Recognize activations that are spelled out with minima, maxima and products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    is_scalar,
    made_by,
    sole_reader,
    with_constant,
)
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.ops.facts import CLAMPS
from tqconv.passes.rewrite import at

RAMPS = {name: high for name, (low, high) in CLAMPS.items() if low == 0 and high < math.inf}
"""Activations that clamp between 0 and a bound."""


@at("MAXIMUM", "MINIMUM")
def clamp_to_activation(graph: Graph, op: Op) -> bool:
    """Read clamps by constants as activations.

    y = MAXIMUM(x, 0)                       ->   y = RELU(x)
    y = MINIMUM(RELU(x), 6)                 ->   y = RELU6(x)
    y = MINIMUM(RELU(x), 1)                 ->   y = RELU_0_TO_1(x)
    y = MINIMUM(MAXIMUM(x, -1), 1)          ->   y = RELU_N1_TO_1(x)          (in either order)
    """
    found = _activation_of(graph, op)
    if found is None or op.output.dtype != np.float32:
        return False
    kind, x, sources = found
    if x.shape != op.output.shape:
        return False
    source = op.source.joined(*sources)
    graph.replace(op.output, emit(graph, kind, x, name=f"{op.output.name}/clamp", source=source))
    return True


def _activation_of(graph: Graph, op: Op) -> tuple[str, Tensor, list[Source]] | None:
    outer = with_constant(op)
    if outer is None:
        return None
    if op.type == "MAXIMUM" and np.all(outer.constant == 0):
        low = made_by(outer.x, "MINIMUM")
        inner = with_constant(low) if low is not None else None
        kind = _ramp(inner.constant) if inner is not None else None
        if low is not None and inner is not None and kind is not None:
            return kind, inner.x, [low.source]
        return "RELU", outer.x, []
    kind = _ramp(outer.constant) if op.type == "MINIMUM" else None
    relu = made_by(outer.x, "RELU")
    if kind is not None and relu is not None:
        return kind, relu.input(0), [relu.source]
    bound = {"MINIMUM": 1.0, "MAXIMUM": -1.0}[op.type]
    before = made_by(outer.x, "MAXIMUM" if op.type == "MINIMUM" else "MINIMUM")
    inner = with_constant(before) if before is not None else None
    if before is None or inner is None or sole_reader(graph, before.output) is not op:
        return None
    if np.all(outer.constant == bound) and np.all(inner.constant == -bound):
        return "RELU_N1_TO_1", inner.x, [before.source]
    return None


def _ramp(bound: NDArray[Any]) -> str | None:
    """Return the activation that clamps between 0 and this bound."""
    return next((kind for kind, top in RAMPS.items() if np.all(bound == top)), None)


@at("MAXIMUM")
def recognize_leaky_relu(graph: Graph, op: Op) -> bool:
    """Read a maximum with a fraction of itself as LEAKY_RELU.

    y = MAXIMUM(x, MUL(x, a)), 0 < a < 1   ->   y = LEAKY_RELU(x) {alpha=a}
    """
    for x, scaled in (op.inputs, op.inputs[::-1]):
        product = made_by(scaled, "MUL")
        operands = with_constant(product) if product is not None else None
        if operands is None or operands.x is not x or operands.constant.size != 1:
            continue
        if x.shape != op.output.shape:
            continue
        alpha = float(operands.constant.reshape(-1)[0])
        if 0 < alpha < 1:
            y = emit(
                graph,
                "LEAKY_RELU",
                x,
                name=f"{op.output.name}/leaky",
                source=op.source,
                alpha=alpha,
            )
            graph.replace(op.output, y)
            return True
    return False


@at("SELECT_V2")
def recognize_scaled_half(graph: Graph, op: Op) -> bool:
    """Read a choice between a tensor, where it is positive, and a multiple of it as LEAKY_RELU.

    y = SELECT_V2(GREATER(x, 0), x, MUL(x, a))   ->   y = LEAKY_RELU(x) {alpha=a}

    Also of e = ELU(x), which is positive where x is: an ELU with a scale of its own.
    """
    test, e = made_by(op.inputs[0], "GREATER"), op.input(1)
    product = made_by(op.inputs[2], "MUL")
    operands = with_constant(product) if product is not None else None
    if test is None or product is None or operands is None:
        return False
    source = made_by(e, "ELU")
    wanted = (e,) if source is None else (e, source.input(0))
    if not is_scalar(test.inputs[1], 0.0) or not any(test.inputs[0] is t for t in wanted):
        return False
    if operands.x is not e or operands.constant.size != 1 or e.shape != op.output.shape:
        return False
    alpha, name = float(operands.constant.reshape(-1)[0]), f"{op.output.name}/leaky"
    graph.replace(op.output, emit(graph, "LEAKY_RELU", e, name=name, source=op.source, alpha=alpha))
    return True


@at("ADD", "SUB")
def recognize_prelu(graph: Graph, op: Op) -> bool:
    """Read the two halves of a parametric ReLU.

    y = ADD(RELU(x), MUL(a, RELU(NEG(x)))), a constant   ->   y = PRELU(x, -a)
    y = ADD(RELU(x), MUL(MUL(a, SUB(x, ABS(x))), 0.5))   ->   y = PRELU(x, a)
    """
    if has_activation(op):
        return False
    for left, right in (op.inputs, op.inputs[::-1]) if op.type == "ADD" else (op.inputs,):
        relu = made_by(left, "RELU")
        if relu is None or right is None:
            continue
        x = relu.input(0)
        alpha = _negative_slope(x, right)
        if alpha is None or x.rank < 2 or x.shape != op.output.shape:
            continue
        sign = -1.0 if op.type == "SUB" else 1.0
        slopes = _prelu_slopes(alpha * np.float32(sign), x)
        if slopes is None:
            continue
        y = emit(graph, "PRELU", x, slopes, name=f"{op.output.name}/prelu", source=op.source)
        graph.replace(op.output, y)
        return True
    return False


def _negative_slope(x: Tensor, part: Tensor) -> NDArray[Any] | None:
    """Return a where `part` is a * min(x, 0), spelled in one of the usual ways."""
    product = made_by(part, "MUL")
    operands = with_constant(product) if product is not None else None
    if operands is None:
        negated = made_by(part, "NEG")
        if negated is None or made_by(negated.inputs[0], "NEG") is not None:
            return None
        slope = _negative_slope(x, negated.input(0))
        return None if slope is None else -slope
    if is_negative_half(x, operands.x):
        return -operands.constant
    low = made_by(operands.x, "MINIMUM")
    bound = with_constant(low) if low is not None else None
    if bound is not None and bound.x is x and np.all(bound.constant == 0):
        return operands.constant
    inner_op = made_by(operands.x, "MUL")
    inner = with_constant(inner_op) if inner_op is not None else None
    twice = inner.x if inner is not None else operands.x
    difference = made_by(twice, "SUB")
    if difference is None or difference.inputs[0] is not x or has_activation(difference):
        return None
    absolute = made_by(difference.inputs[1], "ABS")
    if absolute is None or absolute.inputs[0] is not x:
        return None
    constant = operands.constant * inner.constant if inner is not None else operands.constant
    return np.asarray(constant * 2, np.float32)


def is_negative_half(x: Tensor, t: Tensor) -> bool:
    """Whether `t` is max(-x, 0)."""
    relu = made_by(t, "RELU")
    negated = relu.input(0) if relu is not None else None
    op = made_by(negated, "NEG", "MUL")
    if op is None:
        return False
    if op.type == "NEG":
        return op.inputs[0] is x
    operands = with_constant(op)
    return operands is not None and operands.x is x and bool(np.all(operands.constant == -1))


def _prelu_slopes(alpha: NDArray[Any], x: Tensor) -> NDArray[Any] | None:
    """Return slopes as PRELU reads them: in x's shape without the batch, from the right."""
    flat: NDArray[Any] = alpha.reshape(alpha.shape or (1,))
    if flat.ndim > x.rank - 1:
        if flat.shape[0] != 1 or flat.ndim != x.rank:
            return None
        flat = flat[0]
    channels = x.shape[-1]
    if flat.size == 1 and channels is not None:
        flat = np.full(channels, flat.reshape(-1)[0], np.float32)
    ones = [1] * (x.rank - 1 - flat.ndim)
    return np.ascontiguousarray(flat.reshape([*ones, *flat.shape]), np.float32)
