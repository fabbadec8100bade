"""TF1 control flow becomes functional before the walk: While nodes and If nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tqconv.importers.tf.flow.conditions import functionalize_conditions
from tqconv.importers.tf.flow.frames import functionalize_loops
from tqconv.importers.tf.flow.functions import Function
from tqconv.importers.tf.flow.joined import mark_joined
from tqconv.importers.tf.flow.primitives import check_inputs, reached
from tqconv.importers.tf.node import Node, Ref


def functionalize(
    nodes: Mapping[str, Node], fetches: Sequence[Ref], feeds: Collection[Ref], prefix: str = ""
) -> tuple[dict[str, Node], dict[str, Function]]:
    """Return the nodes with the loops and conditions that `fetches` need as While and If nodes.

    Their bodies are the functions that come with them, named after `prefix`. Nothing behind `feeds`
    is looked at.
    """
    result = dict(nodes)
    functions: dict[str, Function] = {}
    needed = reached(result, fetches, feeds)
    check_inputs(result[name] for name in needed)
    functionalize_loops(result, needed, feeds, functions, prefix)
    mark_joined(result)
    functionalize_conditions(result, fetches, feeds, functions, prefix)
    return result, functions
