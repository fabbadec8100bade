"""The TensorFlow registry and the builder that its handlers get."""

from __future__ import annotations

import re
from typing import Any

from tqconv.compose.builder import Builder
from tqconv.importers.registry import Registry
from tqconv.importers.tf.node import Node, TypeNumber
from tqconv.importers.tf.shared import Shared
from tqconv.ir.graph import Graph
from tqconv.ir.types import Source

_TYPE_ATTRIBUTE = re.compile(r"T(\w*)|Index|SrcT|Tlabels|out_idx")
_BOOKKEEPING = frozenset(
    {"N", "use_cudnn_on_gpu", "swap_memory", "parallel_iterations", "use_locking"}
)


def _is_bookkeeping(name: str, value: Any) -> bool:
    """Attributes that say nothing beyond the operands: types, counts, hints to devices."""
    if name.startswith("_") or name in _BOOKKEEPING:
        return True
    if _TYPE_ATTRIBUTE.fullmatch(name) is None:
        return False
    if isinstance(value, list):
        return all(isinstance(v, TypeNumber) for v in value)
    return isinstance(value, TypeNumber)


PASS_ON = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot"})
"""Operators that do not look at what they pass on."""

TF = Registry("TensorFlow", _is_bookkeeping, PASS_ON, "tqconv.importers.tf.handlers")
handles = TF.handles
direct = TF.direct
composed = TF.composed


class TFBuilder(Builder):
    """A builder that also knows the node, and what the handlers of its model share."""

    def __init__(self, graph: Graph, source: Source, name: str, node: Node, shared: Shared) -> None:
        super().__init__(graph, source, name)
        self.node = node
        self.shared = shared
