"""Recognize what several operators spell out and one kernel does."""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    is_scalar,
    made_by,
    one_and_exponential,
    sole_reader,
    values_of,
    with_constant,
)
from tqconv.ops.emit import emit
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at

EXACT_EPSILON = 1e-10
"""Largest epsilon under the root without which L2_NORMALIZATION is right to 5e-5: it counts only
for vectors shorter than 1e-3."""
TOCO_EPSILON = 1e-3
"""Largest epsilon that TOCO ignores, whose integer kernels have no other form of the pattern."""


@at("MUL", "DIV")
def recognize_l2_normalization(graph: Graph, op: Op) -> bool:
    """Read x * rsqrt(max(sum(x^2), e)) over the last axis.

    y = MUL(x, RSQRT(MAXIMUM(SUM(SQUARE(x), [-1]), e)))   ->   y = L2_NORMALIZATION(x)
    y = MUL(x, MINIMUM(RSQRT(SUM(SQUARE(x), [-1])), 1e6))   ->   the same
    y = DIV(x, MAXIMUM(SQRT(SUM(SQUARE(x), [-1])), 1e-12))   ->   the same
    """
    return _recognize_l2(graph, op, EXACT_EPSILON)


@at("MUL", "DIV")
def recognize_loose_l2_normalization(graph: Graph, op: Op) -> bool:
    """Read the same as `recognize_l2_normalization`, with each epsilon that TOCO lets pass."""
    return _recognize_l2(graph, op, TOCO_EPSILON)


def _recognize_l2(graph: Graph, op: Op, most: float) -> bool:
    if has_activation(op):
        return False
    root_type = "RSQRT" if op.type == "MUL" else "SQRT"
    pairs = (op.inputs, op.inputs[::-1]) if op.type == "MUL" else (op.inputs,)
    for x, factor in pairs:
        root = made_by(_unbounded(factor, root_type, most), root_type)
        if x is None or root is None or not _is_square_sum(root.input(0), x, most):
            continue
        y = emit(graph, "L2_NORMALIZATION", x, name=f"{op.output.name}/l2", source=op.source)
        graph.replace(op.output, y)
        return True
    return False


def _unbounded(factor: Tensor | None, root_type: str, most: float) -> Tensor | None:
    """Return a length (SQRT), or its reciprocal, without a bound that only short vectors meet.

    As short as those for which an epsilon of `most` under the root counts.
    """
    bound = made_by(factor, "MAXIMUM" if root_type == "SQRT" else "MINIMUM")
    operands = with_constant(bound) if bound is not None else None
    if operands is None or operands.constant.size != 1:
        return factor
    shortest, limit = math.sqrt(most), float(operands.constant.max())
    is_met_by_short = limit <= shortest if root_type == "SQRT" else limit >= 1 / shortest
    return operands.x if is_met_by_short else factor


def _is_square_sum(total: Tensor, x: Tensor, most: float) -> bool:
    """Whether a tensor is the sum of squares of x along the last axis, give or take `most`."""
    guarded = made_by(total, "MAXIMUM", "ADD")
    if guarded is not None:
        if has_activation(guarded):
            return False
        operands = with_constant(guarded)
        if operands is None or not np.all(np.abs(operands.constant) <= most):
            return False
        total = operands.x
    reduction = made_by(total, "SUM")
    if reduction is None or not reduction.options.get("keep_dims"):
        return False
    axes = values_of(reduction.inputs[1])
    if axes is None or not x.rank or [a % x.rank for a in axes] != [x.rank - 1]:
        return False
    square = made_by(reduction.input(0), "SQUARE", "MUL")
    if square is None or has_activation(square):
        return False
    return all(t is x for t in square.inputs)


@at("LOG")
def recognize_log_softmax(graph: Graph, op: Op) -> bool:
    """Take the logarithm inside, where it cannot overflow.

    y = LOG(SOFTMAX(x))   ->   y = LOG_SOFTMAX(x)
    """
    softmax = made_by(op.inputs[0], "SOFTMAX")
    if softmax is None or softmax.options.get("beta", 1.0) != 1.0:
        return False
    source = op.source.joined(softmax.source)
    y = emit(
        graph,
        "LOG_SOFTMAX",
        softmax.input(0),
        name=f"{op.output.name}/log_softmax",
        source=source,
    )
    graph.replace(op.output, y)
    return True


