"""Functions: the bodies of the library, and calls of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.tf.node import FunctionName, Node, Ref, function_ref, nodes_of
from tqconv.importers.tf.registry import TFBuilder
from tqconv.importers.tf.walk import Failed, Walk
from tqconv.ir.graph import Graph, Tensor

MAX_DEPTH = 48
"""Calls within calls; each takes some of Python's stack, and real models stay below ten."""


@dataclass(frozen=True)
class Function:
    """A function body: `nodes` compute `results` from what `arguments` stand for."""

    name: str
    arguments: tuple[str, ...]
    nodes: Mapping[str, Node]
    results: tuple[Ref, ...]
    scoped: bool = False
    """The nodes come from the graph around, where their names are unique already."""


def find(walk: Walk, name: str) -> Function:
    """Return a function with its TF1 control flow made functional; FormatError if absent."""
    from tqconv.importers.tf.frames import functionalize

    known: dict[str, Function] = walk.state.setdefault("functions", {})
    if name in known:
        return known[name]
    found = walk.functions.get(name)
    if found is None:
        raise FormatError(f"the graph's library has no function `{name}`")
    function = found if isinstance(found, Function) else function_of(found)
    arguments = [Ref(a) for a in function.arguments]
    nodes, more = functionalize(function.nodes, function.results, arguments, f"{name}/")
    known.update(more)
    known[name] = replace(function, nodes=nodes)
    return known[name]


def function_of(message: Any) -> Function:
    """Decode a FunctionDef; FormatError when a result has no definition."""
    signature = message.signature
    results = []
    for argument in signature.output_arg:
        if argument.name not in message.ret:
            raise FormatError(f"function `{signature.name}` does not define `{argument.name}`")
        results.append(function_ref(message.ret[argument.name]))
    arguments = tuple(a.name for a in signature.input_arg)
    nodes = nodes_of(iter(message.node_def), function_ref)
    return Function(signature.name, arguments, nodes, tuple(results))


def instantiate(function: Function, attributes: Mapping[str, Any]) -> Function:
    """Fill in the attributes that the body leaves open (`T: $T` of an old function)."""
    nodes = dict(function.nodes)
    for name, node in function.nodes.items():
        given = {
            key: attributes[value.placeholder]
            for key, value in node.attr.items()
            if value.WhichOneof("value") == "placeholder" and value.placeholder in attributes
        }
        if given:
            nodes[name] = replace(node, attr={**node.attr, **given})
    return replace(function, nodes=nodes)


def call(
    b: TFBuilder, target: FunctionName, arguments: Sequence[Tensor], graph: Graph | None = None
) -> list[Tensor | Failed]:
    """Translate a function's body into `graph` (default: where `b` builds) and return its results.

    A result that could not be made is Failed: perhaps nobody needs it. Raises UnsupportedError when
    the function calls itself.
    """
    function = instantiate(find(b.walk, target.name), target.attr)
    if len(arguments) != len(function.arguments):
        raise FormatError(
            f"function `{target.name}` takes {len(function.arguments)} arguments, "
            f"got {len(arguments)}"
        )
    active: list[str] = b.walk.state.setdefault("calls", [])
    if target.name in active:
        raise UnsupportedError(f"function `{target.name}` calls itself")
    if len(active) >= MAX_DEPTH:
        raise UnsupportedError(f"functions call each other more than {MAX_DEPTH} deep")
    walk = b.walk if graph is None else replace(b.walk, graph=graph)
    feeds = {Ref(n): t for n, t in zip(function.arguments, arguments, strict=True)}
    active.append(target.name)
    try:
        scope = b.name.removesuffix(b.node.name) if function.scoped else f"{b.name}/"
        values = walk.run(function.nodes, feeds, function.results, scope)
    finally:
        active.pop()
    results: list[Tensor | Failed] = []
    for ref, value in zip(function.results, values, strict=True):
        if not isinstance(value, Tensor | Failed):
            raise UnsupportedError(f"result '{ref}' of `{target.name}` is never computed")
        results.append(value)
    return results
