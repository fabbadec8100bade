"""Values of which the source's own ranges say nothing, so that integers would change them.

A source that says how values are stored leaves the others reals. Where an integer operator stands
beside one of these, its neighbours' ranges say little: m = REDUCE_MIN(x) is stored as the source
says, and is right if x is stored alike; but all else that reads x is not. The constant in
MINIMUM(x, 1e9) does not say how large x is. Without such ranges (with samples, or of a FakeQuant
network) every value has its own, or the user hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Range
from tqconv.ops.table import spec
from tqconv.quant.groups import Grouping
from tqconv.quant.select import is_real, is_same, reals, rule_of


def untold(
    graph: Graph,
    groups: Grouping,
    types: Mapping[Op, np.dtype],
    found: Mapping[Tensor, Range],
    *,
    bounded: bool = False,
) -> set[Tensor]:
    """Return the values that would lose what the source keeps of them.

    bounded: what `found` holds of a value is a bound of that value, where nothing stronger is;
    types: the operators that compute with integers. What such an operator makes of operands that
    are requantized for it; what other operators make; what shares the range of a part of it, or of
    a constant.
    """
    if not any(known.exact for known in found.values()):
        return set()

    def told(tensor: Tensor) -> bool:
        known = found.get(tensor)
        if known is not None and (bounded or known.kind != "propagated"):
            return True
        return any(told(u.op.output) for u in tensor.uses if u.op in types and _holds_all(u.op))

    held = _held(graph, types, found)
    makes = {t for use in groups.requantized for t in use.op.outputs}
    values = [t for t in makes if is_real(t)]
    for tensor, dtype in groups.homes:
        maker = tensor.producer
        real = maker is not None and maker not in types
        if tensor.is_constant or (tensor in held and not real):
            continue
        if real or _is_cut(graph, groups, types, tensor, dtype):
            values.append(tensor)
    return {t for t in values if not told(t)}


def _held(graph: Graph, types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range]) -> set[Tensor]:
    """Return the values with a range, and those that have one because what they are made of has."""
    held = set(found)
    for op in graph.ops:
        if op in types and _ties(op, types[op]):
            operands = {t for _, t in reals(op) if not t.is_constant}
            held.update(op.outputs if operands <= held else ())
    return held


def _is_cut(
    graph: Graph,
    groups: Grouping,
    types: Mapping[Op, np.dtype],
    tensor: Tensor,
    dtype: np.dtype,
) -> bool:
    """Whether a value has the range of others, and more depends on it than they say."""
    group = groups.home(tensor, dtype)
    if all(known.kind == "fixed" for known in group.ranges) and group.pin is None:
        return True
    if not any(known.exact for known in group.ranges):
        return False
    within = (
        types.get(use.op) == dtype
        and _ties(use.op, dtype)
        and not _averages(use.op)
        and groups.read(use, tensor, dtype) is groups.home(use.op.outputs[0], dtype)
        for use in tensor.uses
    )
    return tensor in graph.outputs or not all(within)


def _ties(op: Op, dtype: np.dtype) -> bool:
    rule = rule_of(op)
    return rule is not None and is_same(rule, dtype)


def _averages(op: Op) -> bool:
    rule = rule_of(op)
    return rule is not None and rule.averages


def _holds_all(op: Op) -> bool:
    return spec(op.type).copies in ("order", "permuted")
