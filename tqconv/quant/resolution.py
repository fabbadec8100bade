"""Operators in which integers would leave nothing of the values, so that they stay float.

A value of 0 … 10 that shares a scale with one of 0 … 10**8, or that is their difference, is zero in
8 bits. Such operators are found by the steps that values need, which flow from outputs to inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.types import Range
from tqconv.quant.groups import Group, Grouping
from tqconv.quant.params import with_zero
from tqconv.quant.select import reals, rule_of

FEWEST_STEPS = 4
"""A value that spans fewer steps is lost; well-behaved models keep all above 30."""
LINEAR = frozenset({"ADD", "SUB", "ABS", "NEG", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"})
"""Operators whose inputs and outputs are in the same unit, beside those that share scales."""


def lost(
    graph: Graph, groups: Grouping, types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range]
) -> dict[Op, str]:
    """Return the operators that would work on steps too coarse for their results, and why."""
    needs = _needs(graph, found)
    reasons: dict[Op, str] = {}
    for op, dtype in types.items():
        reason = _loss(op, groups, dtype, needs)
        if reason is not None:
            reasons[op] = reason
    return reasons


def _needs(graph: Graph, found: Mapping[Tensor, Range]) -> dict[Tensor, float]:
    """Return the coarsest step that each value may have for itself and for what is made of it."""
    needs: dict[Tensor, float] = {}
    for op in reversed(graph.ops):
        passed = math.inf
        for tensor in op.outputs:
            if tensor in found:
                low, high = with_zero(found[tensor].low, found[tensor].high)
                needs[tensor] = min(needs.get(tensor, math.inf), (high - low) / FEWEST_STEPS)
            passed = min(passed, needs.get(tensor, math.inf))
        if _keeps_unit(op):
            for _, tensor in reals(op):
                needs[tensor] = min(needs.get(tensor, math.inf), passed)
    return needs


def _keeps_unit(op: Op) -> bool:
    rule = rule_of(op)
    return op.type in LINEAR or (rule is not None and rule.same)


def _loss(op: Op, groups: Grouping, dtype: np.dtype, needs: Mapping[Tensor, float]) -> str | None:
    made = [(t, groups.home(t, dtype)) for t in op.outputs if (t, dtype) in groups.homes]
    for tensor, whole in made:
        if _too_coarse(whole, needs.get(tensor, math.inf)):
            return _reason(whole, tensor)
    if not _keeps_unit(op):
        return None
    passed = min((needs.get(t, math.inf) for t in op.outputs), default=math.inf)
    for index, tensor in reals(op):
        if tensor.is_constant:
            continue
        whole = groups.read(Use(op, index), tensor, dtype)
        if _too_coarse(whole, passed):
            return _reason(whole, tensor)
    return None


def _too_coarse(whole: Group, need: float) -> bool:
    params = whole.params()
    return params is not None and whole.pin is None and bool(params.scale[0] > need)


def _reason(whole: Group, tensor: Tensor) -> str:
    step = float(whole.known().scale[0])
    return f"would lose its values: the steps of '{tensor.name}' would be {step:.3g}"
