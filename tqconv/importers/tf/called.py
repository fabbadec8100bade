"""Calls of functions that are written as operators of the function's name, as old Defuns are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tqconv.schema import proto


def spell_out_calls(message: Any) -> None:
    """Make each node of a GraphDef whose operator is one of its functions a PartitionedCall.

    Within functions such a call's results go by the names that its function has for them.
    """
    signatures = {f.signature.name: f.signature for f in message.library.function}
    if not signatures:
        return
    _spell_out_in(message.node, signatures)
    for function in message.library.function:
        calls = _spell_out_in(function.node_def, signatures)
        if calls:
            _number_results(function, calls)


def _spell_out_in(nodes: Any, signatures: Mapping[str, Any]) -> dict[str, Any]:
    """Make calls of those nodes that are some; return the functions that they call, by name."""
    calls = {}
    for node in nodes:
        signature = signatures.get(node.op)
        if signature is not None:
            _spell_out(node, signature.is_stateful)
            calls[node.name] = signature
    return calls


def _spell_out(node: Any, is_stateful: bool) -> None:
    name = node.op
    call = proto.messages().AttrValue()  # apart: the function may have an attribute `f` of its own
    call.func.name = name
    for key, value in node.attr.items():
        if not key.startswith("_"):
            call.func.attr[key].CopyFrom(value)
    node.op = "StatefulPartitionedCall" if is_stateful else "PartitionedCall"
    node.attr["f"].CopyFrom(call)


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
