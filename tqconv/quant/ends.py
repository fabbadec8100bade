"""What becomes outputs of a model, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Range, type_name
from tqconv.ops.facts import COMPARES, RESHAPES
from tqconv.ops.table import those
from tqconv.quant.params import with_zero
from tqconv.quant.schemes import INT16
from tqconv.quant.select import is_real, reals, rule_of

CHOOSES = COMPARES | those(
    lambda row: (
        row.copies is not None
        or row.measures
        or (row.quant is not None and row.quant.same and not row.quant.averages)
    )
)
"""Operators that make elements of what they read, or say something of them."""
STEPS, COARSER = 255, 8.0
"""Of 8 bits, and how many of them one of a kernel may be: that costs three bits."""


def coarse_ends(graph: Graph, types: Mapping[Op, np.dtype], real: Set[Tensor]) -> dict[Op, str]:
    """Return the operators that make nothing but real outputs, in steps built into their kernel.

    What they read becomes reals anyway, before or behind them, and the steps of 8 bits are coarse:
    of SOFTMAX over a thousand classes most results would be zero. `real`: outputs that are float.
    """
    return {
        op: f"makes an output of reals: its integers have steps of {step:.3g}"
        for op, dtype in types.items()
        if dtype.itemsize == 1
        and (rule := rule_of(op)) is not None
        and (step := rule.fixed.get(type_name(dtype), (0.0, 0))[0])
        and ends_in(op.outputs[0], graph, real)
    }


def coarse_kernels(types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range]) -> dict[Op, str]:
    """Return the operators whose results span little of what the steps of their kernel are for.

    TANH(x / 50) * 50, as scores are capped, and the shares of a SOFTMAX over many are a few steps.
    """
    reasons = {}
    for op, dtype in types.items():
        rule, known = rule_of(op), found.get(op.outputs[0]) if op.outputs else None
        step = rule.fixed.get(type_name(dtype), (0.0, 0))[0] if rule is not None else 0.0
        if dtype.itemsize > 1 or not step or known is None or known.kind != "calibrated":
            continue
        low, high = with_zero(known.low, known.high)
        if step > COARSER * (high - low) / STEPS:
            told = f"'{op.outputs[0].name}', {low:.3g} … {high:.3g}"
            reasons[op] = f"its integers have steps of {step:.3g} for {told}"
    return reasons


def fine_ends(graph: Graph, types: Mapping[Op, np.dtype], wide: Set[Tensor]) -> dict[Op, np.dtype]:
    """Return the operators that make nothing but outputs of 16 bits, in steps of their own.

    In 8 bits these would be those of 8 bits; `wide`: outputs that have 16.
    """
    found: dict[Op, np.dtype] = {}
    for end in coarse_ends(graph, types, wide):
        chain = [end]
        for op in chain:
            chain += [use.op for use in op.output.uses if use.op in types]
        rules = [rule_of(op) for op in chain]
        if all(rule is not None and type_name(INT16) in rule.types for rule in rules):
            found.update(dict.fromkeys(chain, INT16))
    return found


def decided_ends(graph: Graph, types: Mapping[Op, np.dtype], real: Set[Tensor]) -> dict[Op, str]:
    """Return the operators from such a kernel to outputs that decide between its results.

    k = EQUAL(s, MAX_POOL_2D(s)); y = SELECT_V2(k, s, 0)          s = LOGISTIC(x), y of reals

    In steps of 1/256 neighbours are equal that are not, and more than one of them is the largest.
    """
    reasons: dict[Op, str] = {}
    for op, dtype in types.items():
        rule = rule_of(op)
        step = rule.fixed.get(type_name(dtype), (0.0, 0))[0] if rule is not None else 0.0
        if dtype.itemsize > 1 or not step:
            continue
        chain = _choosing(op.output, graph, real)
        if any(reader.type in COMPARES for reader in chain):
            why = f"decides between results in steps of {step:.3g}, for an output of reals"
            reasons |= dict.fromkeys((o for o in (op, *chain) if o in types), why)
    return reasons


def _choosing(made: Tensor, graph: Graph, real: Set[Tensor]) -> list[Op]:
    """Return all that reads a value, if that but moves it, compares it, and chooses from it."""
    chain: dict[Op, None] = {}
    waiting, known = [made], {made}
    while waiting:
        tensor = waiting.pop()
        if tensor in graph.outputs and tensor not in real and is_real(tensor):
            return []
        chain |= dict.fromkeys(use.op for use in tensor.uses)
        results = [t for use in tensor.uses for t in use.op.outputs if _is_followed(use.op, t)]
        waiting += set(results) - known
        known.update(results)
    inside = all(
        op.type in CHOOSES and all(t in known or t.is_constant for _, t in reals(op))
        for op in chain
    )
    return list(chain) if inside else []


def _is_followed(op: Op, tensor: Tensor) -> bool:
    """Whether a result holds elements, or says which: not how large they are, or where."""
    return is_real(tensor) or (tensor.dtype == np.bool_ and op.type != "WHERE")


def end_of(tensor: Tensor, graph: Graph) -> Tensor | None:
    """Return the output that a tensor becomes in this order and nothing else, or None."""
    if not ends_in(tensor, graph, set(graph.outputs)):
        return None
    while tensor not in graph.outputs:
        tensor = tensor.uses[0].op.output
    return tensor


def ends_in(tensor: Tensor, graph: Graph, real: Set[Tensor]) -> bool:
    """Whether a tensor, in this order, becomes real outputs and nothing else."""
    if tensor in graph.outputs and tensor not in real:
        return False
    if not all(use.op.type in RESHAPES and use.index == 0 for use in tensor.uses):
        return False
    reached = [ends_in(use.op.outputs[0], graph, real) for use in tensor.uses]
    return all(reached) and bool(reached or tensor in graph.outputs)
