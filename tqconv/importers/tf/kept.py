"""Variables that the served function itself assigns: they stay variables, and order matters.

Their operators run in the order that data and control edges say, and nobody but the next run may
read what the last of them stores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import FunctionName, Node, Ref
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.records import dataclass

WRITES = frozenset(
    {
        *("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"),
        *("ResourceScatterAdd", "ResourceScatterDiv", "ResourceScatterMax", "ResourceScatterMin"),
        *("ResourceScatterMul", "ResourceScatterSub", "ResourceScatterUpdate"),
        *("ResourceScatterNdAdd", "ResourceScatterNdSub", "ResourceScatterNdUpdate"),
        *("ResourceScatterNdMax", "ResourceScatterNdMin", "ResourceStridedSliceAssign"),
    }
)
READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd"})


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
) -> Kept:
    """Return the variables that running the fetches assigns, through control edges too.

    Raises UnsupportedError for an assignment within a loop or a branch.
    """
    ran = ancestors(nodes, [ref.node for ref in fetches], {ref.node for ref in feeds})
    _check_bodies(nodes, library, ran)
    writes = [n for n in ran if nodes[n].op in WRITES and _variable(nodes[n], nodes) is not None]
    variables = {_variable(nodes[n], nodes) for n in writes}
    if not writes:
        return Kept()
    users = {
        n for n in ran if nodes[n].op in WRITES | READS and _variable(nodes[n], nodes) in variables
    }
    return Kept(
        tuple(sorted(v for v in variables if v is not None)),
        tuple(n for n in nodes if n in set(writes)),
        _precedence(nodes, ran, users),
    )


def _variable(node: Node, nodes: Mapping[str, Node]) -> str | None:
    """Return the variable whose handle a node gets as its first input."""
    if not node.inputs:
        return None
    ref, seen = node.inputs[0], 0
    while ref.node in nodes and nodes[ref.node].op == "Identity" and seen < len(nodes):
        ref, seen = nodes[ref.node].inputs[0], seen + 1
    found = nodes.get(ref.node)
    return found.name if found is not None and found.op == "VarHandleOp" else None


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


def _precedence(
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


def _check_bodies(
    nodes: Mapping[str, Node], library: Mapping[str, Any], ran: Collection[str]
) -> None:
    """Raise UnsupportedError where a loop or a branch that runs assigns a variable."""
    seen: set[str] = set()
    for name in sorted(ran):
        stack = [v.name for v in nodes[name].attributes().values() if isinstance(v, FunctionName)]
        while stack:
            function = stack.pop()
            if function in seen or function not in library:
                continue
            seen.add(function)
            for inner in library[function].node_def:
                if inner.op in WRITES:
                    raise UnsupportedError(
                        f"{nodes[name].op} '{name}' assigns a variable within its body "
                        f"('{inner.name}')",
                        hint="pass the value through the loop or branch and assign it behind",
                    )
                stack += [a.func.name for a in inner.attr.values() if a.HasField("func")]


def declare(graph: Graph, kept: Kept) -> dict[str, Tensor]:
    """Emit handles of the variables, and what stores their first values; return the handles."""
    if not kept.variables:
        return {}
    first = Graph("variables/init")
    handles = {}
    for name in kept.variables:
        value = np.asarray(kept.initial[name])
        emit(first, "ASSIGN_VARIABLE", _handle(first, name), value, name=f"{name}/initial")
        handles[name] = _handle(graph, name)
    graph.add(Op("CALL_ONCE", (), (), {}, Source("", "variables/init", "NoOp"), (first,)))
    return handles


def _handle(graph: Graph, name: str) -> Tensor:
    made: Tensor = emit(graph, "VAR_HANDLE", name=f"{name}/handle", container="", shared_name=name)
    return made
