"""The nodes of which TF1 makes control flow, and what both loops and conditions ask of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tqconv.errors import FormatError
from tqconv.importers.tf.node import Node, Ref
from tqconv.schema import proto

EXITS = ("Exit", "RefExit")
ENTERS = ("Enter", "RefEnter")
MERGES = ("Merge", "RefMerge")
SWITCHES = ("Switch", "RefSwitch")
NEXTS = ("NextIteration", "RefNextIteration")
LEAST_INPUTS = {
    **dict.fromkeys((*EXITS, *ENTERS, *MERGES, *NEXTS, "LoopCond"), 1),
    **dict.fromkeys((*SWITCHES, "_SwitchN"), 2),
}
PIVOTS = (*SWITCHES, "_SwitchN", "Identity", "NoOp")
"""What control inputs are followed to: they say in which branch a constant lies."""


def behind(nodes: Mapping[str, Node], ref: Ref) -> Ref:
    """Return the tensor that `ref` passes on through Identity nodes; FormatError for a ring."""
    node, seen = nodes.get(ref.node), set[str]()
    while node is not None and node.op in ("Identity", "RefIdentity") and node.inputs:
        if node.name in seen:
            raise FormatError(f"Identity '{node.name}' reads itself")
        seen.add(node.name)
        ref = node.inputs[0]
        node = nodes.get(ref.node)
    return ref


def call_node(name: str, op: str, inputs: Iterable[Ref], **functions: str) -> Node:
    """Return a node with function attributes."""
    messages = proto.messages()
    attr = {
        key: messages.AttrValue(func=messages.NameAttrList(name=value))
        for key, value in functions.items()
    }
    return Node(name, op, tuple(inputs), (), attr)


def fresh_name(nodes: Mapping[str, Node], like: str, what: str) -> str:
    """Return the scope of the node `like`, or `like/what` where that is a node itself."""
    scope = like.rpartition("/")[0]
    if scope and scope not in nodes:
        return scope
    name, count = f"{like}/{what}", 0
    while name in nodes:
        count += 1
        name = f"{like}/{what}_{count}"
    return name


def reached(nodes: Mapping[str, Node], fetches: Iterable[Ref], feeds: Collection[Ref]) -> set[str]:
    """Return the nodes that the fetches need, through back edges too."""
    seen: set[str] = set()
    stack = [ref.node for ref in fetches if ref not in feeds]
    while stack:
        name = stack.pop()
        node = nodes.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        stack += [ref.node for ref in node.inputs if ref not in feeds]
        stack += [c for c in node.controls if c in nodes and nodes[c].op in PIVOTS]
    return seen


def check_inputs(nodes: Iterable[Node]) -> None:
    """Raise FormatError where a node of control flow has too few inputs."""
    for node in nodes:
        least = LEAST_INPUTS.get(node.op, 0)
        if len(node.inputs) < least:
            raise FormatError(f"{node.op} '{node.name}' has {len(node.inputs)} of {least} inputs")
