"""What becomes outputs of a model, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import type_name
from tqconv.ops.table import those
from tqconv.quant.schemes import INT16
from tqconv.quant.select import rule_of

ORDERED = those(lambda row: row.copies == "order")


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
    if not all(use.op.type in ORDERED and use.index == 0 for use in tensor.uses):
        return False
    reached = [ends_in(use.op.outputs[0], graph, real) for use in tensor.uses]
    return all(reached) and bool(reached or tensor in graph.outputs)
