"""Dropout that keeps everything is nothing."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by
from tqconv.passes.rewrite import at


@at()
def drop_dropout(graph: Graph, op: Op) -> bool:
    """Read the operand of a dropout whose mask is true everywhere.

    y = SELECT_V2(GREATER_EQUAL(RANDOM_UNIFORM, 0), x, 0)   ->   y = x y = MUL(x,
    FLOOR(ADD(RANDOM_UNIFORM, 1)))   ->   y = x
    """
    x = _kept(op)
    if x is None or x.shape != op.output.shape or x.dtype != op.output.dtype:
        return False
    held = x in graph.inputs or x in graph.outputs or x.is_constant
    if op.output in graph.outputs and held:
        return False
    graph.replace(op.output, x)
    return True


def _kept(op: Op) -> Tensor | None:
    """Return what an operator passes on unchanged because its mask is all ones."""
    if op.type in ("SELECT", "SELECT_V2"):
        return op.input(1) if _always(op.input(0)) == 1 else None
    if op.type != "MUL" or has_activation(op):
        return None
    for x, mask in ((op.input(0), op.input(1)), (op.input(1), op.input(0))):
        if _always(mask) == 1:
            return x
    return None


def _always(tensor: Tensor) -> float | None:
    """Return the one value that a random mask has: RANDOM_UNIFORM lies in [0, 1)."""
    op = tensor.producer
    while op is not None and op.type == "CAST":
        op = op.input(0).producer
    if op is None or has_activation(op):
        return None
    if op.type in ("GREATER_EQUAL", "GREATER"):
        rate = _number(op.input(1))
        low = _is_uniform(op.input(0)) and rate is not None
        true = low and rate is not None and (rate < 0 or (rate == 0 and op.type == "GREATER_EQUAL"))
        return 1.0 if true else None
    if op.type == "FLOOR":
        total = made_by(op.inputs[0], "ADD")
        for uniform, number in _both(total):
            keep = _number(number)
            # 1 + u never rounds up to 2: u is a multiple of 2 ** -23.
            if _is_uniform(uniform) and keep == 1:
                return 1.0
    return None


def _both(op: Op | None) -> tuple[tuple[Tensor, Tensor], ...]:
    if op is None or has_activation(op):
        return ()
    return ((op.input(0), op.input(1)), (op.input(1), op.input(0)))


def _is_uniform(tensor: Tensor) -> bool:
    """Whether a tensor is RANDOM_UNIFORM, perhaps times 1 plus 0 as TensorFlow writes it."""
    op = tensor.producer
    while op is not None and op.type in ("MUL", "ADD"):
        neutral = 1.0 if op.type == "MUL" else 0.0
        rest = [a for a, b in _both(op) if _number(b) == neutral]
        if not rest:
            return False
        op = rest[0].producer
    return op is not None and op.type == "RANDOM_UNIFORM"


def _number(tensor: Tensor) -> float | None:
    if tensor.data is None or tensor.data.size != 1 or tensor.dtype != np.float32:
        return None
    return float(tensor.data.reshape(-1)[0])
