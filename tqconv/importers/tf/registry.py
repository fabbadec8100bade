"""The TensorFlow registry and the builder that its handlers get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tqconv.compose.builder import Builder
from tqconv.importers.registry import Registry
from tqconv.importers.tf.node import Node, TypeNumber
from tqconv.ir.graph import Graph
from tqconv.ir.types import Source

if TYPE_CHECKING:
    from tqconv.importers.tf.walk import Walk

_TYPE_ATTRIBUTE = re.compile(r"T(\w*)|Index|SrcT|Tlabels|out_idx")
_BOOKKEEPING = frozenset(
    {"N", "use_cudnn_on_gpu", "swap_memory", "parallel_iterations", "use_locking"}
)


def _is_bookkeeping(name: str, value: Any) -> bool:
    """Attributes that say nothing beyond the operands: types, counts, hints to devices."""
    if name.startswith("_") or name in _BOOKKEEPING:
        return True
    types = value if isinstance(value, list) else [value]
    is_type = all(isinstance(v, TypeNumber) for v in types)
    return is_type and _TYPE_ATTRIBUTE.fullmatch(name) is not None


TF = Registry("TensorFlow", _is_bookkeeping)
handles = TF.handles
direct = TF.direct


class TFBuilder(Builder):
    """A builder that also knows the node, and the walk that asked for it (to import functions)."""

    def __init__(self, graph: Graph, source: Source, name: str, node: Node, walk: Walk) -> None:
        super().__init__(graph, source, name)
        self.node = node
        self.walk = walk
