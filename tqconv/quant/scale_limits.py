"""Scales that kernels cannot compute: LiteRT aborts the process on them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ops.table import having
from tqconv.quant.evidence.intervals import CLAMPS
from tqconv.quant.groups import Grouping
from tqconv.quant.params import from_peaks, peaks
from tqconv.quant.schemes import INT8
from tqconv.quant.select import operand_name, reals, rule_of

MARGIN = 1.01
"""Keeps a rescale that must be below one clear of it."""
MOST_RESCALE = 256.0
"""XNNPACK refuses a whole model with a convolution that rescales by this much or more."""


def _clamped(op: Op) -> float:
    """The ends of a clamp are written in steps of the output: kernels/kernel_util.cc, int32."""
    clamps = (op.type, op.options.get("fused_activation_function", "NONE"))
    ends = [abs(end) for name in clamps for end in CLAMPS.get(name, ()) if math.isfinite(end)]
    return max(ends, default=0.0) / 2**31


FLOORS = having(lambda row: None if row.quant is None else row.quant.floor)


def raise_scales(graph: Graph, groups: Grouping, types: Mapping[Op, np.dtype]) -> None:
    """Raise the output scales that lie below what the kernels compute.

    A raised scale may be the input of another such operator, so this repeats until none is left.
    """
    bounded = [
        op for op in graph.ops if op in types and (op.type in FLOORS or _sums(op) or _clamped(op))
    ]
    for _ in bounded:
        if not any([_raise(op, groups, types[op]) for op in bounded]):
            return


def _raise(op: Op, groups: Grouping, dtype: np.dtype) -> bool:
    floor = _floor(op, groups, dtype) * MARGIN
    made = groups.home(op.output, dtype)
    if made.known().scale[0] >= floor or made.least >= floor:
        return False
    made.least = floor
    return True


def _floor(op: Op, groups: Grouping, dtype: np.dtype) -> float:
    least = max(_clamped(op), product_step(op, groups, dtype) / MOST_RESCALE)
    if op.type not in FLOORS:
        return least
    scales = [
        groups.read(Use(op, index), tensor, dtype).known().scale[0] for index, tensor in reals(op)
    ]
    return max(least, FLOORS[op.type]([float(s) for s in scales], dtype.itemsize))


def _sums(op: Op) -> bool:
    """Whether an operator sums products of two operands, which its bias then shares."""
    rule = rule_of(op)
    return rule is not None and bool(rule.bias)


def product_step(op: Op, groups: Grouping, dtype: np.dtype) -> float:
    """Return the largest step of sums of products, scale(x) * scale(w); 0 for other operators.

    The steps of a range that is not known yet count as 0.
    """
    rule = rule_of(op)
    if rule is None or not rule.bias:
        return 0.0
    factors = next(iter(rule.bias.values()))
    operands = {operand_name(op, index): (index, tensor) for index, tensor in reals(op)}
    step = 1.0
    for name in factors:
        index, tensor = operands[name]
        step *= _step(Use(op, index), tensor, name in rule.weight, groups, dtype)
    return step


def _step(use: Use, tensor: Tensor, is_weight: bool, groups: Grouping, dtype: np.dtype) -> float:
    if is_weight and tensor.data is not None:
        return float(from_peaks(peaks(tensor.data, None), None, INT8).scale[0])
    params = groups.read(use, tensor, dtype).params()
    return 0.0 if params is None else float(params.scale[0])
