"""What IF and WHILE compute for nobody, are given and do not read, or would overwrite."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import is_read
from tqconv.ops.emit import Operand, emit
from tqconv.passes.rewrite import at, exact


@exact
def trim_branches(graph: Graph) -> int:
    """Let IF return what is read and take what its branches read.

    y, z = IF(c, a, b) {return a+a, b}; z has no reader   ->   y = IF(c, a) {return a+a}
    """
    count = 0
    for op in list(graph.ops):
        if op.type != "IF" or not op.outputs:
            continue
        unread = [i for i, t in enumerate(op.outputs) if not is_read(graph, t)]
        if len(unread) == len(op.outputs):
            continue  # nobody needs the operator at all: prune drops it
        _drop_outputs(graph, op, unread)
        for body in op.graphs:
            _drop(body.outputs, unread)
            body.prune()
        unused = [
            i
            for i in range(len(op.inputs) - 1)
            if not any(is_read(body, body.inputs[i]) for body in op.graphs)
        ]
        _drop_inputs(graph, op, [i + 1 for i in unused])
        for body in op.graphs:
            _drop_graph_inputs(body, unused)
        count += len(unread) + len(unused)
    return count


@exact
def trim_loops(graph: Graph) -> int:
    """Drop the variables of WHILE that neither its condition nor a reader of the loop depends on.

    i, y = WHILE(0, a) {i < n; i+1, y+y, t}: t is nobody's   ->   the loop without t
    """
    count = 0
    for op in list(graph.ops):
        if op.type != "WHILE":
            continue
        condition, body = op.graphs
        live = {i for i, t in enumerate(op.outputs) if is_read(graph, t)}
        if not live:
            continue
        live |= {i for i, t in enumerate(condition.inputs) if is_read(condition, t)}
        live = _needed(body, live)
        dead = [i for i in range(len(op.inputs)) if i not in live]
        if not dead:
            continue
        _drop_outputs(graph, op, dead)
        _drop_inputs(graph, op, dead)
        _drop(body.outputs, dead)
        body.prune()
        for part in (body, condition):
            _drop_graph_inputs(part, dead)
        count += len(dead)
    return count


def _needed(body: Graph, live: Collection[int]) -> set[int]:
    """Return the variables that the live ones depend on, through any number of rounds."""
    position = {id(t): i for i, t in enumerate(body.inputs)}
    result = set(live)
    todo = list(live)
    seen: set[int] = set()
    while todo:
        stack: list[Tensor | None] = [body.outputs[todo.pop()]]
        while stack:
            tensor = stack.pop()
            if tensor is None or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            variable = position.get(id(tensor))
            if variable is not None and variable not in result:
                result.add(variable)
                todo.append(variable)
            if tensor.producer is not None:
                stack += tensor.producer.inputs
    return result


def _drop(tensors: list[Tensor], indices: Sequence[int]) -> None:
    for i in reversed(indices):
        del tensors[i]


def _drop_outputs(graph: Graph, op: Op, indices: Sequence[int]) -> None:
    for i in indices:
        op.outputs[i].producer = None
        graph.release(op.outputs[i].name)
    op.outputs = tuple(t for i, t in enumerate(op.outputs) if i not in indices)


def _drop_inputs(graph: Graph, op: Op, indices: Sequence[int]) -> None:
    kept = [t for i, t in enumerate(op.inputs) if i not in indices]
    for i in range(len(op.inputs)):
        graph.set_input(op, i, kept[i] if i < len(kept) else None)
    op.inputs = op.inputs[: len(kept)]


def _drop_graph_inputs(graph: Graph, indices: Sequence[int]) -> None:
    for i in reversed(indices):
        graph.release(graph.inputs[i].name)
        del graph.inputs[i]


@exact
@at("WHILE")
def copy_before_overwritten(graph: Graph, op: Op) -> bool:
    """Copy what a variable of a loop passes on to one behind it.

    a, b = WHILE(x, y) {a + b, a}   ->   a, b = WHILE(x, y) {a + b, RESHAPE(a)}

    LiteRT writes the results of a round into the variables one after the other, without looking
    whether a result is a variable that it has written already (measured with LiteRT 2.3.0).
    """
    body = op.graphs[1]
    place = {id(t): i for i, t in enumerate(body.inputs)}
    copies: dict[int, Tensor] = {}
    for i, tensor in enumerate(body.outputs):
        if place.get(id(tensor), i) < i:
            if id(tensor) not in copies:
                copies[id(tensor)] = _copied(body, tensor, op)
            body.outputs[i] = copies[id(tensor)]
    return bool(copies)


def _copied(body: Graph, tensor: Tensor, op: Op) -> Tensor:
    """Return a copy; a RESHAPE of what a body is given has memory of its own."""
    name = f"{tensor.name}/before"
    size: Operand = np.array([d or 0 for d in tensor.shape], np.int32)
    if not tensor.is_static:
        size = emit(body, "SHAPE", tensor, name=f"{name}/shape", source=op.source, out_type="INT32")
    made: Tensor = emit(body, "RESHAPE", tensor, size, name=name, source=op.source)
    made.shape, made.quant, made.range = tensor.shape, tensor.quant, tensor.range
    return made
