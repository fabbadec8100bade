"""Masks that are added."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, is_scalar, made_by, sole_reader, with_constant
from tqconv.ops.emit import Operand, emit
from tqconv.passes.rewrite import at


@at("ADD")
def choose_infinity(graph: Graph, op: Op) -> bool:
    """Choose -inf where a mask adds it: the kernel of a sum makes it the lowest finite number.

    y = ADD(x, SELECT_V2(m, 0, -inf))   ->   y = SELECT_V2(m, x, -inf)
    """
    if has_activation(op) or op.output.dtype != np.float32:
        return False
    for x, added in (op.inputs, op.inputs[::-1]):
        mask = made_by(added, "SELECT_V2")
        if mask is None or x is None:
            continue
        condition, *chosen = mask.inputs
        if _is(chosen[0], 0.0) and _is(chosen[1], -np.inf):
            operands: tuple[Tensor | None, ...] = (condition, x, chosen[1])
        elif _is(chosen[1], 0.0) and _is(chosen[0], -np.inf):
            operands = (condition, chosen[0], x)
        else:
            continue
        name = f"{op.output.name}/masked"
        source = op.source.joined(mask.source)
        y = emit(graph, "SELECT_V2", *operands, name=name, source=source)
        graph.replace(op.output, y)
        return True
    return False


MOST = -1e9
"""What hides a score: added to one of up to 32 it leaves nothing of it, for float32 has steps of 64
there. Of a larger one something is left, which counts only where all of a row is hidden. What is
written for softmax has this number or a larger one."""


@at("ADD", "SUB", "SELECT_V2")
def choose_hidden(graph: Graph, op: Op) -> bool:
    """Choose the lowest score where a mask of booleans adds it before a softmax.

    y = ADD(x, MUL(SUB(1, CAST(m)), -1e9))         ->   y = SELECT_V2(m, x, -1e9)
    y = SUB(x, MUL(CAST(LOGICAL_NOT(m)), 1e9))     ->   y = SELECT_V2(m, x, -1e9)
    y = SELECT_V2(h, SUB(x, 1e9), x)               ->   y = SELECT_V2(h, -1e9, x)
    y = ADD(x, [0,-1e9])                           ->   y = SELECT_V2([true,false], x, -1e9)
    """
    if has_activation(op) or op.output.dtype != np.float32:
        return False
    if not op.output.uses or any(use.op.type != "SOFTMAX" for use in op.output.uses):
        return False
    if op.output in graph.outputs:
        return False
    if op.type == "SELECT_V2":
        return _hide_at_once(graph, op)
    sign = 1.0 if op.type == "ADD" else -1.0
    if _hide_by_constant(graph, op):
        return True
    for x, added in (op.inputs, op.inputs[::-1])[: 2 if op.type == "ADD" else 1]:
        product = made_by(added, "MUL")
        parts = with_constant(product) if product is not None else None
        if product is None or parts is None or parts.constant.size != 1:
            continue
        if x is None or sign * parts.constant.reshape(-1)[0] > MOST:
            continue
        name, low = f"{op.output.name}/hidden", np.asarray(sign * parts.constant, np.float32)
        low = low.reshape(())
        hidden, seen = _flags(parts.x), None
        if hidden is None:
            seen = _flags_of_rest(parts.x)
        else:
            before = made_by(hidden, "LOGICAL_NOT")
            seen, hidden = (before.input(0), None) if before is not None else (None, hidden)
        operands: tuple[Operand, ...]
        if seen is not None:
            operands = (seen, x, low)
        elif hidden is not None:
            operands = (hidden, low, x)
        else:
            continue
        y = emit(graph, "SELECT_V2", *operands, name=name, source=op.source)
        if y.shape != op.output.shape:
            return False
        graph.replace(op.output, y)
        return True
    return False


def _hide_at_once(graph: Graph, op: Op) -> bool:
    """Choose a number where what is chosen is the other operand with that number added."""
    for place in (1, 2):
        shifted, x = made_by(op.inputs[place], "ADD", "SUB"), op.input(3 - place)
        parts = with_constant(shifted) if shifted is not None else None
        if shifted is None or parts is None or parts.x is not x:
            continue
        low = np.asarray(parts.constant if shifted.type == "ADD" else -parts.constant)
        if (shifted.type == "SUB" and not parts.first) or low.size != 1 or low.max() > MOST:
            continue
        graph.set_input(op, place, graph.constant(f"{op.output.name}/hidden", low.reshape(())))
        return True
    return False


def _hide_by_constant(graph: Graph, op: Op) -> bool:
    """Choose what a constant of zeros and one very low number is added to."""
    parts = with_constant(op)
    if parts is None or (op.type == "SUB" and not parts.first):
        return False
    numbers = parts.constant if op.type == "ADD" else -parts.constant
    shown = numbers == 0
    low = numbers[~shown]
    if low.size == 0 or shown.all() or low.max() > MOST or low.min() != low.max():
        return False
    mask = graph.constant(f"{op.output.name}/shown", shown)
    operands = (mask, parts.x, np.asarray(low[0], np.float32))
    y = emit(graph, "SELECT_V2", *operands, name=f"{op.output.name}/hidden", source=op.source)
    if y.shape != op.output.shape:
        return False
    graph.replace(op.output, y)
    return True


@at("SELECT_V2")
def choose_the_other_way(graph: Graph, op: Op) -> bool:
    """Choose by a condition rather than by its opposite.

    y = SELECT_V2(LOGICAL_NOT(m), a, b)   ->   y = SELECT_V2(m, b, a)

    Also where the opposite is reshaped on the way.
    """
    opposite = made_by(op.inputs[0], "LOGICAL_NOT")
    reshape = made_by(op.inputs[0], "RESHAPE")
    if opposite is None and reshape is not None and sole_reader(graph, op.input(0)) is op:
        opposite = made_by(reshape.input(0), "LOGICAL_NOT")
    if opposite is None:
        return False
    condition = opposite.input(0)
    if reshape is not None:
        name, target = f"{op.input(0).name}/opposite", reshape.input(1)
        condition = emit(graph, "RESHAPE", condition, target, name=name, source=reshape.source)
    name = f"{op.output.name}/chosen"
    y = emit(graph, op.type, condition, op.input(2), op.input(1), name=name, source=op.source)
    graph.replace(op.output, y)
    return True


@at("MUL")
def choose_by_flags(graph: Graph, op: Op) -> bool:
    """Choose what a condition as 0 and 1 is multiplied with.

    y = MUL(x, CAST(m)), nobody else reads the CAST   ->   y = SELECT_V2(m, x, 0)
    """
    if has_activation(op) or op.output.dtype != np.float32:
        return False
    for x, factor in (op.inputs, op.inputs[::-1]):
        shown = _flags(factor)
        if x is None or factor is None or shown is None or sole_reader(graph, factor) is not op:
            continue
        if x.is_constant or x.shape != op.output.shape:
            continue
        zero, name = np.zeros((), np.float32), f"{op.output.name}/chosen"
        y = emit(graph, "SELECT_V2", shown, x, zero, name=name, source=op.source)
        if y.shape != op.output.shape:
            return False
        graph.replace(op.output, y)
        return True
    return False


def _flags(numbers: Tensor | None) -> Tensor | None:
    """Return the booleans that a tensor has as 0 and 1, or None."""
    cast = made_by(numbers, "CAST")
    return None if cast is None or cast.input(0).dtype != np.bool_ else cast.input(0)


def _flags_of_rest(numbers: Tensor) -> Tensor | None:
    """Return the booleans that a tensor has as 1 and 0, or None."""
    rest = made_by(numbers, "SUB")
    if rest is None or has_activation(rest) or not is_scalar(rest.inputs[0], 1.0):
        return None
    return _flags(rest.input(1))


def _is(tensor: Tensor | None, value: float) -> bool:
    """Whether a tensor is one constant number that widens nothing."""
    if tensor is None or tensor.data is None or tensor.data.size != 1 or tensor.rank > 1:
        return False
    return bool(np.all(tensor.data == value))
