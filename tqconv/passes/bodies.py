"""Drop what IF and WHILE compute for nobody, and what they are given but do not read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.passes.rewrite import exact


@exact
def trim_branches(graph: Graph) -> int:
    """Let IF return what is read and take what its branches read.

    y, z = IF(c, a, b) {return a+a, b}; z has no reader   ->   y = IF(c, a) {return a+a}
    """
    count = 0
    for op in list(graph.ops):
        if op.type != "IF" or not op.outputs:
            continue
        unread = [i for i, t in enumerate(op.outputs) if not _is_read(graph, t)]
        if len(unread) == len(op.outputs):
            continue  # nobody needs the operator at all: prune drops it
        _drop_outputs(graph, op, unread)
        for body in op.graphs:
            _drop(body.outputs, unread)
            body.prune()
        unused = [
            i
            for i in range(len(op.inputs) - 1)
            if not any(_is_read(body, body.inputs[i]) for body in op.graphs)
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
        live = {i for i, t in enumerate(op.outputs) if _is_read(graph, t)}
        if not live:
            continue
        live |= {i for i, t in enumerate(condition.inputs) if _is_read(condition, t)}
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


def _is_read(graph: Graph, tensor: Tensor) -> bool:
    return bool(tensor.uses) or any(tensor is t for t in graph.outputs)


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
