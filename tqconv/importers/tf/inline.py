"""Calls of functions become the nodes of their bodies, so that a whole SavedModel is one graph.

A TF2 signature is a call of a call of the function that computes something. Inlined, its nodes can
be named, cut at, frozen and ordered like those of a GraphDef. Bodies of If and While stay
functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from tqconv.errors import FormatError, UnsupportedError, counted
from tqconv.importers.tf.flow.calls import MAX_DEPTH
from tqconv.importers.tf.flow.functions import Function, function_of, instantiate
from tqconv.importers.tf.node import Node, Ref
from tqconv.records import dataclass
from tqconv.untrusted import Budget

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
PLAIN_CALL = re.compile(r"(?:Stateful)?PartitionedCall(?:_\d+)?")
"""Names that tracing gives to calls; they say nothing, so that the nodes inside go without."""


@dataclass
class _Inliner:
    """The nodes so far, and where the outputs and arguments of calls come from."""

    library: Mapping[str, Any]
    budget: Budget
    nodes: dict[str, Node] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    aliases: dict[tuple[str, int], Ref] = field(default_factory=dict)

    def add(
        self, nodes: Mapping[str, Node], renamed: Mapping[str, str], chain: tuple[str, ...]
    ) -> None:
        """Add nodes under their new names, the bodies of calls before the calls themselves."""
        for node in nodes.values():
            inputs = tuple(_moved(ref, renamed) for ref in node.inputs)
            controls = tuple(renamed.get(c, c) for c in node.controls)
            moved = Node(renamed[node.name], node.op, inputs, controls, node.attr)
            if node.op in CALLS and "f" in node.attr:
                moved = self._expand(moved, chain)
            self.nodes[moved.name] = moved

    def _expand(self, call: Node, chain: tuple[str, ...]) -> Node:
        """Add the body of a call; return a node that stands for the call, and whose outputs are."""
        target = call.get("f")
        message = self.library.get(target.name)
        if message is None:
            raise FormatError(f"the graph's library has no function `{target.name}`")
        if target.name in chain:
            raise UnsupportedError(f"function `{target.name}` calls itself")
        if len(chain) >= MAX_DEPTH:
            raise UnsupportedError(f"functions call each other more than {MAX_DEPTH} deep")
        function = instantiate(function_of(message), target.attr)
        if len(call.inputs) != len(function.arguments):
            raise FormatError(
                f"function `{target.name}` takes {counted(len(function.arguments), 'argument')}, "
                f"got {len(call.inputs)}"
            )
        self.budget.expand(len(function.nodes), f"function `{target.name}`")
        renamed = self._names(call.name, function)
        for argument, ref in zip(function.arguments, call.inputs, strict=True):
            self.aliases[renamed[argument], 0] = ref
        results = tuple(_moved(ref, renamed) for ref in function.results)
        for index, ref in enumerate(results):
            self.aliases[call.name, index] = ref
        self.add(function.nodes, renamed, (*chain, target.name))
        done = [renamed[name] for name in message.control_ret.values() if name in renamed]
        return Node(call.name, "IdentityN", results, (*call.controls, *done), {})

    def _names(self, call: str, function: Function) -> dict[str, str]:
        """Return new names for arguments and nodes: without the call's where that says nothing."""
        telling = [part for part in call.split("/") if not PLAIN_CALL.fullmatch(part)]
        short = "".join(f"{part}/" for part in telling)
        renamed = {name: f"{call}/argument {name}" for name in function.arguments}
        for name in function.nodes:
            free = short + name not in self.taken
            renamed[name] = short + name if free else f"{call}/{name}"
            self.taken.add(renamed[name])
        return renamed

    def source(self, ref: Ref) -> Ref:
        """Return the output that a reference means, behind calls and arguments."""
        seen = 0
        while (ref.node, ref.index) in self.aliases:
            ref = self.aliases[ref.node, ref.index]
            seen += 1
            if seen > len(self.aliases):
                raise UnsupportedError(f"the graph has a cycle through '{ref.node}'")
        return ref


def _moved(ref: Ref, renamed: Mapping[str, str]) -> Ref:
    return Ref(renamed.get(ref.node, ref.node), ref.index, ref.port)


def inline(
    nodes: Mapping[str, Node], library: Mapping[str, Any], budget: Budget
) -> dict[str, Node]:
    """Return the nodes with the bodies of all calls among them; `library`: FunctionDefs by name.

    Raises FormatError where a function is missing, UnsupportedError where one calls itself or the
    result has more nodes than the budget.
    """
    inliner = _Inliner(library, budget, taken=set(nodes))
    inliner.add(nodes, {name: name for name in nodes}, ())
    made: dict[str, Node] = {}
    for name, node in inliner.nodes.items():
        inputs = tuple(map(inliner.source, node.inputs))
        made[name] = Node(name, node.op, inputs, node.controls, node.attr)
    return made
