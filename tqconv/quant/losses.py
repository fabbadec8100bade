"""Operators in which integers would leave nothing of the values, so that they stay float.

A value of 0 … 10 that shares a scale with one of 0 … 10**8, or that is their difference, is zero in
8 bits. Such operators are found by the steps that values need, which flow from outputs to inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.types import Range, type_name
from tqconv.ops.spec import ScaleFloor
from tqconv.ops.steps import is_beyond
from tqconv.ops.table import having, those
from tqconv.quant.ends import ends_in
from tqconv.quant.groups import Group, Grouping
from tqconv.quant.params import with_zero
from tqconv.quant.scale_limits import product_step
from tqconv.quant.schemes import INT16
from tqconv.quant.select import bound_of, can_be_wide, operand_name, reals, rule_of

FEWEST_STEPS = 4
"""A value that spans fewer steps is lost; well-behaved models keep all above 30."""
SAME_UNIT = those(lambda row: row.same_unit or row.clamp is not None)
"""Operators whose inputs and outputs are in the same unit, beside those that share scales."""
STEEP = having(lambda row: row.step)
CARRIES = having(lambda row: row.carries)
JOINS = those(lambda row: row.operands.variadic and row.copies is not None)
"""Operators that put the elements of several operands side by side, in one scale."""
MIXES = those(lambda row: row.copies == "filled")
"""The same, and those that take each element from one operand or another."""
SPAN_COMPARED = 255 / 256
"""Width below which a range holds fewer multiples of 1/256 than 8 bits hold values."""
UNEVEN = 4.0
"""How much wider a part of a join at an output may not be than another: that costs two bits."""


def lost(
    graph: Graph, groups: Grouping, types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range]
) -> dict[Op, str]:
    """Return the operators that would work on steps too coarse for their results, and why."""
    needs, demands = _needs(graph, found)
    reasons: dict[Op, str] = {}
    for op, dtype in types.items():
        made = [(t, groups.home(t, dtype)) for t in op.outputs if (t, dtype) in groups.homes]
        read = [
            (t, groups.read(Use(op, index), t, dtype))
            for index, t in reals(op)
            if not t.is_constant
        ]
        coarse = [t for t, whole in made if _is_coarser(whole, needs.get(t, math.inf))]
        coarse += [t for t, whole in read if _is_coarser(whole, demands[op])]
        unit = product_step(op, groups, dtype)
        if any(unit > needs.get(t, math.inf) for t, _ in made):
            reasons[op] = f"would lose its values: it sums in steps of {unit:.3g}"
        elif coarse:
            steps = {t: float(whole.known().scale[0]) for t, whole in (*made, *read)}
            name, step = coarse[0].name, steps[coarse[0]]
            reasons[op] = f"would lose its values: the steps of '{name}' would be {step:.3g}"
        elif op.type in MIXES and made:
            drowned = _drowned(op, made[0][1], found)
            if drowned is not None:
                reasons[op] = f"would lose the values of {drowned}"
    return reasons


def uneven_ends(
    graph: Graph, types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range], real: Set[Tensor]
) -> dict[Op, str]:
    """Return the joins of unlike parts that make nothing but real outputs.

    Their parts become reals anyway, and each from steps of its own if that is done before.
    `real`: outputs that are float.
    """
    reasons: dict[Op, str] = {}
    for op, dtype in types.items():
        least, most = extremes(op, found) if op.type in JOINS else (None, None)
        if least is None or most is None or dtype.itemsize > 1:
            continue
        ratio = span(found[most]) / span(found[least])
        if ratio >= UNEVEN and ends_in(op.outputs[0], graph, real):
            reasons[op] = (
                f"makes an output of reals: {with_range(least, found)} would have steps "
                f"{ratio:.3g} times as coarse beside {with_range(most, found)}"
            )
    return reasons


def _drowned(op: Op, whole: Group, found: Mapping[Tensor, Range]) -> str | None:
    """Return which part an operator would store in too few steps, and beside which, with ranges.

    Boxes of 0 … 640 beside scores of 0 … 1 are the usual case: all scores would be 0 or 1.
    """
    least, most = extremes(op, found)
    if least is None or most is None or not _is_coarser(whole, span(found[least]) / FEWEST_STEPS):
        return None
    return f"{with_range(least, found)} beside {with_range(most, found)}"


def extremes(op: Op, found: Mapping[Tensor, Range]) -> tuple[Tensor | None, Tensor | None]:
    """Return the operands with the smallest and the largest range that is more than zero.

    The constant that is taken for what is left out (-1e9 in attention) says nothing of the others.
    """
    parts = [
        t
        for t in op.inputs
        if t is not None and t in found and span(found[t]) > 0
        if op.type in JOINS or not t.is_constant
    ]
    if len(parts) < 2:
        return None, None
    return min(parts, key=lambda t: span(found[t])), max(parts, key=lambda t: span(found[t]))


def span(known: Range) -> float:
    """Return the width of a range with zero in it."""
    low, high = with_zero(known.low, known.high)
    return high - low


def with_range(tensor: Tensor, found: Mapping[Tensor, Range]) -> str:
    """Return the name of a value and between which reals it lies."""
    return f"'{tensor.name}' ({found[tensor].low:.3g} … {found[tensor].high:.3g})"


def stopped(
    groups: Grouping, types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range]
) -> dict[Op, str]:
    """Return the operators whose kernel stops at what an operand stores: a zero, or less."""
    reasons: dict[Op, str] = {}
    for op, dtype in types.items():
        rule = rule_of(op)
        if (
            rule is not None
            and rule.floor is not None
            and _is_beyond(op, rule.floor, groups, dtype)
        ):
            reasons[op] = f"the steps of '{op.output.name}' are too large for its kernel"
        for index, tensor in reals(op) if rule is not None else ():
            name = operand_name(op, index)
            bound = bound_of(tensor) if rule is not None and name in rule.nonzero else None
            if rule is None or not (bound or name in rule.unsigned):
                continue
            params = groups.read(Use(op, index), tensor, dtype).params()
            if params is None:
                continue
            if bound and abs(bound) <= float(params.scale[0]):
                reasons[op] = f"stops where '{tensor.name}' is stored as zero"
            if not bound and params.covers()[0] < 0 and _is_below(tensor, dtype, found):
                reasons[op] = f"stops where '{tensor.name}' is stored as less than zero"
    return reasons


def _is_beyond(op: Op, floor: ScaleFloor, groups: Grouping, dtype: np.dtype) -> bool:
    read = [groups.read(Use(op, index), tensor, dtype).params() for index, tensor in reals(op)]
    scales = [float(params.scale.max()) for params in read if params is not None]
    made = groups.home(op.output, dtype).params()
    if made is None or not scales:
        return False
    return is_beyond(floor, scales, float(made.scale.max()), dtype.itemsize)


def _is_below(tensor: Tensor, dtype: np.dtype, found: Mapping[Tensor, Range]) -> bool:
    """Whether a value that can be stored below zero is so; 16 bits have room there in any case."""
    return dtype.itemsize == 1 or (tensor in found and found[tensor].low < 0)


def blurred(groups: Grouping, types: Mapping[Op, np.dtype]) -> dict[Op, str]:
    """Return the comparisons of values whose steps the kernel does not tell apart, and why."""
    reasons: dict[Op, str] = {}
    for op, dtype in types.items():
        rule = rule_of(op)
        if rule is None or type_name(dtype) not in rule.shifted:
            continue
        read = {t: groups.read(Use(op, i), t, dtype).params() for i, t in reals(op)}
        known = {t: params for t, params in read.items() if params is not None}
        tensor = max(known, key=lambda t: known[t].scale[0], default=None)
        if tensor is None:
            continue
        step, (low, high) = float(known[tensor].scale[0]), known[tensor].covers()
        if step >= 1 or high - low < SPAN_COMPARED:
            reasons[op] = (
                f"compares '{tensor.name}', {low:.3g} … {high:.3g}, of which its kernel tells "
                + ("no steps of 1 or more apart" if step >= 1 else "multiples of 1/256 apart")
            )
    return reasons


def seen_wider(ops: Iterable[Op], types: Mapping[Op, np.dtype]) -> dict[Op, np.dtype]:
    """Return the comparisons of 8 bits among these whose kernel may see in 16 what it does not."""
    eight = [op for op in ops if types[op].itemsize == 1]
    rules = [(op, rule) for op in eight if (rule := rule_of(op)) is not None and rule.shifted]
    return {op: INT16 for op, rule in rules if type_name(INT16) in rule.types}


def bounded_wider(groups: Grouping, types: Mapping[Op, np.dtype]) -> dict[Op, np.dtype]:
    """Return the operators of 8 bits around values of which bounds alone are known, to have 16.

    Often only a part of what they may be occurs, which has all of 8 bits' steps then.
    """
    found: dict[Op, np.dtype] = {}
    for tensor, dtype in groups.homes:
        whole = groups.home(tensor, dtype)
        if dtype.itemsize > 1 or whole.pin is not None or not whole.is_bounded:
            continue
        around = [use.op for use in tensor.uses]
        around += [tensor.producer] if tensor.producer is not None else []
        for op in around:
            if op in types and types[op].itemsize == 1 and can_be_wide(op):
                found[op] = INT16
    return found


def _needs(
    graph: Graph, found: Mapping[Tensor, Range]
) -> tuple[dict[Tensor, float], dict[Op, float]]:
    """Return the coarsest step that each value may have, and that each operator may read.

    A value needs steps for itself, and for what is made of it; one that is always zero needs none.
    What steep operators need, needs what their operands are made of, too (`fine`).
    """
    needs: dict[Tensor, float] = {}
    fine: dict[Tensor, float] = {}
    demands: dict[Op, float] = {}
    for op in reversed(graph.ops):
        for tensor in op.outputs:
            if tensor in found and (found[tensor].low, found[tensor].high) != (0.0, 0.0):
                low, high = with_zero(found[tensor].low, found[tensor].high)
                needs[tensor] = min(needs.get(tensor, math.inf), (high - low) / FEWEST_STEPS)
        steep = _demand(op, fine, found)
        demands[op] = min(steep, _least(op, needs)) if _keeps_unit(op) else steep
        for read in op.inputs:
            if read is not None and read.dtype.kind in "fc":
                needs[read] = min(needs.get(read, math.inf), demands[op])
                fine[read] = min(fine.get(read, math.inf), steep)
    return needs, demands


def _demand(op: Op, fine: Mapping[Tensor, float], found: Mapping[Tensor, Range]) -> float:
    """Return the coarsest step of inputs that keeps small values apart where that matters."""
    if op.type in STEEP and op.outputs[0] in found:
        return STEEP[op.type](found[op.outputs[0]])
    need = _least(op, fine)
    if _keeps_unit(op) or need == math.inf:
        return need
    return CARRIES[op.type](op, need) if op.type in CARRIES else math.inf


def _keeps_unit(op: Op) -> bool:
    rule = rule_of(op)
    return op.type in SAME_UNIT or (rule is not None and rule.same)


def _least(op: Op, steps: Mapping[Tensor, float]) -> float:
    return min((steps.get(t, math.inf) for t in op.outputs), default=math.inf)


def _is_coarser(whole: Group, need: float) -> bool:
    """Whether the steps of a group are coarser than needed; those built into kernels never are."""
    params = whole.params()
    return params is not None and whole.pin is None and bool(params.scale[0] > need)