@at("DIV")
def recognize_softmax(graph: Graph, op: Op) -> bool:
    """Read exponentials over their sum along the last axis.

    e = EXP(SUB(x, REDUCE_MAX(x, [-1]))); y = DIV(e, SUM(e, [-1]))   ->   y = SOFTMAX(x)
    """
    total, exponential = made_by(op.inputs[1], "SUM"), made_by(op.inputs[0], "EXP")
    if total is None or exponential is None or has_activation(op):
        return False
    if total.inputs[0] is not op.inputs[0] or not _keeps_last(total):
        return False
    x = _without_peak(exponential.input(0))
    source = op.source.joined(exponential.source, total.source)
    name = f"{op.output.name}/softmax"
    graph.replace(op.output, emit(graph, "SOFTMAX", x, name=name, source=source, beta=1.0))
    return True


@at("EXP")
def recognize_softmax_by_logarithm(graph: Graph, op: Op) -> bool:
    """Read exponentials over their sum along the last axes, divided as logarithms are subtracted.

    l = LOG(SUM(EXP(SUB(x, m)), last)); y = EXP(SUB(x, ADD(l, m)))
    ->   y = SOFTMAX(x), with these axes as one; m: REDUCE_MAX(x, last), or that where it is finite
    """
    difference = made_by(op.inputs[0], "SUB")
    total = made_by(difference.inputs[1], "ADD") if difference is not None else None
    if difference is None or total is None or has_activation(difference) or has_activation(total):
        return False
    x = difference.input(0)
    for part, peak in ((total.input(0), total.input(1)), (total.input(1), total.input(0))):
        logarithm = made_by(part, "LOG")
        sums = made_by(logarithm.inputs[0], "SUM") if logarithm is not None else None
        axes = None if sums is None else _last_axes(sums)
        if sums is None or axes is None or not _is_shifted_exponential(sums.input(0), x, peak):
            continue
        can_reshape = len(axes) == 1 or (None not in x.shape[axes[0] :] and x.shape.count(None) < 2)
        if can_reshape and _peak_axes(peak, x) == axes:
            _replace_by_softmax(graph, op, x, len(axes))
            return True
    return False


def _is_shifted_exponential(tensor: Tensor, x: Tensor, peak: Tensor) -> bool:
    exponential = made_by(tensor, "EXP")
    shifted = made_by(exponential.inputs[0], "SUB") if exponential is not None else None
    if shifted is None or has_activation(shifted):
        return False
    return shifted.input(0) is x and shifted.input(1) is peak


def _peak_axes(peak: Tensor, x: Tensor) -> list[int] | None:
    """Return the axes over which a tensor is the maximum of x, or that where it is finite."""
    choice = made_by(peak, "SELECT_V2")
    if choice is not None:
        peak = choice.input(1)
        is_finite = made_by(choice.inputs[0], "LESS")
        size = made_by(is_finite.inputs[0], "ABS") if is_finite is not None else None
        if size is None or size.input(0) is not peak or choice.output.shape != peak.shape:
            return None
    maximum = made_by(peak, "REDUCE_MAX")
    return None if maximum is None or maximum.input(0) is not x else _last_axes(maximum)


def _last_axes(reduction: Op) -> list[int] | None:
    """Return the axes of a reduction that keeps them, if they are the last ones."""
    axes, rank = values_of(reduction.inputs[1]), reduction.input(0).rank
    found = sorted(a % rank for a in axes or ())
    kept = bool(reduction.options.get("keep_dims"))
    return found if kept and found and found == list(range(found[0], rank)) else None


def _replace_by_softmax(graph: Graph, op: Op, x: Tensor, count: int) -> None:
    """Put the softmax over the last `count` axes in the place of a result."""
    name, sizes = f"{op.output.name}/softmax", x.shape[x.rank - count :]
    if count > 1:
        shape = (*x.shape[: x.rank - count], math.prod(size or 0 for size in sizes))
        x = reshaped(graph, x, shape, f"{name}/flat", op.source)
    y: Tensor = emit(graph, "SOFTMAX", x, name=name, source=op.source, beta=1.0)
    if count > 1:
        y = reshaped(graph, y, op.output.shape, f"{name}/wide", op.source)
    graph.replace(op.output, y)


def _keeps_last(reduction: Op) -> bool:
    """Whether a reduction goes over the last axis only, and keeps it."""
    axes, rank = values_of(reduction.inputs[1]), reduction.input(0).rank
    kept = bool(reduction.options.get("keep_dims"))
    return kept and axes is not None and [a % rank for a in axes] == [rank - 1]


