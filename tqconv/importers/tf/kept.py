"""Variables that the served function itself assigns: they stay variables, and order matters.

Their operators run in the order that data and control edges say, and nobody but the next run may
read what the last of them stores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.importers.tf.flow.functions import Function, function_of
from tqconv.importers.tf.flow.primitives import ENTERS, SWITCHES, behind, reached
from tqconv.importers.tf.flow.regions import IN_LOOP, NOWHERE, regions_of
from tqconv.importers.tf.leftovers import VARIABLES
from tqconv.importers.tf.node import FunctionName, Node, Ref, graph_ref
from tqconv.records import dataclass

WRITES = re.compile(
    "Assign(Add|Sub)?VariableOp|Resource(Sparse)?Apply.*|ResourceScatter.*|ResourceStridedSliceAssign"
)
OLD_WRITES = re.compile(
    "Assign(Add|Sub)?|Scatter(Nd)?(Update|Add|Sub|Mul|Div|Min|Max)|(Sparse)?Apply.*"
    "|StridedSliceAssign|CountUpTo"
)
"""Operators that store to variables of TF1 by reference, which are constants here."""
READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd"})
DECIDED = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
"""Operators whose functions do not get their first input."""


@dataclass(frozen=True)
class Kept:
    """Variables that are assigned, and by which nodes.

    before: for each node that reads or writes one of them, those that have to run first; initial:
    values by variable.
    """

    variables: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    before: Mapping[str, Collection[str]] = field(default_factory=dict)
    initial: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def keep(
    nodes: Mapping[str, Node],
    library: Mapping[str, Any],
    fetches: Sequence[Ref],
    feeds: Collection[Ref],
    alone: bool = False,
) -> Kept:
    """Return the variables that running the fetches assigns, through control edges too.

    alone: nothing else reads them, so that those on which no fetch ever depends are left out.
    Raises UnsupportedError where the body of a loop or a branch assigns a variable of its own.
    """
    ran = ancestors(nodes, [ref.node for ref in fetches], {ref.node for ref in feeds})
    known: dict[str, Function] = {}

    def find(name: str) -> Function | None:
        if name not in known and name in library:
            known[name] = function_of(library[name])
        return known.get(name)

    stores = Stores(find)
    stored = {
        name: {ref.node for ref in stores.of(nodes, nodes[name]) if _holds(nodes, ref)}
        for name in ran
    }
    variables = set().union(*stored.values())
    if alone and variables:
        variables &= _read_by(nodes, fetches, feeds, stored)
    writes = {name for name, written in stored.items() if written & variables}
    _check_primitives(nodes, ran, reached(nodes, fetches, feeds), feeds)
    if not writes:
        return Kept()
    handles = {Ref(name) for name in variables}
    users = {name for name in ran if uses(nodes, nodes[name], handles)}
    return Kept(
        tuple(sorted(variables)),
        tuple(n for n in nodes if n in writes),
        precedence(nodes, ran, users),
    )


def _check_primitives(
    nodes: Mapping[str, Node], ran: Collection[str], read: Collection[str], feeds: Collection[Ref]
) -> None:
    """Raise UnsupportedError where TF1 stores something in a branch or loop, or by reference.

    read: the nodes that the fetches need; what none of them reads may be stored.
    """
    stores = [n for n in sorted(ran) if OLD_WRITES.fullmatch(nodes[n].op) or _writes(nodes[n])]
    stores = [n for n in stores if nodes[n].inputs and _variable(nodes, nodes[n].inputs[0]) in read]
    regions = regions_of(nodes) if stores else {}
    for name in stores:
        around = regions.get(name, NOWHERE)
        if any(_is_left_out(nodes, feeds, *place) for place in around):
            continue
        if around or OLD_WRITES.fullmatch(nodes[name].op):
            where = "within a branch or a loop of TensorFlow 1" if around else "by reference"
            raise UnsupportedError(
                f"{nodes[name].op} '{name}' stores a variable {where}",
                hint="save the model with tf.compat.v1.enable_control_flow_v2() and "
                "tf.compat.v1.enable_resource_variables()",
            )


def _writes(node: Node) -> bool:
    return WRITES.fullmatch(node.op) is not None


def _variable(nodes: Mapping[str, Node], ref: Ref) -> str | None:
    """Return the variable behind a tensor that comes through switches or into frames."""
    for _ in range(len(nodes)):
        node = nodes.get(behind(nodes, ref).node)
        if node is None or node.op not in (*SWITCHES, *ENTERS) or not node.inputs:
            return node.name if node is not None and node.op in VARIABLES else None
        ref = node.inputs[0]
    return None


def _is_left_out(
    nodes: Mapping[str, Node], feeds: Collection[Ref], predicate: str, side: int
) -> bool:
    """Whether a constant says that a branch does not run."""
    if side == IN_LOOP:
        return False
    ref = behind(nodes, graph_ref(predicate))
    node = nodes.get(ref.node)
    if node is not None and node.op == "PlaceholderWithDefault" and ref not in feeds:
        node = nodes.get(behind(nodes, node.inputs[0]).node) if node.inputs else None
    if node is None or node.op != "Const" or node.constant_shape() != ():
        return False
    return int(node.get("value").item()) != side


def _read_by(
    nodes: Mapping[str, Node],
    fetches: Sequence[Ref],
    feeds: Collection[Ref],
    stored: Mapping[str, Collection[str]],
) -> set[str]:
    """Return the variables of which some fetch reads something, in this run or a later one.

    stored: which variables a node stores something to.
    """
    read: set[str] = set()
    roots = list(fetches)
    while roots:
        needed = reached(nodes, roots, feeds)
        handles = {behind(nodes, ref).node for n in needed for ref in nodes[n].inputs}
        fresh = {name for name in handles if _holds(nodes, Ref(name))} - read
        read |= fresh
        roots = [Ref(name) for name, written in stored.items() if fresh & set(written)]
    return read


def _holds(nodes: Mapping[str, Node], ref: Ref) -> bool:
    """Whether a tensor is the handle of a variable."""
    return ref.node in nodes and nodes[ref.node].op == "VarHandleOp"


def uses(nodes: Mapping[str, Node], node: Node, handles: Collection[Ref]) -> bool:
    """Whether a node may read or store what some handles stand for."""
    if node.op not in READS and not WRITES.fullmatch(node.op) and not callees(node):
        return False
    return any(behind(nodes, ref) in handles for ref in node.inputs)


def callees(node: Node) -> list[str]:
    """Return the functions that a node calls."""
    values = node.attributes().values() if any(map(_calls, node.attr.values())) else ()
    lists = [v if isinstance(v, list) else [v] for v in values]
    return [v.name for found in lists for v in found if isinstance(v, FunctionName)]


def _calls(value: Any) -> bool:
    return value.HasField("func") or bool(value.list.func)


@dataclass(frozen=True)
class Stores:
    """Which variables nodes store, functions that they call included."""

    find: Callable[[str], Function | None]
    known: dict[str, frozenset[int]] = field(default_factory=dict)
    """Functions -> the positions of the arguments that they store something to."""

    def of(self, nodes: Mapping[str, Node], node: Node) -> set[Ref]:
        """Return the handles that a node stores something to."""
        inputs = [behind(nodes, ref) for ref in node.inputs]
        if WRITES.fullmatch(node.op):
            return set(inputs)
        first = 1 if node.op in DECIDED else 0
        found = [self.positions(name) for name in callees(node)]
        return {
            inputs[first + i] for positions in found for i in positions if first + i < len(inputs)
        }

    def positions(self, name: str) -> frozenset[int]:
        """Return the positions of the arguments that a function stores something to.

        Raises UnsupportedError where it stores something else.
        """
        waiting = [] if name in self.known else [(name, False)]
        while waiting:
            asked, is_ready = waiting.pop()
            function = self.find(asked)
            if is_ready and function is not None:
                self.known[asked] = self._stored_by(function)
            elif asked not in self.known:
                self.known[asked] = frozenset()  # until it is known: it may call itself
                called = [] if function is None else map(callees, function.nodes.values())
                waiting.append((asked, True))
                waiting += [(other, False) for names in called for other in names]
        return self.known[name]

    def _stored_by(self, function: Function) -> frozenset[int]:
        found = set()
        for node in function.nodes.values():
            for ref in self.of(function.nodes, node):
                if ref.node in function.arguments:
                    found.add(function.arguments.index(ref.node))
                elif _holds(function.nodes, ref):
                    raise UnsupportedError(
                        f"function `{function.name}` assigns a variable within its body "
                        f"('{node.name}')",
                        hint="pass the variable to the loop or branch",
                    )
        return frozenset(found)


def _before(node: Node) -> Iterator[str]:
    yield from (ref.node for ref in node.inputs)
    yield from node.controls


def ancestors(
    nodes: Mapping[str, Node], roots: Sequence[str], stop: Collection[str] = ()
) -> set[str]:
    """Return what runs with the roots, whatever the edge."""
    seen: set[str] = set()
    stack = list(roots)
    while stack:
        name = stack.pop()
        if name in seen or name not in nodes or name in stop:
            continue
        seen.add(name)
        stack += _before(nodes[name])
    return seen


def precedence(
    nodes: Mapping[str, Node], ran: Collection[str], users: Collection[str]
) -> dict[str, set[str]]:
    """Return for each user the nearest users before it, along data and control edges."""
    nearest: dict[str, set[str]] = {}
    for root in users:
        stack = [(root, False)]
        while stack:
            name, ready = stack.pop()
            if name in nearest and not ready:
                continue
            before = [b for b in _before(nodes[name]) if b in ran]
            if not ready:
                nearest[name] = set()
                stack.append((name, True))
                stack += [(b, False) for b in before if b not in nearest]
                continue
            for other in before:
                nearest[name] |= {other} if other in users else nearest[other]
    return {name: nearest[name] for name in users if nearest[name]}
