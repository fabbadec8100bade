"""In which loops and branches of TF1 control flow the nodes of a graph lie.

What lies in one has no single value for the graph around: in a loop it has one in every round, in a
branch only where the predicate sends data there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tqconv.importers.tf.flow.primitives import ENTERS, EXITS, MERGES, NEXTS, SWITCHES, behind
from tqconv.importers.tf.node import FunctionName, Node, Ref

Region = tuple[str, int]
"""A loop: the name of its frame and -1; a branch: the predicate and an output of its Switches."""
Regions = frozenset[Region]
NOWHERE: Regions = frozenset()
IN_LOOP = -1
LOOPS = ("While", "StatelessWhile")
NO_FUNCTIONS: Mapping[str, Any] = MappingProxyType({})
COUNTERS = (3, 9)
"""DataTypes of what counts rounds: int32, int64."""


def regions_of(nodes: Mapping[str, Node]) -> dict[str, Regions]:
    """Return the loops and branches that each node lies in; nothing for a graph without any."""
    if not any(node.op in (*SWITCHES, *ENTERS) for node in nodes.values()):
        return {}
    found: dict[str, Regions] = {}
    for node in _inputs_first(nodes):
        found[node.name] = _region(node, nodes, found)
    return found


def counters_of(
    nodes: Mapping[str, Node], read: set[str], library: Mapping[str, Any] = NO_FUNCTIONS
) -> set[str]:
    """Return what nobody reads of loops that leave something else too and that is no result.

    It says how often a loop ran, or what it was given and does not change. library: functions by
    name, of which the bodies of functional loops are.
    """
    loops: dict[str, dict[str, bool]] = {}
    for node in nodes.values():
        switch = _switch_before(node, nodes)
        if switch is not None and len(switch.inputs) > 1:
            loop = behind(nodes, switch.inputs[1]).node
            loops.setdefault(loop, {})[node.name] = _counts(node, nodes)
        elif node.op == "Identity" and node.inputs:
            ref = node.inputs[0]
            loop_node = nodes.get(ref.node)
            if loop_node is not None and loop_node.op in LOOPS:
                idle = _is_idle(loop_node, ref.index, nodes, library)
                loops.setdefault(ref.node, {})[node.name] = idle
    found = set()
    for left in loops.values():
        idle_ones = {name for name, idle in left.items() if idle and name not in read}
        if len(idle_ones) < len(left):
            found |= idle_ones
    return found


def _is_idle(loop: Node, index: int, nodes: Mapping[str, Node], library: Mapping[str, Any]) -> bool:
    """Whether a variable of a functional loop counts its rounds, or never changes."""
    if index >= len(loop.inputs):
        return False
    start = nodes.get(behind(nodes, loop.inputs[index]).node)
    if start is not None and start.op == "Const" and _is_scalar(start):
        return start.get("dtype", 1) in COUNTERS
    body = loop.get("body")
    function = library.get(body.name) if isinstance(body, FunctionName) else None
    if function is None:
        return False
    given, left = function.signature.input_arg, function.signature.output_arg
    if index >= min(len(given), len(left)):
        return False
    passing = {n.name: n.input[0] for n in function.node_def if n.op == "Identity" and n.input}
    made = function.ret.get(left[index].name, "")
    while made.partition(":")[0] in passing:
        made = passing.pop(made.partition(":")[0])
    return made == given[index].name


def _region(node: Node, nodes: Mapping[str, Node], found: Mapping[str, Regions]) -> Regions:
    """Return where a node lies, given where its inputs lie."""
    sides = [_side(ref, nodes, found) for ref in node.inputs]
    if node.op in MERGES:
        entering = [
            s for s, ref in zip(sides, node.inputs, strict=True) if not _is_back(ref, nodes)
        ]
        loops = len(entering) < len(sides)
        return NOWHERE.union(*entering) if loops else _common(sides)
    sides += [found.get(name, NOWHERE) for name in node.controls]
    around = NOWHERE.union(*sides)
    if node.op in ENTERS:
        return around | {(_frame(node), IN_LOOP)}
    return around - _left(node, nodes) if node.op in EXITS else around


def _side(ref: Ref, nodes: Mapping[str, Node], found: Mapping[str, Regions]) -> Regions:
    """Return where a tensor lies: what a Switch makes is in a branch."""
    node, around = nodes.get(ref.node), found.get(ref.node, NOWHERE)
    if node is None or node.op not in (*SWITCHES, "_SwitchN") or len(node.inputs) != 2:
        return around
    predicate = behind(nodes, node.inputs[1])
    test = nodes.get(predicate.node)
    if test is not None and test.op == "LoopCond":
        return around
    return around | {(str(predicate), ref.index)}


def _common(sides: list[Regions]) -> Regions:
    return frozenset.intersection(*sides) if sides else NOWHERE


def _is_back(ref: Ref, nodes: Mapping[str, Node]) -> bool:
    return ref.node in nodes and nodes[ref.node].op in NEXTS


def _frame(enter: Node) -> str:
    name = enter.get("frame_name", b"")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _left(node: Node, nodes: Mapping[str, Node]) -> Regions:
    """Return the loop that an Exit leaves."""
    enter = _enter_before(node, nodes)
    return NOWHERE if enter is None else frozenset({(_frame(enter), IN_LOOP)})


def _counts(node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether an Exit leaves with a number that started as a constant."""
    enter = _enter_before(node, nodes)
    start = None if enter is None else nodes.get(behind(nodes, enter.inputs[0]).node)
    is_scalar = start is not None and start.op == "Const" and _is_scalar(start)
    return is_scalar and enter is not None and enter.get("T", 1) in COUNTERS


def _is_scalar(constant: Node) -> bool:
    return constant.constant_shape() == ()


def _switch_before(node: Node, nodes: Mapping[str, Node]) -> Node | None:
    if node.op not in EXITS or not node.inputs:
        return None
    switch = nodes.get(behind(nodes, node.inputs[0]).node)
    return switch if switch is not None and switch.op in SWITCHES and switch.inputs else None


def _enter_before(node: Node, nodes: Mapping[str, Node]) -> Node | None:
    """Return the Enter of the variable that an Exit leaves with."""
    switch = _switch_before(node, nodes)
    merge = None if switch is None else nodes.get(behind(nodes, switch.inputs[0]).node)
    refs = () if merge is None or merge.op not in MERGES else merge.inputs
    enters = (nodes.get(behind(nodes, ref).node) for ref in refs)
    return next((e for e in enters if e is not None and e.op in ENTERS and e.inputs), None)


def _inputs_first(nodes: Mapping[str, Node]) -> Iterator[Node]:
    """Yield every node behind its inputs, but for the back edges of loops (and of damage)."""
    seen: set[str] = set()
    for first in nodes:
        stack = [(first, False)]
        while stack:
            name, ready = stack.pop()
            if ready:
                yield nodes[name]
                continue
            if name in seen or name not in nodes:
                continue
            seen.add(name)
            node = nodes[name]
            stack.append((name, True))
            before = [ref.node for ref in node.inputs if not _is_back(ref, nodes)]
            stack += [(other, False) for other in (*before, *node.controls)]
