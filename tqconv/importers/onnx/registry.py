"""The ONNX registry and the builder that its handlers get.

`@handles("Softmax", since=13)` registers a version; the newest that is not above the model's opset
is called. Operators of other domains are named with it: `com.microsoft:Gelu`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tqconv.compose.builder import Builder
from tqconv.importers.onnx.model import Node
from tqconv.importers.registry import Registry
from tqconv.ir.graph import Graph
from tqconv.ir.types import Source

if TYPE_CHECKING:
    from tqconv.importers.onnx.shared import Shared

ONNX = Registry("ONNX", lambda name, value: False, frozenset({"Identity"}))
handles = ONNX.handles
direct = ONNX.direct
composed = ONNX.composed


class ONNXBuilder(Builder):
    """A builder that also knows the node, and what the handlers of the model share."""

    def __init__(
        self,
        graph: Graph,
        source: Source,
        name: str,
        node: Node,
        shared: Shared,
        captured: Callable[[str], Any],
    ) -> None:
        super().__init__(graph, source, name)
        self.node = node
        self.shared = shared
        self.captured = captured
        """Returns by its name what the graphs in the node's attributes read."""

    @property
    def opset(self) -> int:
        """The version of the standard operators."""
        return self.shared.translation.opset

    def read_later(self, name: str) -> bool:
        """Whether a node of the model's main graph reads a tensor, or the model ends in it."""
        body = self.shared.network.body
        read = any(name in node.inputs for node in body.nodes) if name else False
        return read or any(name == output.name for output in body.outputs)

    def wants(self, index: int) -> bool:
        """Whether the node names output `index`, so that somebody may read it."""
        return index < len(self.node.outputs) and bool(self.node.outputs[index])
