"""The walk from the requested outputs to the inputs: one handler call per node, problems collected.

The walk is iterative. A node whose translation fails does not stop it: what depends on the node
fails silently, and only failures that reach a requested output are reported, all at once. A node
that a constant predicate switches off makes `DEAD` values; a Merge takes the input that is alive.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqconv.config import ArrayRange
from tqconv.errors import FormatError, TqconvError, Unsupported, UnsupportedError
from tqconv.importers.registry import Handler
from tqconv.importers.tf.node import Node, Ref
from tqconv.importers.tf.registry import TF, TFBuilder
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.table import known, spec

SHOWN_NODES = 4
"""Node names listed per missing operator."""
PIVOTS = ("Switch", "Identity")
"""Operators whose control edges say whether a node is alive."""
PASS_ON = ("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot")
"""Operators that do not look at what they pass on."""


@dataclass(frozen=True)
class Dead:
    """What a switched-off branch computes."""


@dataclass(frozen=True)
class Failed:
    """What depends on a node that could not be translated; `node` is that node."""

    node: str


class ReportedError(TqconvError):
    """A node cannot be made because of `node`, whose failure is recorded already."""

    def __init__(self, node: str) -> None:
        super().__init__(f"depends on '{node}', which cannot be translated")
        self.node = node


MALFORMED = (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What a handler stumbles over in a node whose inputs or attributes are not its operator's."""

DEAD = Dead()
Value = Tensor | Dead | Failed


