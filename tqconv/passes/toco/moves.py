"""Where TOCO puts reshapes, transpositions and arithmetic."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.match import has_activation, made_by, sole_reader, values_of, with_constant
from tqconv.passes.fake_quant import pass_through
from tqconv.passes.toco.sweep import Sweep

ELEMENTWISE = frozenset(
    {"CAST", "CEIL", "EXP", "FLOOR", "NEG", "RELU", "RELU_N1_TO_1", "RELU6", "ROUND", "TANH"}
    | {"SQRT", "SQUARE"}
)
"""What moves before a move of elements: reorder_elementwise_unary.cc."""
MOVES = ("DEPTH_TO_SPACE", "EXPAND_DIMS", "SPACE_TO_DEPTH", "SQUEEZE", "RESHAPE", "TRANSPOSE")
BINARY = frozenset(
    {"ADD", "SUB", "MUL", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MINIMUM", "MAXIMUM"}
    | {"LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"}
)
"""What moves before a RESHAPE with a constant: move_binary_operator_before_reshape.cc."""


def as_reshape(sweep: Sweep, op: Op) -> bool:
    """Write as RESHAPE what only renames dimensions.

    y = SQUEEZE(x: [1,1,1,8])   ->   y = RESHAPE(x, [8])
    y = TRANSPOSE(x: [1,8,1,4], [0,2,1,3])   ->   y = RESHAPE(x, [1,1,8,4])
    """
    if op.type == "PACK":
        renames = len(op.inputs) == 1
    elif op.type == "TRANSPOSE":
        renames = sweep.is_settled(op.input(0), op.output) and _keeps_order(op)
    else:
        renames = op.type in ("SQUEEZE", "EXPAND_DIMS")
    if not renames or not op.output.is_static or not op.input(0).is_static:
        return False
    shape = np.array(op.output.shape, np.int32)
    name = f"{op.output.name}/reshape"
    sweep.replace(op, sweep.emit_at(op, "RESHAPE", op.input(0), shape, name=name))
    return True


def _keeps_order(op: Op) -> bool:
    """Whether a TRANSPOSE leaves the dimensions above 1 in their order."""
    order, shape = values_of(op.inputs[1]), op.input(0).shape
    if order is None:
        return False
    moved = [axis for axis in order if shape[axis] != 1]
    return moved == sorted(moved)


def join_transposes(sweep: Sweep, op: Op) -> bool:
    """Leave out two permutations that undo each other.

    y = TRANSPOSE(x, p); z = TRANSPOSE(y, q), q inverse to p   ->   z = x
    """
    before = made_by(op.inputs[0], "TRANSPOSE") if op.type == "TRANSPOSE" else None
    if before is None or sole_reader(sweep.graph, before.output) is not op:
        return False
    first, second = values_of(before.inputs[1]), values_of(op.inputs[1])
    if first is None or second is None or [first[a] for a in second] != sorted(first):
        return False
    x, y = before.input(0), op.output
    if y in sweep.graph.outputs and (x in sweep.graph.inputs or x in sweep.graph.outputs):
        return False
    sweep.replace(op, x)
    sweep.remove(before)
    return True


def move_binary_first(sweep: Sweep, op: Op) -> bool:
    """Compute with a constant before a RESHAPE, where the constant spans last axes of both sides.

    y = RESHAPE(x: [1,4,8], [4,8]); z = ADD(y, c: [8])   ->   z = RESHAPE(ADD(x, c), [4,8])
    """
    operands = with_constant(op, clamped=True) if op.type in BINARY else None
    reshape = made_by(operands.x, "RESHAPE") if operands is not None else None
    if operands is None or reshape is None or sole_reader(sweep.graph, operands.x) is not op:
        return False
    x, between, shape = reshape.input(0), reshape.output, operands.constant.shape
    if not sweep.is_settled(between, x) or op.output.shape != between.shape:
        return False
    if not (_is_tail(shape, between.shape) and _is_tail(shape, x.shape)):
        return False
    inputs = [x if t is between else t for t in op.inputs]
    name, ranges = op.output.name, (between.range, op.output.range)
    first = sweep.emit_at(op, op.type, *inputs, name=f"{name}/first", **op.options)
    after = sweep.emit_at(op, "RESHAPE", first, reshape.input(1), name=f"{name}/moved")
    _put_in_place(sweep, reshape, op, first, after)
    # TOCO swaps the names of the two results, and what is known of a value goes with its name.
    first.range, after.range = ranges
    sweep.unsettled.add(first)
    return True


def move_unary_first(sweep: Sweep, op: Op) -> bool:
    """Compute before elements move; what was known about the two tensors is forgotten.

    y = TRANSPOSE(x, p); z = RELU(y)   ->   z = TRANSPOSE(RELU(x), p)
    """
    move = made_by(op.inputs[0], *MOVES) if op.type in ELEMENTWISE else None
    if move is None or sole_reader(sweep.graph, move.output) is not op:
        return False
    name = op.output.name
    first = sweep.emit_at(op, op.type, move.input(0), name=f"{name}/first", **op.options)
    after = sweep.emit_at(
        op, move.type, first, *move.inputs[1:], name=f"{name}/moved", **move.options
    )
    _put_in_place(sweep, move, op, first, after)
    after.range = None
    sweep.unsettled |= {first, after}
    return True


def _put_in_place(sweep: Sweep, move: Op, op: Op, first: Tensor, after: Tensor) -> None:
    """Let the new pair stand where the old one stood, in the new order."""
    computed, moved = first.producer, after.producer
    assert computed is not None
    assert moved is not None
    moved.source = move.source
    sweep.replace(op, after)
    sweep.swap(move, computed)
    sweep.remove(move)


def _is_tail(tail: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(tail) <= len(shape) and tail == shape[len(shape) - len(tail) :]


def merge_reshapes(sweep: Sweep, op: Op) -> bool:
    """Leave out a RESHAPE that changes nothing, or that only another one reads.

    y = RESHAPE(x, s); z = RESHAPE(y, t)   ->   z = RESHAPE(x, t), unless z is an output
    """
    if op.type != "RESHAPE":
        return False
    x, y = op.input(0), op.output
    reader = sole_reader(sweep.graph, y)
    is_idle = sweep.is_settled(x, y) and x.is_static and x.shape == y.shape
    is_covered = (
        reader is not None and reader.type == "RESHAPE" and reader.output not in sweep.graph.outputs
    )
    if not (is_idle or is_covered) or not pass_through(sweep.graph, op):
        return False
    sweep.remove(op)
    return True


def flatten_in_product(sweep: Sweep, op: Op) -> bool:
    """Let a matrix product read the rows before they were flattened: the kernel flattens.

    TOCO looks once, when it turns a MatMul into FULLY_CONNECTED; a bias says that it has.

    y = RESHAPE(x: [1,2,2,8], [1,32]); z = FULLY_CONNECTED(y, w: [10,32])
    ->   z = FULLY_CONNECTED(x, w)
    """
    if op.type != "FULLY_CONNECTED" or len(op.inputs) > 2:
        return False
    reshape = made_by(op.inputs[0], "RESHAPE")
    if reshape is None or op.options.get("keep_num_dims", False) or op.input(0).rank != 2:
        return False
    sweep.graph.set_input(op, 0, reshape.input(0))
    if not reshape.output.uses and reshape.output not in sweep.graph.outputs:
        sweep.remove(reshape)
    return True


def drop_neutral(sweep: Sweep, op: Op) -> bool:
    """Leave out a step by a constant that changes nothing, and a CONCATENATION of one.

    y = MUL(x, ones[8])   ->   y = x
    """
    if op.type == "CONCATENATION":
        x = op.input(0) if len(op.inputs) == 1 else None
    else:
        neutral = {"ADD": 0.0, "SUB": 0.0, "MUL": 1.0, "DIV": 1.0}.get(op.type)
        operands = with_constant(op) if neutral is not None else None
        fits = operands is not None and (operands.first or op.type in ("ADD", "MUL"))
        is_same = operands is not None and bool(np.all(operands.constant == neutral))
        x = operands.x if operands is not None and fits and is_same else None
    if x is None or x.shape != op.output.shape or has_activation(op):
        return False
    graph = sweep.graph
    if op.output in graph.outputs and (x in graph.inputs or x in graph.outputs):
        return False
    graph.replace(op.output, x)
    sweep.remove(op)
    return True
