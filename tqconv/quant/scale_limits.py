"""Scales that kernels cannot compute: LiteRT aborts the process on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tqconv.ir.graph import Graph, Op, Use
from tqconv.ops.facts import CLAMPS, LINEAR
from tqconv.ops.table import having
from tqconv.quant.groups import Grouping
from tqconv.quant.params import Params, from_peaks, peaks
from tqconv.quant.schemes import INT8
from tqconv.quant.select import operand_name, reals, rule_of

MARGIN = 1.01
"""Keeps a rescale that must be below one clear of it."""
LEAST_RESCALE = 2.0**-31
"""Least scale(x) * scale(w) / scale(y): kernels shift the product right by at most 31 bits."""
MOST_RESCALE = 256.0
"""XNNPACK refuses a whole model with a convolution that rescales by this much or more."""


def _clamped(op: Op) -> float:
    """The ends of a clamp are written in steps of the output: kernels/kernel_util.cc, int32."""
    clamps = (op.type, op.options.get("fused_activation_function", "NONE"))
    ends = [abs(end) for name in clamps for end in CLAMPS.get(name, ()) if math.isfinite(end)]
    return max(ends, default=0.0) / 2**31


MOST_SUM = 2.0**30
"""Steps of the output in a sum before it is clamped: the kernels rescale it to 32 bits, and turn
what is more into anything (kernels/internal/common.cc); a shift may double it on the way."""
FLOORS = having(lambda row: None if row.quant is None else row.quant.floor)


Weights = Callable[[Use], Params | None]
"""How a constant operand is stored, if it is a weight."""


def raise_scales(
    graph: Graph, groups: Grouping, types: Mapping[Op, np.dtype], weights: Weights
) -> None:
    """Raise the output scales that lie below what the kernels compute.

    A raised scale may be the input of another such operator, so this repeats until none is left.
    """
    bounded = [
        op for op in graph.ops if op in types and (op.type in FLOORS or _sums(op) or _clamped(op))
    ]
    for _ in bounded:
        if not any([_raise(op, groups, types[op], weights) for op in bounded]):
            return


def _raise(op: Op, groups: Grouping, dtype: np.dtype, weights: Weights) -> bool:
    floor = _floor(op, groups, dtype, weights) * MARGIN
    made = groups.home(op.output, dtype)
    if made.known().scale[0] >= floor or made.least >= floor:
        return False
    made.least = floor
    return True


def _floor(op: Op, groups: Grouping, dtype: np.dtype, weights: Weights) -> float:
    least = max(_clamped(op), product_step(op, groups, dtype, weights) / MOST_RESCALE)
    least = max(least, _largest_sum(op, groups, dtype) / MOST_SUM)
    if op.type not in FLOORS:
        return least
    scales = [
        groups.read(Use(op, index), tensor, dtype).known().scale[0] for index, tensor in reals(op)
    ]
    return max(least, FLOORS[op.type]([float(s) for s in scales], dtype.itemsize))


def _largest_sum(op: Op, groups: Grouping, dtype: np.dtype) -> float:
    """Return what no sum of products and bias exceeds, whatever the input is; 0 where not known."""
    place = LINEAR.get(op.type)
    weights = None if place is None else op.input(place.w).data
    if place is None or weights is None or not weights.size:
        return 0.0
    x = groups.read(Use(op, place.x), op.input(place.x), dtype).params()
    if x is None:
        return 0.0
    others = tuple(axis for axis in range(weights.ndim) if axis != place.out_axis % weights.ndim)
    sums = np.abs(weights).sum(axis=others, dtype=np.float64)
    bias = op.inputs[place.b] if len(op.inputs) > place.b else None
    shift = 0.0 if bias is None or bias.data is None else np.abs(bias.data)
    return float(np.max(sums * max(map(abs, x.covers())) + shift))


def _sums(op: Op) -> bool:
    """Whether an operator sums products of two operands, which its bias then shares."""
    rule = rule_of(op)
    return rule is not None and bool(rule.bias)


def product_step(
    op: Op, groups: Grouping, dtype: np.dtype, weights: Weights | None = None
) -> float:
    """Return the largest step of sums of products, scale(x) * scale(w); 0 for other operators.

    The steps of a range that is not known yet count as 0; those of weights whose plan is not known
    are as of int8.
    """
    rule = rule_of(op)
    if rule is None or not rule.bias:
        return 0.0
    factors = next(iter(rule.bias.values()))
    operands = {operand_name(op, index): (index, tensor) for index, tensor in reals(op)}
    step = 1.0
    for name in factors:
        index, tensor = operands[name]
        use = Use(op, index)
        if name in rule.weight and tensor.data is not None:
            stored = None if weights is None else weights(use)
            stored = stored or from_peaks(peaks(tensor.data, None), None, INT8)
            step *= float(stored.scale.max())
        else:
            params = groups.read(use, tensor, dtype).params()
            step *= 0.0 if params is None else float(params.scale[0])
    return step
