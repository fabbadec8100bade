"""The order in which nodes are translated."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.tf.node import Node, Ref

PIVOTS = ("Switch", "Identity")
"""Operators whose control edges say whether a node is alive."""
Earlier = Mapping[str, Collection[str]]
NOTHING: Earlier = MappingProxyType({})


def execution_order(
    nodes: Mapping[str, Node],
    feeds: Collection[Ref],
    fetches: Sequence[Ref],
    pivots: Collection[str] = PIVOTS,
    earlier: Earlier = NOTHING,
) -> Iterable[Node]:
    """Yield the nodes that the fetches need, every node after its data inputs.

    Control inputs are followed only to pivots, by default Switch and Identity: they say whether a
    node is alive. `earlier`: what else has to run before a node. Raises FormatError
    for a missing node and UnsupportedError for a cycle.
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
            before += sorted(earlier.get(name, ()))
            stack += [(b, name, False) for b in reversed(before) if b not in done]


def file_order(
    needed: Sequence[Node],
    nodes: Mapping[str, Node],
    feeds: Collection[Ref],
    earlier: Earlier = NOTHING,
) -> Iterable[Node]:
    """Yield nodes as the file lists them, but every node after its inputs; constants come first."""
    position = {name: -1 if n.op == "Const" else i for i, (name, n) in enumerate(nodes.items())}
    readers: dict[str, list[str]] = {node.name: [] for node in needed}
    missing = {}
    for node in needed:
        before = {r.node for r in node.inputs if r not in feeds}
        before |= {c for c in node.controls if c in nodes and nodes[c].op in PIVOTS}
        before |= set(earlier.get(node.name, ()))
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
