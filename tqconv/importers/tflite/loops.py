"""States whose sizes a loop changes: what follows from the first of them is not so in later rounds.

LiteRT prepares a body again where a state comes back in another shape. A file states the first one,
and passes would compute with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.emit import infer
from tqconv.ops.table import known


def open_states(graphs: Sequence[Graph]) -> None:
    """Leave sizes open that a WHILE changes, and all that depends on its states.

    Raises UnsupportedError where a body cannot run with what it returns.
    """
    calls = [op for graph in graphs for op in graph.ops if op.graphs]
    opened: set[int] = set()
    while any([_pass_on(op, opened) for op in calls]):
        for graph in graphs:
            _infer_again(graph, opened)


def _pass_on(op: Op, opened: set[int]) -> bool:
    """Give the graphs of an operator, and its results, the sizes that they meet."""
    bodies = op.graphs if op.type == "IF" else op.graphs[1:]
    given = op.inputs[op.type == "IF" :]
    changed = False
    for i, start in enumerate(given):
        met = [] if start is None else [start]
        met += [body.outputs[i] for body in bodies] if op.type == "WHILE" else []
        changed |= _open([graph.inputs[i] for graph in op.graphs], met, opened)
    for i, result in enumerate(op.outputs):
        met = [body.outputs[i] for body in bodies]
        met += [t for t in given[i : i + 1] if t is not None] if op.type == "WHILE" else []
        changed |= _open([result], met, opened)
    if changed and op.type == "WHILE":
        _check_next_round(op)
    return changed


def _open(taken: Sequence[Tensor], met: Sequence[Tensor], opened: set[int]) -> bool:
    """Leave sizes open that are others in what is met, or were left open there."""
    changed = False
    for tensor in taken:
        sizes = list(tensor.shape)
        for other in met:
            if other.rank != tensor.rank:
                continue
            for axis, size in enumerate(other.shape):
                if size != sizes[axis] and (size is not None or id(other) in opened):
                    sizes[axis] = None
        shape: Shape = tuple(sizes)
        if shape != tensor.shape:
            tensor.shape, changed = shape, True
            opened.add(id(tensor))
    return changed


def _infer_again(graph: Graph, opened: set[int]) -> None:
    for op in graph.ops:
        if op.graphs or not known(op.type) or not any(id(t) in opened for t in op.inputs):
            continue
        try:
            made = infer(op)
        except UnsupportedError as error:
            error.where = op.source
            raise
        for tensor, (shape, _) in zip(op.outputs, made, strict=False):
            tensor.shape = tuple(shape)
            opened.add(id(tensor))


def _check_next_round(op: Op) -> None:
    """Raise UnsupportedError where a body does not take the shapes that it returns."""
    body = op.graphs[1]
    shapes = {id(t): out.shape for t, out in zip(body.inputs, body.outputs, strict=True)}
    for inner in body.ops:
        if inner.graphs or not known(inner.type):
            continue
        inputs = tuple(
            Tensor(t.name, shapes[id(t)], t.dtype) if t is not None and id(t) in shapes else t
            for t in inner.inputs
        )
        if inputs == inner.inputs:
            continue
        try:
            made = infer(Op(inner.type, inputs, inner.outputs, inner.options, inner.source))
        except UnsupportedError as error:
            changed = [
                f"'{t.name}' of {shaped(t.shape)} as {shaped(out.shape)}"
                for t, out in zip(body.inputs, body.outputs, strict=True)
                if t.shape != out.shape
            ]
            raise UnsupportedError(
                f"its body returns {', '.join(changed)}, and cannot run with that: {error.message}",
                where=op.source,
            ) from error
        shapes |= {id(t): tuple(s) for t, (s, _) in zip(inner.outputs, made, strict=False)}
