"""The order in which nodes are translated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from tqconv.errors import FormatError, UnsupportedError, counted
from tqconv.importers.tf.node import Node, Ref
from tqconv.ir.sorting import least_first

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
        stack = [] if fetch in fed else [(fetch.node, False)]
        while stack:
            name, ready = stack.pop()
            if ready:
                active.discard(name)
                done.add(name)
                yield nodes[name]
                continue
            if name in done:
                continue
            node = nodes.get(name)
            if node is None:
                raise _absent(nodes, fetches, fed)
            if name in active:
                raise UnsupportedError(
                    f"the graph has a cycle through '{name}'",
                    hint="declare back edges with --rnn_states, or cut with --input_arrays",
                )
            active.add(name)
            stack.append((name, True))
            before = [r.node for r in node.inputs if r not in fed]
            before += [c for c in node.controls if c in nodes and nodes[c].op in pivots]
            before += sorted(earlier.get(name, ()))
            stack += [(b, False) for b in reversed(before) if b not in done]


SHOWN = 10
"""Absent nodes that a message names."""


def _absent(nodes: Mapping[str, Node], fetches: Sequence[Ref], fed: Collection[Ref]) -> FormatError:
    """Return the error about all nodes that the fetches need and that the graph does not have."""
    readers: dict[str, str] = {}
    seen: set[str] = set()
    stack = [(ref, str(ref)) for ref in reversed(fetches)]
    while stack:
        ref, reader = stack.pop()
        if ref in fed or ref.node in seen:
            continue
        seen.add(ref.node)
        node = nodes.get(ref.node)
        if node is None:
            readers[ref.node] = reader
        else:
            stack += [(before, node.name) for before in reversed(node.inputs)]
    shown = [f"'{name}', which '{reader}' reads" for name, reader in readers.items()]
    more = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    constants = any(node.op == "Const" for node in nodes.values())
    return FormatError(
        f"{counted(len(shown), 'node')} not in the graph: " + "; ".join([*shown[:SHOWN], *more]),
        hint="was the file cut short, or a part of it deleted?"
        if constants
        else "there is not one constant in it: a .pbtxt that is made for OpenCV lacks them; "
        "convert the frozen .pb that it was made from",
    )


def file_order(
    needed: Sequence[Node],
    nodes: Mapping[str, Node],
    feeds: Collection[Ref],
    earlier: Earlier = NOTHING,
) -> Iterable[Node]:
    """Return nodes as the file lists them, but each after its inputs; constants come first."""
    rank = {n: (-1 if x.op == "Const" else i, n) for i, (n, x) in enumerate(nodes.items())}
    needs = {}
    for node in needed:
        before = {r.node for r in node.inputs if r not in feeds}
        before |= {c for c in node.controls if c in nodes and nodes[c].op in PIVOTS}
        needs[node.name] = before | set(earlier.get(node.name, ()))
    return (nodes[name] for name in least_first(needs, rank))
