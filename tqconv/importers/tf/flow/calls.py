"""Calls of functions: their bodies are translated where they are called."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from tqconv.errors import FormatError, UnsupportedError, counted
from tqconv.importers.tf import walk
from tqconv.importers.tf.flow.functional import functionalize
from tqconv.importers.tf.flow.functions import Function, function_of, instantiate
from tqconv.importers.tf.kept import Stores, precedence, uses
from tqconv.importers.tf.node import FunctionName, Ref
from tqconv.importers.tf.order import NOTHING, Earlier
from tqconv.importers.tf.registry import TFBuilder
from tqconv.importers.tf.shared import Shared
from tqconv.importers.translate import Failed, ReportedError
from tqconv.ir.graph import Graph, Tensor

MAX_DEPTH = 48
"""Calls within calls; each takes some of Python's stack, and real models stay below ten."""


def find(shared: Shared, name: str) -> Function:
    """Return a function with its TF1 control flow made functional; FormatError if absent."""
    known = shared.bodies
    if name in known:
        return known[name]
    found = shared.functions.get(name)
    if found is None:
        raise FormatError(f"the graph's library has no function `{name}`")
    function = found if isinstance(found, Function) else function_of(found)
    arguments = [Ref(a) for a in function.arguments]
    nodes, more = functionalize(function.nodes, function.results, arguments, f"{name}/")
    known.update(more)
    known[name] = replace(function, nodes=nodes)
    return known[name]


def stores_of(shared: Shared) -> Stores:
    """Return what tells which variables nodes store."""
    return Stores(lambda name: find(shared, name), shared.stored)


def stored_within(
    shared: Shared, function: Function, handles: AbstractSet[Ref]
) -> tuple[list[str], Earlier]:
    """Return the nodes that store to some of a function's arguments, and what runs before what."""
    stores, nodes = stores_of(shared), function.nodes
    writes = [name for name, node in nodes.items() if handles & stores.of(nodes, node)]
    if not writes:
        return [], NOTHING
    users = {name for name, node in nodes.items() if uses(nodes, node, handles)}
    return writes, precedence(nodes, nodes, users)


def call(
    b: TFBuilder, target: FunctionName, arguments: Sequence[Tensor], graph: Graph | None = None
) -> list[Tensor | Failed]:
    """Translate a function's body into `graph` (default: where `b` builds) and return its results.

    A result that could not be made is Failed: perhaps nobody needs it. Raises UnsupportedError when
    the function calls itself, or when the model's calls together become too many nodes.
    """
    function = instantiate(find(b.shared, target.name), target.attr)
    if len(arguments) != len(function.arguments):
        raise FormatError(
            f"function `{target.name}` takes {counted(len(function.arguments), 'argument')}, "
            f"got {len(arguments)}"
        )
    active = b.shared.calls
    if target.name in active:
        raise UnsupportedError(f"function `{target.name}` calls itself")
    if len(active) >= MAX_DEPTH:
        raise UnsupportedError(f"functions call each other more than {MAX_DEPTH} deep")
    b.graph.budget.expand(len(function.nodes), f"function `{target.name}`")
    feeds = {Ref(n): t for n, t in zip(function.arguments, arguments, strict=True)}
    handles = {n for n, t in feeds.items() if t in b.shared.cells}
    writes, earlier = stored_within(b.shared, function, handles)
    active.append(target.name)
    try:
        scope = b.name.removesuffix(b.node.name) if function.scoped else f"{b.name}/"
        values = walk.run(
            b.shared,
            b.graph if graph is None else graph,
            function.nodes,
            feeds,
            [*function.results, *map(Ref, writes)],
            scope,
            earlier,
        )
    finally:
        active.pop()
    for value in values[len(function.results) :]:
        if isinstance(value, Failed):
            raise ReportedError(value.node)
    results: list[Tensor | Failed] = []
    for ref, value in zip(function.results, values, strict=False):
        if not isinstance(value, Tensor | Failed):
            raise UnsupportedError(f"result '{ref}' of `{target.name}` is never computed")
        results.append(value)
    return results
