"""Dilation spelt out: the compiler Vela reads three operators around a convolution as one.

SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND, with at most one operator that moves ones
between two of them, become a dilated convolution where that is one that the NPU takes.
"""

from __future__ import annotations

from tqconv.ir.graph import Op, Tensor
from tqconv.targets.device import Refusal, Rule, operand

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
BEFORE, AFTER = "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"
_MOVES_ONES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


def dilates(accepts: Rule) -> Rule:
    """One of a pair around a convolution that the compiler reads as its dilation."""

    def rule(op: Op) -> Refusal | None:
        conv = _reader(op.outputs[0]) if op.type == BEFORE else _maker(op.inputs[0])
        whole = None if conv is None else dilated(conv)
        if whole is None:
            return Refusal("it is not one of a pair around a convolution")
        return accepts(whole)

    return rule


def dilated(conv: Op) -> Op | None:
    """Return the convolution that a convolution and a pair around it are together."""
    before, after = _maker(conv.inputs[0]), _reader(conv.outputs[0])
    if conv.type not in CONVOLUTIONS or before is None or after is None:
        return None
    block = operand(before, "block")
    if (before.type, after.type) != (BEFORE, AFTER) or block is None or block.data is None:
        return None
    rows, *columns = (int(size) for size in block.data.reshape(-1))
    gaps = {"dilation_h_factor": rows, "dilation_w_factor": (columns or [rows])[0]}
    inputs = (before.inputs[0], *conv.inputs[1:])
    return Op(conv.type, inputs, after.outputs, {**conv.options, **gaps})


def _reader(tensor: Tensor) -> Op | None:
    """Return the one reader of a tensor, past one operator that moves ones."""
    found = _only_reader(tensor)
    return _only_reader(found.outputs[0]) if found is not None and _moves_ones(found) else found


def _maker(tensor: Tensor | None) -> Op | None:
    """Return what makes a tensor for one reader, past one operator that moves ones."""
    found = _only_maker(tensor)
    return _only_maker(found.inputs[0]) if found is not None and _moves_ones(found) else found


def _only_reader(tensor: Tensor) -> Op | None:
    return tensor.uses[0].op if len(tensor.uses) == 1 else None


def _only_maker(tensor: Tensor | None) -> Op | None:
    return tensor.producer if tensor is not None and len(tensor.uses) == 1 else None


def _moves_ones(op: Op) -> bool:
    if op.type not in _MOVES_ONES:
        return False
    x, y = ([d for d in t.shape if d != 1] for t in (op.input(0), op.outputs[0]))
    return x == y
