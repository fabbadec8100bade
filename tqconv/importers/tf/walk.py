"""The walk from the requested outputs to the inputs: one handler call per node.

It is iterative, but for function bodies. A node that a constant predicate switches off makes `DEAD`
values; a Merge takes the input that is alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.tf.definitions import first_output
from tqconv.importers.tf.node import Node, Ref, growth
from tqconv.importers.tf.order import NOTHING, Earlier, execution_order, file_order
from tqconv.importers.tf.registry import TFBuilder
from tqconv.importers.tf.shared import Shared
from tqconv.importers.translate import Failed
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source
from tqconv.records import dataclass


@dataclass(frozen=True)
class Dead:
    """What a switched-off branch computes."""


DEAD = Dead()
Value = Tensor | Dead | Failed


def run(
    shared: Shared,
    graph: Graph,
    nodes: Mapping[str, Node],
    feeds: Mapping[Ref, Tensor],
    fetches: Sequence[Ref],
    prefix: str = "",
    earlier: Earlier = NOTHING,
) -> list[Value]:
    """Translate into `graph` what `fetches` need, and return their values.

    `feeds` are not looked behind. `prefix` goes before the names of tensors (function bodies).
    `earlier`: what has to run before a node although it does not read it.
    """
    walk = _Walk(shared, graph, nodes, prefix)
    values: dict[Ref, Value] = {Ref(r.node, r.index, r.port): t for r, t in feeds.items()}
    needed = execution_order(nodes, feeds, fetches, earlier=earlier)
    for node in file_order(list(needed), nodes, feeds, earlier):
        inputs = [walk.value(values, ref) for ref in node.inputs]
        controls = [_signal(values, c) for c in node.controls if Ref(c) in values]
        for ref, value in walk.outputs(node, inputs, controls):
            values.setdefault(ref, value)
    return [walk.value(values, ref) for ref in fetches]


def computed_inputs(nodes: Mapping[str, Node], name: str) -> Iterable[tuple[str, str]]:
    """Yield the tensors that a node reads and their nodes, but for constants."""
    node = nodes.get(name)
    for ref in () if node is None else node.inputs:
        if ref.node in nodes and nodes[ref.node].op != "Const":
            yield str(ref), ref.node


@dataclass
class _Walk:
    """Where one graph is filled from one set of nodes."""

    shared: Shared
    graph: Graph
    nodes: Mapping[str, Node]
    prefix: str

    def value(self, values: Mapping[Ref, Value], ref: Ref) -> Value:
        """Return what a reference reads; FormatError where its node has no such output."""
        value = values.get(ref)
        if value is None and ref.port:
            node = self.nodes.get(ref.node)
            index = ref.index if node is None else first_output(node, ref.port) + ref.index
            value = values.get(Ref(ref.node, index))
        if value is None:
            first = values.get(Ref(ref.node))
            if isinstance(first, Dead | Failed):
                return first
            raise FormatError(f"'{ref}' is read, but its node has no such output")
        return value

    def outputs(
        self, node: Node, inputs: Sequence[Value], controls: Iterable[Value]
    ) -> Iterable[tuple[Ref, Value]]:
        """Return the values of a node's outputs."""
        if node.op == "Merge":
            return self._merge(node, inputs)
        operands = [v for v in inputs if not isinstance(v, Dead)]
        if len(operands) < len(inputs) or any(isinstance(v, Dead) for v in controls):
            return [(Ref(node.name), DEAD)]
        made = self.shared.translation.translate(
            self._builder(node), operands, lambda: self._attributes(node)
        )
        if isinstance(made, Failed):
            return [(Ref(node.name), made)]
        return [(Ref(node.name, i), value) for i, value in enumerate(made)] or [
            (Ref(node.name), DEAD)
        ]

    def _attributes(self, node: Node) -> dict[str, Any]:
        """Return what the handler is told, after paying for what its constants grow to."""
        for name, value in node.attr.items():
            grown = growth(value)
            if grown:
                self.graph.budget.take(grown, f"the constant `{name}`")
        return node.attributes()

    def _merge(self, node: Node, inputs: Sequence[Value]) -> Iterable[tuple[Ref, Value]]:
        alive = [(i, v) for i, v in enumerate(inputs) if not isinstance(v, Dead)]
        if len(alive) > 1:
            problem = UnsupportedError(
                "more than one input of a Merge is alive: its Switch has no constant predicate",
                hint="give the predicate a value with --set_input NAME=VALUE",
            )
            return [(Ref(node.name), self.shared.translation.failed(self._builder(node), problem))]
        if not alive:
            return [(Ref(node.name), DEAD)]
        index, value = alive[0]
        chosen = self.graph.constant(f"{node.name}/value_index", np.array(index, np.int32))
        return [(Ref(node.name), value), (Ref(node.name, 1), chosen)]

    def _builder(self, node: Node) -> TFBuilder:
        file, place = self.shared.translation.file, len(self.graph.ops)
        source = Source(file, node.name, node.op, place=place)
        return TFBuilder(self.graph, source, self.prefix + node.name, node, self.shared)


def _signal(values: Mapping[Ref, Value], name: str) -> Value:
    """Return what a control edge says: a Switch runs, whichever way it sends its data."""
    first, second = values[Ref(name)], values.get(Ref(name, 1))
    return second if isinstance(first, Dead) and second is not None else first
