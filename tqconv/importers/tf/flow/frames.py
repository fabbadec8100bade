"""TF1 loops become While nodes.

A loop of TF1 is a frame of primitive nodes:

    Enter -> Merge -> Switch(LoopCond) -> ... -> NextIteration -> Merge
                            `-> Exit

Everything in the frame is a function of what the Merges hold and of loop-invariant Enters. So the
part before LoopCond is the condition, the part before the NextIterations the body, and each Merge
one variable. Inner frames first: their Exits then are plain nodes of the outer frame.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace

from tqconv.errors import FormatError
from tqconv.importers.tf.flow.functions import Function
from tqconv.importers.tf.flow.primitives import (
    ENTERS,
    EXITS,
    MERGES,
    NEXTS,
    PIVOTS,
    SWITCHES,
    behind,
    call_node,
    fresh_name,
)
from tqconv.importers.tf.node import Node, Ref
from tqconv.records import dataclass


def functionalize_loops(
    nodes: dict[str, Node],
    needed: set[str],
    feeds: Collection[Ref],
    functions: dict[str, Function],
    prefix: str,
) -> None:
    """Replace the needed loops by While nodes, in place; add conditions and bodies to functions."""
    loops = _loops(nodes, needed)
    while loops:
        ready = {}
        for condition, exits in loops.items():
            frame = _Frame(nodes, condition, feeds)
            if frame.read(exits):
                ready[condition] = frame
        if not ready:
            raise FormatError(f"the loops at {', '.join(loops)} are tangled")
        for condition, frame in ready.items():
            functions.update(frame.replace_by_while(loops.pop(condition), prefix))


def _loops(nodes: Mapping[str, Node], needed: set[str]) -> dict[str, list[Node]]:
    """Return the Exits of each loop by the name of its LoopCond."""
    loops: dict[str, list[Node]] = {}
    for node in nodes.values():
        if node.op not in EXITS or node.name not in needed:
            continue
        switch = nodes.get(behind(nodes, node.inputs[0]).node)
        if switch is None or switch.op not in SWITCHES or len(switch.inputs) != 2:
            raise FormatError(f"Exit '{node.name}' does not leave a loop")
        condition = behind(nodes, switch.inputs[1]).node
        if condition not in nodes or nodes[condition].op != "LoopCond":
            raise FormatError(f"Exit '{node.name}' belongs to no LoopCond")
        loops.setdefault(condition, []).append(node)
    return loops


@dataclass
class _Frame:
    """One loop: its variables (Merges) and its invariants, in the order in which they are met."""

    nodes: dict[str, Node]
    condition: str
    feeds: Collection[Ref]
    variables: dict[str, tuple[Ref, Ref]] = field(default_factory=dict)
    """Merge -> the value before the loop, the value for the next round."""
    invariants: dict[Ref, str] = field(default_factory=dict)
    """Tensor outside -> name of the argument."""

    def read(self, exits: Iterable[Node]) -> bool:
        """Find the variables and invariants; False while an inner loop is not replaced yet."""
        todo = [self.nodes[self.condition].inputs[0]]
        todo += [self._switched(node.inputs[0]) for node in exits]
        seen: set[str] = set()
        while todo:
            ref = todo.pop()
            node = self.nodes.get(ref.node)
            if ref in self.feeds or node is None or ref.node in seen:
                continue
            seen.add(ref.node)
            if node.op in EXITS:
                return False
            if self._is_variable(node):
                if node.name not in self.variables:
                    self.variables[node.name] = self._edges(node)
                    todo.append(self.variables[node.name][1])
            elif node.op not in ENTERS:
                todo += node.inputs
                todo += [Ref(c) for c in self._pivots(node)]
        return True

    def replace_by_while(self, exits: Iterable[Node], prefix: str) -> dict[str, Function]:
        """Put a While node, and Identities for the Exits, into the graph; return its functions."""
        name = fresh_name(self.nodes, self.condition, "while")
        following = [after for _, after in self.variables.values()]
        cond = self._cut([self.nodes[self.condition].inputs[0]])
        body = self._cut(following)
        arguments = (*self.variables, *self.invariants.values())
        kept = tuple(Ref(a) for a in self.invariants.values())
        results = tuple(map(self._inside, following))
        test, step = f"{prefix}{name}/cond", f"{prefix}{name}/body"
        self.nodes[name] = call_node(
            name,
            "StatelessWhile",
            [*(before for before, _ in self.variables.values()), *self.invariants],
            cond=test,
            body=step,
        )
        position = {merge: i for i, merge in enumerate(self.variables)}
        for node in exits:
            merge = self._switched(node.inputs[0]).node
            self.nodes[node.name] = Node(
                node.name, "Identity", (Ref(name, position[merge]),), (), node.attr
            )
        decision = self._inside(self.nodes[self.condition].inputs[0])
        return {
            test: Function(test, arguments, cond, (decision,), scoped=True),
            step: Function(step, arguments, body, (*results, *kept), scoped=True),
        }

    def _cut(self, results: Iterable[Ref]) -> dict[str, Node]:
        """Return copies of the nodes in the frame that compute `results`."""
        copies: dict[str, Node] = {}
        todo = list(results)
        while todo:
            ref = todo.pop()
            inner = self._inside(ref)
            node = self.nodes.get(inner.node)
            if inner != ref or node is None or ref.node in copies or self._is_argument(inner):
                continue
            copies[node.name] = replace(node, inputs=tuple(map(self._inside, node.inputs)))
            todo += node.inputs
            todo += [Ref(c) for c in self._pivots(node)]
        return copies

    def _is_argument(self, ref: Ref) -> bool:
        return ref.node in self.variables or ref.node in self.invariants.values()

    def _inside(self, ref: Ref) -> Ref:
        """Return what a reference reads inside the function: an argument or a node of the frame."""
        node = self.nodes.get(ref.node)
        if ref in self.feeds:
            return Ref(self.invariants.setdefault(ref, f"{ref.node}/fed{ref.index}"))
        if node is None:
            return ref
        if node.op in ENTERS:
            return Ref(self.invariants.setdefault(node.inputs[0], node.name))
        if self._is_loop_switch(node):
            return Ref(behind(self.nodes, node.inputs[0]).node)
        return ref

    def _switched(self, ref: Ref) -> Ref:
        """Return the Merge behind an Exit's input."""
        switch = self.nodes[behind(self.nodes, ref).node]
        merge = behind(self.nodes, switch.inputs[0])
        node = self.nodes.get(merge.node)
        if node is None or not self._is_variable(node):
            raise FormatError(f"Switch '{switch.name}' of a loop does not read a Merge")
        return merge

    def _is_loop_switch(self, node: Node) -> bool:
        if node.op not in SWITCHES or len(node.inputs) != 2:
            return False
        return behind(self.nodes, node.inputs[1]).node == self.condition

    def _is_variable(self, node: Node) -> bool:
        return node.op in MERGES and any(self._op(ref) in NEXTS for ref in node.inputs)

    def _edges(self, merge: Node) -> tuple[Ref, Ref]:
        """Return what enters a loop variable and what its next value is."""
        entering = [ref for ref in merge.inputs if self._op(ref) in ENTERS]
        back = [ref for ref in merge.inputs if self._op(ref) in NEXTS]
        if len(entering) != 1 or len(back) != 1:
            raise FormatError(f"Merge '{merge.name}' has no Enter beside its NextIteration")
        return self.nodes[entering[0].node].inputs[0], self.nodes[back[0].node].inputs[0]

    def _op(self, ref: Ref) -> str:
        node = self.nodes.get(ref.node)
        return "" if node is None else node.op

    def _pivots(self, node: Node) -> list[str]:
        """Return the control inputs that tell the branch; those of the loop itself tell nothing."""
        found = []
        for name in node.controls:
            pivot = self.nodes.get(name)
            if pivot is None or pivot.op not in PIVOTS:
                continue
            source = self.nodes.get(behind(self.nodes, Ref(name)).node)
            if source is not None and not self._is_loop_switch(source):
                found.append(name)
        return found
