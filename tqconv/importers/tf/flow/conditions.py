"""TF1 conditions become If nodes: Switches send data into branches, Merges join them.

The guards of a node say in which branches it lies: pairs of a predicate and an output of its
Switches, gathered from its inputs. A Merge whose inputs lie in the two branches of one predicate
ends them. Merges of one predicate become one If node, whose branches are what lies between its
Switches and its Merges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace

from tqconv.importers.tf.flow.functions import Function
from tqconv.importers.tf.flow.primitives import (
    MERGES,
    PIVOTS,
    SWITCHES,
    behind,
    call_node,
    fresh_name,
)
from tqconv.importers.tf.node import Node, Ref
from tqconv.importers.tf.order import execution_order
from tqconv.records import dataclass
from tqconv.schema import proto

Guards = frozenset[tuple[Ref, int]]
NO_GUARDS: Guards = frozenset()
INT32 = 3
"""DataType of a Merge's second output."""


@dataclass(frozen=True)
class _Join:
    """A Merge that ends the branches of `predicate`."""

    merge: Node
    predicate: Ref
    order: tuple[int, ...]
    """The Merge's input number for each branch."""
    guards: Guards
    level: int
    """How many joins with the same guards lie before it, one behind another, and itself."""

    def result(self, branch: int) -> Ref:
        """Return what the Merge takes from a branch."""
        return self.merge.inputs[self.order[branch]]


def functionalize_conditions(
    nodes: dict[str, Node],
    fetches: Sequence[Ref],
    feeds: Collection[Ref],
    functions: dict[str, Function],
    prefix: str,
) -> None:
    """Replace the Merges that end branches by If nodes, in place; add the branches to functions."""
    if not any(node.op in MERGES for node in nodes.values()):
        return
    search = _Search(nodes, set(feeds))
    search.run(fetches)
    groups: dict[object, list[_Join]] = {}
    for join in search.joins.values():
        groups.setdefault((join.predicate, join.guards, join.level), []).append(join)
    several = [Ref(node.name) for node in nodes.values() if node.op == "_SwitchN"]
    numbers = {search.switched_by(ref) for ref in several}
    conditions = _Conditions(nodes, search, functions, prefix, numbers)
    if not conditions.replace(list(groups.values())):
        # Merges of one predicate that need each other's branches: one If node each.
        conditions.replace([[join] for join in search.joins.values()])


@dataclass
class _Search:
    """Finds the guards of every node and the joins, in the order of the graph."""

    nodes: dict[str, Node]
    feeds: set[Ref]
    guards: dict[str, Guards] = field(default_factory=dict)
    joins: dict[str, _Join] = field(default_factory=dict)
    levels: dict[str, Mapping[Guards, int]] = field(default_factory=dict)

    def run(self, fetches: Sequence[Ref]) -> None:
        """Visit what the fetches need."""
        for node in execution_order(self.nodes, self.feeds, fetches, PIVOTS):
            self._visit(node)

    def of(self, ref: Ref) -> Guards:
        """Return the guards of one output."""
        if ref in self.feeds:
            return NO_GUARDS
        guards = self.guards.get(ref.node, NO_GUARDS)
        predicate = self.switched_by(ref)
        return guards if predicate is None else guards | {(predicate, self.branch(ref))}

    def switched_by(self, ref: Ref) -> Ref | None:
        """Return the predicate of the Switch that makes a tensor, or None."""
        node = self.nodes.get(ref.node)
        switches = node is not None and node.op in (*SWITCHES, "_SwitchN")
        if node is None or not switches or len(node.inputs) != 2 or ref in self.feeds:
            return None
        return behind(self.nodes, node.inputs[1])

    def branch(self, ref: Ref) -> int:
        """Return which output of a Switch a reference names; in functions it names a port."""
        return ref.index + (ref.port == "output_true")

    def _visit(self, node: Node) -> None:
        before = [ref.node for ref in node.inputs if ref not in self.feeds]
        pivots = [c for c in node.controls if c in self.guards and self.nodes[c].op in PIVOTS]
        levels = self._joined_levels([*before, *pivots])
        join = self._join(node, levels)
        if join is not None:
            self.joins[node.name] = join
            self.guards[node.name] = join.guards
            self.levels[node.name] = {**levels, join.guards: join.level}
            return
        # A control edge tells that its node ran: a Switch runs whichever way it sends its data.
        found = [self.of(ref) for ref in node.inputs] + [self.guards[c] for c in pivots]
        self.guards[node.name] = NO_GUARDS.union(*found)
        self.levels[node.name] = levels

    def _joined_levels(self, names: Iterable[str]) -> Mapping[Guards, int]:
        known = [self.levels[n] for n in names if self.levels.get(n)]
        if not known or all(levels is known[0] for levels in known):
            return known[0] if known else {}
        result = dict(known[0])
        for levels in known[1:]:
            for guards, level in levels.items():
                result[guards] = max(level, result.get(guards, 0))
        return result

    def _join(self, merge: Node, levels: Mapping[Guards, int]) -> _Join | None:
        """Return how a Merge ends the branches of a predicate; None when its inputs do not tell."""
        if merge.op not in MERGES or len(merge.inputs) < 2:
            return None
        sides = [self.of(ref) for ref in merge.inputs]
        joined = NO_GUARDS.union(*sides)
        found = []
        for predicate in {p for p, _ in joined}:
            branches = [{i for p, i in side if p == predicate} for side in sides]
            if len(sides) == 2 and [len(b) for b in branches] in ([0, 1], [1, 0]):
                # A constant that lost its control input lies in the other branch.
                only = next(iter(branches[0] | branches[1]))
                branches = [b or {1 - only} for b in branches]
            numbers = [next(iter(b)) for b in branches if len(b) == 1]
            if sorted(numbers) == list(range(len(sides))):
                found.append((predicate, numbers))
        if len(found) != 1:
            return None
        predicate, numbers = found[0]
        guards = frozenset((p, i) for p, i in joined if p != predicate)
        order = tuple(numbers.index(i) for i in range(len(sides)))
        return _Join(merge, predicate, order, guards, 1 + levels.get(guards, 0))


