"""Calls of functions that are written as operators of the function's name, as old Defuns are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any


def spell_out_calls(message: Any) -> None:
    """Make each node of a GraphDef whose operator is one of its functions a PartitionedCall.

    Within functions such a call's results go by the names that its function has for them.
    """
    signatures = {f.signature.name: f.signature for f in message.library.function}
    if not signatures:
        return
    bodies = [function.node_def for function in message.library.function]
    for node in chain(message.node, *bodies):
        if node.op in signatures:
            _spell_out(node, signatures[node.op].is_stateful)
    for function in message.library.function:
        calls = {n.name: signatures[called] for n in function.node_def if (called := _by_name(n))}
        if calls:
            _number_results(function, calls)


BY_NAME = "_called_by_name"


def _spell_out(node: Any, is_stateful: bool) -> None:
    name = node.op
    attributes = {key: value for key, value in node.attr.items() if not key.startswith("_")}
    node.op = "StatefulPartitionedCall" if is_stateful else "PartitionedCall"
    target = node.attr["f"].func
    target.name = name
    for key, value in attributes.items():
        target.attr[key].CopyFrom(value)
    node.attr[BY_NAME].b = True


def _by_name(node: Any) -> str | None:
    return str(node.attr["f"].func.name) if BY_NAME in node.attr else None


def _number_results(function: Any, calls: Mapping[str, Any]) -> None:
    places = {
        f"{node}:{result.name}:0": f"{node}:output:{number}"
        for node, signature in calls.items()
        for number, result in enumerate(signature.output_arg)
    }
    for node in function.node_def:
        for position, read in enumerate(node.input):
            if read in places:
                node.input[position] = places[read]
    for name, read in list(function.ret.items()):
        if read in places:
            function.ret[name] = places[read]