@dataclass
class Walk:
    """The import of one model: its graph, its functions, and what went wrong so far."""

    graph: Graph
    file: str
    functions: Mapping[str, Any] = field(default_factory=dict)
    allow_custom_ops: bool = False
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    problems: dict[str, TqconvError] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    """What handlers of one model share (resources by name, …)."""
    unshaped: dict[int, Tensor] = field(default_factory=dict)
    """What custom operators make, where their nodes do not say its shape."""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """All nodes of the main graph, needed or not: among them are those that fill tables."""
    quantizing: bool = False
    """FakeQuant nodes will be dropped by a quantizer that knows the ranges they say."""
    stored_grid: bool = False
    """Constants behind them are rounded to the grid of the type that stores them."""
    reals: dict[Tensor, Tensor] = field(default_factory=dict)
    """What integers of TensorFlow 1's quantized types stand for, where it is computed."""
    array_ranges: Sequence[ArrayRange] = ()

    def run(
        self,
        nodes: Mapping[str, Node],
        feeds: Mapping[Ref, Tensor],
        fetches: Sequence[Ref],
        prefix: str = "",
    ) -> list[Value]:
        """Translate what `fetches` need and return their values; `feeds` are not looked behind.

        `prefix` goes before the names of tensors (function bodies).
        """
        values: dict[Ref, Value] = {Ref(r.node, r.index, r.port): t for r, t in feeds.items()}
        needed = execution_order(nodes, feeds, fetches)
        for node in file_order(list(needed), nodes, feeds):
            inputs = [self._value(values, ref, nodes) for ref in node.inputs]
            controls = [_signal(values, c) for c in node.controls if Ref(c) in values]
            for ref, value in self._outputs(node, inputs, controls, prefix):
                values.setdefault(ref, value)
        return [self._value(values, ref, nodes) for ref in fetches]

    def _value(self, values: Mapping[Ref, Value], ref: Ref, nodes: Mapping[str, Node]) -> Value:
        value = values.get(ref)
        if value is None and ref.port:
            node = nodes.get(ref.node)
            value = values.get(Ref(ref.node, _flat_index(node, ref)))
        if value is None:
            first = values.get(Ref(ref.node))
            if isinstance(first, Dead | Failed):
                return first
            raise FormatError(f"'{ref}' is read, but its node has no such output")
        return value

    def _outputs(
        self, node: Node, inputs: list[Value], controls: list[Value], prefix: str
    ) -> Iterable[tuple[Ref, Value]]:
        failed = next((v for v in inputs if isinstance(v, Failed)), None)
        dead = any(isinstance(v, Dead) for v in [*inputs, *controls])
        if node.op == "Merge":
            return self._merge(node, inputs)
        if dead:
            return [(Ref(node.name), DEAD)]
        if failed is not None:
            self._handler(node)
            return [(Ref(node.name), failed)]
        tensors = [v for v in inputs if isinstance(v, Tensor)]
        made = self.translate(node, tensors, prefix)
        if isinstance(made, Failed):
            return [(Ref(node.name), made)]
        return [(Ref(node.name, i), value) for i, value in enumerate(made)] or [
            (Ref(node.name), DEAD)
        ]

    def _merge(self, node: Node, inputs: list[Value]) -> Iterable[tuple[Ref, Value]]:
        alive = [(i, v) for i, v in enumerate(inputs) if not isinstance(v, Dead)]
        if len(alive) > 1:
            self.problems.setdefault(
                node.name,
                UnsupportedError(
                    "more than one input of a Merge is alive: its Switch has no constant predicate",
                    where=self.source(node),
                    hint="give the predicate a value with --set_input NAME=VALUE",
                ),
            )
            return [(Ref(node.name), Failed(node.name))]
        if not alive:
            return [(Ref(node.name), DEAD)]
        index, value = alive[0]
        chosen = self.graph.constant(f"{node.name}/value_index", _int32(index))
        return [(Ref(node.name), value), (Ref(node.name, 1), chosen)]

    def source(self, node: Node) -> Source:
        """Return where a node comes from."""
        return Source(self.file, node.name, node.op, place=len(self.graph.ops))

    def translate(
        self, node: Node, inputs: Sequence[Tensor], prefix: str = ""
    ) -> Sequence[Tensor | Dead] | Failed:
        """Call the handler of one node; a failure is recorded and returned, never raised."""
        handler = self._handler(node)
        if handler is None:
            return Failed(node.name)
        builder = TFBuilder(self.graph, self.source(node), prefix + node.name, node, self)
        count = len(self.graph.ops)
        needs_shape = self._shape_error(node, inputs)
        try:
            made = TF.call(handler, builder, inputs, node.attributes())
            if needs_shape is not None and not all(map(_is_by_element, self.graph.ops[count:])):
                raise needs_shape
        except ReportedError as error:
            return Failed(error.node)
        except TqconvError as error:
            return self._failed(node, needs_shape or error)
        except MALFORMED as error:
            problem = FormatError(
                f"the node does not fit its operator: {error}",
                hint="is the graph damaged? if not, report this with the output of --debug",
            )
            problem.__cause__ = error
            return self._failed(node, needs_shape or problem)
        self._name_outputs(prefix + node.name, made, count)
        if needs_shape is not None:
            self.unshaped |= {id(t): t for t in made if isinstance(t, Tensor)}
        return made

    def _failed(self, node: Node, problem: TqconvError) -> Failed:
        """Record why a node cannot be translated."""
        problem.where = self.source(node) if problem.where is None else problem.where
        self.problems[node.name] = problem
        return Failed(node.name)

    def _shape_error(self, node: Node, inputs: Sequence[Tensor]) -> TqconvError | None:
        """Return the error of a node that reads a tensor whose shape nobody knows, else None."""
        unknown = next((t for t in inputs if id(t) in self.unshaped), None)
        if unknown is None or TF.find(node.op) is None or node.op in PASS_ON:
            return None
        return Unsupported(
            f"the shape of '{unknown.name}' is not known: the custom operator that makes it "
            "does not say it",
            hint="give its node the attribute `_output_shapes`, or let the model end there",
        )

    def _handler(self, node: Node) -> Handler | None:
        """Return the handler of a node; one that is missing is noted for the report."""
        handler = TF.find(node.op)
        if handler is None and self.allow_custom_ops:
            handler = TF.find("*")
        if handler is None:
            self.missing[node.name] = node.op
        return handler

    def _name_outputs(self, name: str, made: Sequence[Any], count: int) -> None:
        """Give what this node made the node's name; values that only pass through keep theirs."""
        fresh = {id(op) for op in self.graph.ops[count:]}
        for index, tensor in enumerate(made):
            if not isinstance(tensor, Tensor):
                continue
            is_new = tensor.producer is not None and id(tensor.producer) in fresh
            if is_new or (tensor.is_constant and tensor.name.startswith(name + "/")):
                wanted = name if index == 0 else f"{name}:{index}"
                self.graph.release(tensor.name)
                tensor.name = self.graph.unique(wanted)
            self._say_range(name if index == 0 else f"{name}:{index}", tensor)

    def _say_range(self, name: str, tensor: Tensor) -> None:
        """Set the range that the user said for this name, where no name said one before."""
        for said in self.array_ranges:
            if said.matches(name) and (tensor.range is None or tensor.range.kind != "user"):
                tensor.range = said.range

    def raise_failures(self, values: Iterable[Value]) -> None:
        """Raise one error for everything that keeps these values from being made."""
        if not any(isinstance(v, Failed) for v in values):
            return
        if self.missing:
            raise missing_error(self.missing, self.file, self.nodes)
        problems = list(self.problems.values())
        if len(problems) == 1:
            raise problems[0]
        lines = [f"  {problem}" for problem in problems]
        raise UnsupportedError(
            f"{len(problems)} nodes of {self.file} cannot be translated\n" + "\n".join(lines),
            hint=next((p.hint for p in problems if p.hint), None),
        )


