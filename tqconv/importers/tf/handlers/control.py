"""Calls, conditions and loops in the functional form, into which TF1's are brought before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import lists
from tqconv.compose.builder import Builder
from tqconv.compose.control import Make, MakeSome, branch, loop, within
from tqconv.errors import UnsupportedError, counted
from tqconv.importers.tf.cells import Cells
from tqconv.importers.tf.flow.calls import call, find, stores_of
from tqconv.importers.tf.flow.functions import Function
from tqconv.importers.tf.flow.list_rows import is_joined, set_joined
from tqconv.importers.tf.flow.primitives import behind
from tqconv.importers.tf.node import FunctionName, Ref
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.importers.translate import Failed, ReportedError
from tqconv.ir.graph import Graph, Tensor


@handles("PartitionedCall", "StatefulPartitionedCall")
def partitioned_call(
    b: TFBuilder,
    *operands: Tensor,
    f: FunctionName,
    config: str = "",
    config_proto: Any = "",
    executor_type: str = "",
) -> list[Tensor | Failed]:
    """Put the body in the place of the call."""
    return call(b, f, operands)


@handles("If", "StatelessIf")
def if_(
    b: TFBuilder,
    condition: Tensor,
    *operands: Tensor,
    then_branch: FunctionName,
    else_branch: FunctionName,
    output_shapes: Any = None,
) -> list[Tensor | Failed]:
    """Run one of two functions."""
    branches = _Branches(b, [then_branch, else_branch], operands)
    values = branches.cells.values()
    made = branch(b, condition, values, branches.make(0), branches.make(1), _become(b))
    return branches.results(made)


@handles("Case", "StatelessCase")
def case(
    b: TFBuilder,
    index: Tensor,
    *operands: Tensor,
    branches: Sequence[FunctionName],
    output_shapes: Any = None,
) -> list[Tensor | Failed]:
    """Run branch number `index`; the last one when there is no such branch."""
    if index.data is not None:
        chosen = b.scalar(index, "branch_index")
        return call(b, branches[chosen if 0 <= chosen < len(branches) else -1], operands)
    if len(branches) > MAX_BRANCHES:
        raise UnsupportedError(f"a case of {counted(len(branches), 'branch', 'branches')}")
    functions = _Branches(b, branches, operands)
    values = functions.cells.values()
    return functions.results(functions.choose(b.graph, [index, *values], 0))


MAX_BRANCHES = 40
"""Each branch is nested in the one before it; LiteRT and tqconv both walk them on the stack."""


class _Branches:
    """Functions of which one is chosen, and what could not be made of their results."""

    def __init__(
        self, b: TFBuilder, targets: Sequence[FunctionName], operands: Sequence[Tensor]
    ) -> None:
        self.b = b
        self.targets = targets
        self.cells = _cells(b, targets, operands)
        self.failed: dict[int, Failed] = {}

    def make(self, number: int) -> MakeSome:
        """Return what puts a function into a graph; failed results are None."""

        def put(graph: Graph, operands: list[Tensor]) -> list[Tensor | None]:
            made = call(self.b, self.targets[number], operands, graph)
            self.failed |= {i: value for i, value in enumerate(made) if isinstance(value, Failed)}
            return [value if isinstance(value, Tensor) else None for value in made]

        return self.cells.branched(put)

    def choose(self, graph: Graph, operands: list[Tensor], first: int) -> Sequence[Tensor | None]:
        """Return IF(index == first, its branch, the others likewise); operand 0: the index."""
        chosen = self.make(first)
        if first == len(self.targets) - 1:
            return chosen(graph, operands[1:])
        here = within(self.b, graph)
        here.name = f"{self.b.name}/{first}" if first else self.b.name
        return branch(
            here,
            here("EQUAL", operands[0], np.array(first, operands[0].dtype)),
            operands,
            lambda g, inside: chosen(g, inside[1:]),
            lambda g, inside: self.choose(g, inside, first + 1),
            _become(self.b),
        )

    def results(self, made: Sequence[Tensor | None]) -> list[Tensor | Failed]:
        """Store variables; return the results, failures in the places of those that failed."""
        count = len(made) - len(self.cells.stored)
        self.cells.store(made[count:])
        return [self.failed[i] if value is None else value for i, value in enumerate(made[:count])]


def _cells(b: TFBuilder, targets: Sequence[FunctionName], operands: Sequence[Tensor]) -> Cells:
    """Return the variables that functions get, of which some may store some."""
    stores = stores_of(b.shared)
    return Cells.of(b, operands, {i for t in targets for i in stores.positions(t.name)})


@handles("While", "StatelessWhile")
def while_(
    b: TFBuilder,
    *operands: Tensor,
    cond: FunctionName,
    body: FunctionName,
    output_shapes: Any = None,
    parallel_iterations: int = 10,
) -> list[Tensor]:
    """Repeat a function while another returns true."""
    function = find(b.shared, body.name)
    if len(function.results) != len(operands):
        raise UnsupportedError(
            f"the body returns {len(function.results)} of {counted(len(operands), 'variable')}"
        )
    cells = _cells(b, [body], operands)
    initial = cells.values()
    step = cells.looped(_body(b, body))

    joined: set[int] = set()

    def checked_step(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        for i in joined:
            set_joined(b.shared, inside[i])
        joins = b.shared.joins
        around = joins.get(id(graph))
        indices: list[Tensor] = []
        joins[id(graph)] = indices
        try:
            made = step(graph, inside)
        finally:
            joins[id(graph)] = around
        if indices and graph is not b.graph:
            _check_joins(b, indices, initial, inside, made)
        joined.update(i for i, t in enumerate(made) if is_joined(b.shared, t))
        return made

    same = set(invariants(function)) - set(cells.stored)
    made = loop(b, initial, _body(b, cond), checked_step, _become(b), same)
    for i in joined:
        set_joined(b.shared, made[i])
    cells.store([made[i] for i in cells.stored])
    return made


def invariants(function: Function) -> list[int]:
    """Return the positions of the results that are the argument at the same position."""
    return [
        i
        for i, (result, argument) in enumerate(
            zip(function.results, function.arguments, strict=False)
        )
        if behind(function.nodes, result) == Ref(argument)
    ]


def _body(b: TFBuilder, target: FunctionName) -> Make:
    """Return what puts a function of which all results are needed into a graph."""

    def put(graph: Graph, operands: list[Tensor]) -> list[Tensor]:
        results = []
        for value in call(b, target, operands, graph):
            if isinstance(value, Failed):
                raise ReportedError(value.node)
            results.append(value)
        return results

    return put


def _become(b: Builder) -> Any:
    return lambda graph, tensor, like, make: lists.become(graph, b, tensor, like, make)


def _check_joins(
    b: Builder,
    indices: Sequence[Tensor],
    initial: Sequence[Tensor],
    inside: Sequence[Tensor],
    results: Sequence[Tensor],
) -> None:
    """Check that what the body appends to an array of unequal pieces is piece 0, 1, 2, ...

    The index must be a variable that starts at 0 and grows by 1 each round.
    """
    counters = [
        now
        for before, now, after in zip(initial, inside, results, strict=True)
        if before.dtype.kind == "i" and b.known(before) == (0,) and _is_next(after, now)
    ]
    if any(index not in counters for index in indices):
        raise UnsupportedError(
            "pieces of different lengths are written to a TensorArray, but not one behind another"
        )


def _is_next(after: Tensor, before: Tensor) -> bool:
    made = after.producer
    if made is None or made.type != "ADD":
        return False
    one, two = made.input(0), made.input(1)
    step = two if one is before else one
    return before in (one, two) and step.data is not None and np.array_equal(step.data, np.array(1))
