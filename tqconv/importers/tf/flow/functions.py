"""Functions: the bodies of the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tqconv.errors import FormatError
from tqconv.importers.tf.node import Node, Ref, function_ref, nodes_of
from tqconv.records import dataclass


@dataclass(frozen=True)
class Function:
    """A function body: `nodes` compute `results` from what `arguments` stand for."""

    name: str
    arguments: tuple[str, ...]
    nodes: Mapping[str, Node]
    results: tuple[Ref, ...]
    scoped: bool = False
    """The nodes come from the graph around, where their names are unique already."""


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
