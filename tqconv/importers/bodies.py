"""IF and WHILE: operators whose branches, condition and body are graphs of their own.

The graphs get every operand as an input, or bake it in where it is a constant. What a graph returns is
made by an operator of its own: LiteRT copies results one after another, so that a result which is another
input of the graph would be overwritten before it is read (WHILE), and a tensor that stands twice among
the results of IF is copied once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.importers.builder import Builder
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Shape, Source, type_name
from tqconv.ops.emit import emit

Make = Callable[[Graph, list[Tensor]], list[Tensor]]
"""Fills a graph from the tensors that stand for the operands, and returns its results."""

ROUNDS = 16
"""A loop whose types still change after so many passes has a tensor of growing rank; shapes settle in as many
rounds as the largest rank."""


def branch(
    b: Builder, condition: Tensor, operands: Sequence[Tensor], then: Make, other: Make
) -> list[Tensor]:
    """Emit IF with the results of `then` where the scalar `condition` is true, of `other` where it is not.

    A constant condition emits the branch it chooses in place.
    """
    test = as_predicate(b, condition)
    if test.data is not None:
        return (then if test.data.item() else other)(b.graph, list(operands))
    graphs = []
    for what, make in (("then", then), ("else", other)):
        graph = Graph(f"{b.name}/{what}")
        inside = [stand_in(graph, t) for t in operands]
        graph.outputs = separated(graph, inside, make(graph, inside))
        graphs.append(graph)
    joined = join_types(b.name, graphs[0].outputs, graphs[1].outputs)
    passed = [t for t in operands if not is_baked(t)]
    return _emit(b, "IF", [test, *passed], graphs, joined)


def loop(b: Builder, initial: Sequence[Tensor], condition: Make, body: Make) -> list[Tensor]:
    """Emit WHILE: `body` makes the next values while `condition` makes a true scalar.

    Constants that the body returns unchanged are baked into both graphs. A dimension that differs between
    rounds becomes unknown; UnsupportedError where ranks or types differ.
    """
    start = as_predicate(b, condition(b.graph, list(initial))[0])
    if start.data is not None and not start.data.item():
        return list(initial)
    shapes: list[Shape] = [t.shape for t in initial]
    fixed: set[int] = set()
    for _ in range(ROUNDS):
        graph, inside, results = _trial(b, initial, shapes, fixed, body)
        now = {i for i, (t, r) in enumerate(zip(inside, results, strict=True)) if t is r}
        wider = [
            shapes[i] if i in now else t.shape
            for i, t in enumerate(_widened(b.name, initial, shapes, results))
        ]
        constant = {i for i in now if is_baked(initial[i])}
        if wider == shapes and constant == fixed:
            break
        shapes, fixed = wider, constant
    else:
        raise UnsupportedError(f"the shapes in the loop '{b.name}' do not settle")
    test = Graph(f"{b.name}/cond")
    seen = _inputs(test, initial, shapes, fixed)
    test.outputs = [as_predicate(within(b, test), condition(test, seen)[0])]
    moving = [i for i in range(len(initial)) if i not in fixed]
    inputs = [inside[i] for i in moving]
    graph.outputs = separated(graph, inputs, [results[i] for i in moving], loops=True)
    graph.prune()
    types = [Tensor("", shapes[i], initial[i].dtype) for i in moving]
    made = _emit(b, "WHILE", [initial[i] for i in moving], [test, graph], types)
    after = dict(zip(moving, made, strict=True))
    return [after.get(i, initial[i]) for i in range(len(initial))]