def _without_peak(shifted: Tensor) -> Tensor:
    """Return x where the tensor is x less its largest element, else the tensor."""
    difference = made_by(shifted, "SUB")
    peak = made_by(difference.inputs[1], "REDUCE_MAX") if difference is not None else None
    if difference is None or peak is None or has_activation(difference):
        return shifted
    x = difference.input(0)
    return x if peak.inputs[0] is x and _keeps_last(peak) else shifted


@at("SQUARE", "MUL")
def recognize_squared_difference(graph: Graph, op: Op) -> bool:
    """Square the difference at once, where nothing else reads it.

    d = SUB(x, m); y = SQUARE(d)   ->   y = SQUARED_DIFFERENCE(x, m)          (also MUL(d, d))
    """
    d = op.input(0)
    difference = made_by(d, "SUB")
    if difference is None or d.dtype.kind != "f" or any(t is not d for t in op.inputs):
        return False
    if has_activation(op) or has_activation(difference) or d in graph.outputs:
        return False
    if any(use.op is not op for use in d.uses):
        return False
    source = op.source.joined(difference.source)
    name = f"{op.output.name}/squared"
    operands = (difference.input(0), difference.input(1))
    y = emit(graph, "SQUARED_DIFFERENCE", *operands, name=name, source=source)
    graph.replace(op.output, y)
    return True


@at("DIV")
def recognize_reciprocal_root(graph: Graph, op: Op) -> bool:
    """Take the reciprocal of the root at once.

    y = DIV(1, SQRT(x))   ->   y = RSQRT(x)
    """
    root = made_by(op.inputs[1], "SQRT")
    if root is None or has_activation(op) or not is_scalar(op.inputs[0], 1.0):
        return False
    if op.output.shape != root.output.shape:
        return False
    source = op.source.joined(root.source)
    y = emit(graph, "RSQRT", root.input(0), name=f"{op.output.name}/rsqrt", source=source)
    graph.replace(op.output, y)
    return True


@at("DIV")
def recognize_logistic(graph: Graph, op: Op) -> bool:
    """Read the reciprocal of one and an exponential.

    y = DIV(1, ADD(1, EXP(NEG(x))))   ->   y = LOGISTIC(x)
    """
    total = made_by(op.inputs[1], "ADD")
    if total is None or has_activation(op) or not is_scalar(op.inputs[0], 1.0):
        return False
    exponential = one_and_exponential(total)
    negative = made_by(exponential.input(0), "NEG") if exponential is not None else None
    if negative is None or negative.output.shape != op.output.shape:
        return False
    source = op.source.joined(total.source)
    name = f"{op.output.name}/logistic"
    graph.replace(op.output, emit(graph, "LOGISTIC", negative.input(0), name=name, source=source))
    return True


@at("ADD", "SUB")
def subtract_negatives(graph: Graph, op: Op) -> bool:
    """Subtract instead of adding what was negated, and the other way round.

    y = ADD(a, NEG(b))           ->   y = SUB(a, b)
    y = ADD(a, MUL(NEG(b), c))   ->   y = SUB(a, MUL(b, c))
    """
    sides = ((0, 1), (1, 0)) if op.type == "ADD" else ((0, 1),)
    for first, second in sides:
        positive = _negated(graph, op, op.input(second))
        if positive is None:
            continue
        kind = "SUB" if op.type == "ADD" else "ADD"
        operands = (op.input(first), positive)
        name = f"{op.output.name}/{kind.lower()}"
        y = emit(graph, kind, *operands, name=name, source=op.source, **op.options)
        graph.replace(op.output, y)
        return True
    return False


def _negated(graph: Graph, reader: Op, tensor: Tensor) -> Tensor | None:
    """Return -tensor where that drops a NEG which nothing else needs."""
    op = made_by(tensor, "NEG", "MUL")
    if op is None or sole_reader(graph, tensor) is not reader or has_activation(op):
        return None
    if op.type == "NEG":
        return op.input(0)
    for place, other in ((0, 1), (1, 0)):
        factor = op.input(place)
        negation = made_by(factor, "NEG")
        if negation is None or sole_reader(graph, factor) is not op:
            continue
        operands = (negation.input(0), op.input(other))
        source = op.source.joined(negation.source)
        y: Tensor = emit(graph, "MUL", *operands, name=f"{tensor.name}/positive", source=source)
        return y
    return None
