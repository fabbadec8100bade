"""Arrays and lists that are read only as the concatenation of their elements."""

from __future__ import annotations

from dataclasses import replace

from tqconv.importers.tf.flow.primitives import ENTERS, SWITCHES
from tqconv.importers.tf.node import Node
from tqconv.schema import proto

CONCATENATIONS = (
    *("TensorArrayConcatV2", "TensorArrayConcatV3"),
    *("TensorListConcat", "TensorListConcatV2"),
)
ARRAYS = ("TensorArrayV2", "TensorArrayV3", "TensorListReserve")
JOINED = "_tqconv_joined"
"""Attribute, and parameter of handlers, of an array that is read only as a concatenation."""


def mark_joined(nodes: dict[str, Node]) -> None:
    """Mark the arrays and lists that are concatenated: their elements may differ in length."""
    true = proto.messages().AttrValue(b=True)
    for node in list(nodes.values()):
        if node.op not in CONCATENATIONS or not node.inputs:
            continue
        ref = node.inputs[0]
        origin = nodes.get(ref.node)
        seen: set[str] = set()
        while origin is not None and origin.inputs and origin.name not in seen:
            seen.add(origin.name)
            if origin.op in ARRAYS:
                nodes[origin.name] = replace(origin, attr={**origin.attr, JOINED: true})
                break
            if origin.op in ("While", "StatelessWhile") and ref.index < len(origin.inputs):
                ref = origin.inputs[ref.index]
            elif origin.op in (*ENTERS, *SWITCHES, "Identity"):
                ref = origin.inputs[0]
            else:
                break
            origin = nodes.get(ref.node)
