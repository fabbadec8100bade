"""The order in which TOCO puts reshapes, transpositions and arithmetic."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, of_type, sole_reader, with_constant
from tqconv.ops.emit import emit
from tqconv.passes.fake_quant import pass_through

ELEMENTWISE = frozenset(
    {"CAST", "CEIL", "EXP", "FLOOR", "NEG", "RELU", "RELU_N1_TO_1", "RELU6", "ROUND", "TANH"}
    | {"SQRT", "SQUARE"}
)
"""What moves before a move of elements: reorder_elementwise_unary.cc."""
MOVES = ("DEPTH_TO_SPACE", "EXPAND_DIMS", "SPACE_TO_DEPTH", "SQUEEZE", "RESHAPE", "TRANSPOSE")
BINARY = ("ADD", "SUB", "MUL", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MINIMUM", "MAXIMUM")
"""What moves before a RESHAPE with a constant: move_binary_operator_before_reshape.cc."""


def move_unary_first(graph: Graph) -> int:
    """Compute before elements move; what was known about the two tensors is forgotten.

    y = TRANSPOSE(x, p); z = RELU(y)   ->   z = TRANSPOSE(RELU(x), p)
    """
    count = 0
    for op in of_type(graph, *ELEMENTWISE):
        move = made_by(op.inputs[0], *MOVES)
        if move is None or sole_reader(graph, move.output) is not op:
            continue
        x, name = move.input(0), op.output.name
        first = emit(graph, op.type, x, name=f"{name}/first", source=op.source, **op.options)
        after = emit(
            graph,
            move.type,
            first,
            *move.inputs[1:],
            name=f"{name}/moved",
            source=move.source,
            **move.options,
        )
        op.output.range = None
        graph.replace(op.output, after)
        count += 1
    return count


def move_binary_first(graph: Graph) -> int:
    """Compute with a constant before a RESHAPE, where the constant spans last axes of both sides.

    y = RESHAPE(x: [1,4,8], [4,8]); z = ADD(y, c: [8])   ->   z = RESHAPE(ADD(x, c), [4,8])
    """
    count = 0
    for op in of_type(graph, *BINARY):
        operands = with_constant(op)
        reshape = made_by(operands.x, "RESHAPE") if operands is not None else None
        if operands is None or reshape is None or sole_reader(graph, operands.x) is not op:
            continue
        x, shape = reshape.input(0), operands.constant.shape
        if not (_is_tail(shape, operands.x.shape) and _is_tail(shape, x.shape)):
            continue
        if op.output.shape != operands.x.shape:
            continue
        _move_binary(graph, op, reshape)
        count += 1
    return count


def _is_tail(tail: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(tail) <= len(shape) and tail == shape[len(shape) - len(tail) :]


def _move_binary(graph: Graph, op: Op, reshape: Op) -> None:
    """Swap the operators. Ranges stay with the tensors' places: TOCO swaps names, and a name has one."""
    x, between = reshape.input(0), reshape.output
    inputs = [x if t is between else t for t in op.inputs]
    name = op.output.name
    first = emit(graph, op.type, *inputs, name=f"{name}/first", source=op.source, **op.options)
    after = emit(
        graph, "RESHAPE", first, reshape.input(1), name=f"{name}/moved", source=reshape.source
    )
    first.range, after.range = between.range, op.output.range
    graph.replace(op.output, after)


def merge_reshapes(graph: Graph) -> int:
    """Leave out a RESHAPE that changes nothing, or that only another one reads.

    y = RESHAPE(x, s); z = RESHAPE(y, t)   ->   z = RESHAPE(x, t), unless z is an output
    """
    count = 0
    for op in of_type(graph, "RESHAPE"):
        if op.output.is_static and op.input(0).shape == op.output.shape:
            count += pass_through(graph, op)
            continue
        reader = sole_reader(graph, op.output)
        if reader is None or reader.type != "RESHAPE" or reader.output in graph.outputs:
            continue
        count += pass_through(graph, op)
    return count


def flatten_in_product(graph: Graph) -> int:
    """Let a matrix product read the rows before they were flattened: the kernel flattens.

    y = RESHAPE(x: [1,2,2,8], [1,32]); z = FULLY_CONNECTED(y, w: [10,32])   ->   z = FULLY_CONNECTED(x, w)
    """
    count = 0
    for op in of_type(graph, "FULLY_CONNECTED"):
        reshape = made_by(op.inputs[0], "RESHAPE")
        if reshape is None or op.options.get("keep_num_dims", False) or not _is_flat(op):
            continue
        graph.set_input(op, 0, reshape.input(0))
        count += 1
    return count


def _is_flat(op: Op) -> bool:
    x: Tensor = op.input(0)
    return x.rank == 2 and x.is_static and np.prod(op.output.shape[:-1]) == x.shape[0]