@dataclass
class _Conditions:
    """Builds the If nodes, those inside a branch before the one around them."""

    nodes: dict[str, Node]
    search: _Search
    functions: dict[str, Function]
    prefix: str
    numbers: Collection[Ref | None]
    """The predicates that are numbers of branches (_SwitchN), not truth values."""
    replaced: set[str] = field(default_factory=set)

    def replace(self, groups: list[list[_Join]]) -> bool:
        """Replace the joins of each group by one node; False when groups need each other."""
        group_of = {join.merge.name: i for i, group in enumerate(groups) for join in group}
        for start in range(len(groups)):
            stack = [start]
            while stack:
                group = groups[stack[-1]]
                if all(join.merge.name in self.replaced for join in group):
                    stack.pop()
                    continue
                inner = {group_of[name] for name in self._joins_inside(group)}
                if inner & set(stack):
                    return False
                if inner:
                    stack += sorted(inner)
                else:
                    self._replace_by_if(group)
        return True

    def _joins_inside(self, group: Sequence[_Join]) -> list[str]:
        """Return the Merges in the branches that are still to be replaced."""
        found = []
        for branch in range(len(group[0].order)):
            copied = _Branch(self.nodes, self.search, group[0].predicate, branch).read(group)
            found += [n for n in copied if n in self.search.joins and n not in self.replaced]
        return found

    def _replace_by_if(self, group: Sequence[_Join]) -> None:
        first = group[0]
        name = fresh_name(self.nodes, first.merge.name, "if")
        count = len(first.order)
        branches = [_Branch(self.nodes, self.search, first.predicate, i) for i in range(count)]
        bodies = [branch.read(group) for branch in branches]
        captures: dict[Ref, str] = {}
        for branch in branches:
            captures |= branch.captures
        labels = [f"{self.prefix}{name}/branch{i}" for i in range(count)]
        for i, label in enumerate(labels):
            results = [branches[i].inside(join.result(i)) for join in group]
            for join in group:
                index = _constant(f"{join.merge.name}/value_index", join.order[i])
                bodies[i][index.name] = index
                results.append(Ref(index.name))
            self.functions[label] = Function(
                label, tuple(captures.values()), bodies[i], tuple(results), scoped=True
            )
        numbered = first.predicate in self.numbers
        self.nodes[name] = _choice(name, [first.predicate, *captures], labels, numbered)
        self.search.guards[name] = first.guards
        for position, join in enumerate(group):
            outputs = (Ref(name, position), Ref(name, len(group) + position))
            merge = join.merge.name
            self.nodes[merge] = Node(merge, "IdentityN", outputs, (), join.merge.attr)
            self.replaced.add(merge)


@dataclass
class _Branch:
    """What lies between the Switches of a predicate and its Merges, on one side."""

    nodes: Mapping[str, Node]
    search: _Search
    predicate: Ref
    side: int
    captures: dict[Ref, str] = field(default_factory=dict)
    """Tensor outside -> name of the argument."""

    def read(self, group: Iterable[_Join]) -> dict[str, Node]:
        """Return copies of the nodes of the branch."""
        copies: dict[str, Node] = {}
        todo = [join.result(self.side) for join in group]
        while todo:
            ref = self._switched(todo.pop())
            if ref.node in copies or not self._is_inside(ref):
                self.inside(ref)
                continue
            node = self.nodes[ref.node]
            copies[ref.node] = replace(node, inputs=tuple(map(self.inside, node.inputs)))
            todo += node.inputs
        return copies

    def inside(self, ref: Ref) -> Ref:
        """Return what a reference reads inside the branch: one of its nodes, or an argument."""
        ref = self._switched(ref)
        if self._is_inside(ref):
            return ref
        return Ref(self.captures.setdefault(ref, f"{ref}:{ref.port}" if ref.port else str(ref)))

    def _switched(self, ref: Ref) -> Ref:
        """Return the data that the Switches of the predicate pass on."""
        while self.search.switched_by(ref) == self.predicate:
            ref = self.nodes[ref.node].inputs[0]
        return ref

    def _is_inside(self, ref: Ref) -> bool:
        return (self.predicate, self.side) in self.search.of(ref)


def _choice(name: str, inputs: Sequence[Ref], labels: Sequence[str], numbered: bool) -> Node:
    """Return the node that runs one of the functions."""
    if not numbered:
        no, yes = labels
        return call_node(name, "StatelessIf", inputs, else_branch=no, then_branch=yes)
    messages = proto.messages()
    functions = [messages.NameAttrList(name=label) for label in labels]
    branches = messages.AttrValue(list=messages.AttrValue.ListValue(func=functions))
    return Node(name, "StatelessCase", tuple(inputs), (), {"branches": branches})


def _constant(name: str, value: int) -> Node:
    messages = proto.messages()
    tensor = messages.TensorProto(dtype=INT32, int_val=[value])
    return Node(name, "Const", (), (), {"value": messages.AttrValue(tensor=tensor)})