def missing_error(
    missing: Mapping[str, str], file: str, nodes: Mapping[str, Node]
) -> UnsupportedError:
    """Return the report of all operators without a translation: counts and node names.

    The hint names what they read: `nodes` are those of the main graph.
    """
    by_op: dict[str, list[str]] = {}
    for name, op in missing.items():
        by_op.setdefault(op, []).append(name)
    width = max(len(op) for op in by_op)
    lines = []
    for op, names in sorted(by_op.items()):
        more = f", … {len(names) - SHOWN_NODES} more" if len(names) > SHOWN_NODES else ""
        lines.append(f"  {op:<{width}} x{len(names):<3} {', '.join(names[:SHOWN_NODES])}{more}")
    plural = "operators" if len(by_op) > 1 else "operator"
    verb = "have" if len(by_op) > 1 else "has"
    return UnsupportedError(
        f"{len(by_op)} {plural} of {file} {verb} no TFLite translation\n" + "\n".join(lines),
        hint=f"cut them off with `--output_arrays{_before(missing, nodes)}`, "
        "or keep them with `--allow_custom_ops`",
    )


def _before(missing: Mapping[str, str], nodes: Mapping[str, Node]) -> str:
    """Return " a,b": the computed tensors that the missing nodes read, where they are few."""
    read = [ref for name in missing if name in nodes for ref in nodes[name].inputs]
    last = dict.fromkeys(
        str(ref)
        for ref in read
        if ref.node in nodes and ref.node not in missing and nodes[ref.node].op != "Const"
    )
    return f" {','.join(last)}" if 0 < len(last) <= SHOWN_NODES else ""


def execution_order(
    nodes: Mapping[str, Node],
    feeds: Collection[Ref],
    fetches: Sequence[Ref],
    pivots: Collection[str] = PIVOTS,
) -> Iterable[Node]:
    """Yield the nodes that the fetches need, every node after its data inputs.

    Control inputs are followed only to pivots, by default Switch and Identity: they say whether a
    node is alive. Raises FormatError for a missing node and UnsupportedError for a cycle.
    """
    fed = set(feeds)
    done: set[str] = set()
    active: set[str] = set()
    for fetch in fetches:
        stack = [] if fetch in fed else [(fetch.node, "", False)]
        while stack:
            name, reader, ready = stack.pop()
            if ready:
                active.discard(name)
                done.add(name)
                yield nodes[name]
                continue
            if name in done:
                continue
            node = nodes.get(name)
            if node is None:
                raise FormatError(f"'{reader or fetch}' reads '{name}', which is not in the graph")
            if name in active:
                raise UnsupportedError(
                    f"the graph has a cycle through '{name}'",
                    hint="declare back edges with --rnn_states, or cut with --input_arrays",
                )
            active.add(name)
            stack.append((name, reader, True))
            before = [r.node for r in node.inputs if r not in fed]
            before += [c for c in node.controls if c in nodes and nodes[c].op in pivots]
            stack += [(b, name, False) for b in reversed(before) if b not in done]


def file_order(
    needed: Sequence[Node], nodes: Mapping[str, Node], feeds: Collection[Ref]
) -> Iterable[Node]:
    """Yield nodes as the file lists them, but every node after its inputs; constants come first."""
    position = {name: -1 if n.op == "Const" else i for i, (name, n) in enumerate(nodes.items())}
    readers: dict[str, list[str]] = {node.name: [] for node in needed}
    missing = {}
    for node in needed:
        before = {r.node for r in node.inputs if r not in feeds}
        before |= {c for c in node.controls if c in nodes and nodes[c].op in PIVOTS}
        missing[node.name] = len(before)
        for other in before:
            readers[other].append(node.name)
    ready = [(position[name], name) for name, count in missing.items() if count == 0]
    heapq.heapify(ready)
    while ready:
        _, name = heapq.heappop(ready)
        yield nodes[name]
        for reader in readers[name]:
            missing[reader] -= 1
            if missing[reader] == 0:
                heapq.heappush(ready, (position[reader], reader))


def _is_by_element(op: Op) -> bool:
    """Whether an operator changes the elements of one tensor, each by itself."""
    row = spec(op.type) if known(op.type) else None
    others = [t for t in op.inputs if t is not None and not t.is_constant]
    numbers = all(t is None or not t.is_constant or t.size == 1 for t in op.inputs)
    return row is not None and row.layout.kind == "elementwise" and len(others) == 1 and numbers


def _signal(values: Mapping[Ref, Value], name: str) -> Value:
    """Return what a control edge says: a Switch runs, whichever way it sends its data."""
    first, second = values[Ref(name)], values.get(Ref(name, 1))
    return second if isinstance(first, Dead) and second is not None else first


def _flat_index(node: Node | None, ref: Ref) -> int:
    """Return the output number of `node:port:index`."""
    from tqconv.importers.tf.ports import first_output

    return ref.index if node is None else first_output(node, ref.port) + ref.index


def _int32(value: int) -> Any:
    import numpy as np

    return np.array(value, np.int32)
