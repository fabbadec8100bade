"""One node of TensorFlow by itself, for formats that hold such nodes or mean what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import Node
from tqconv.importers.tf.registry import TF, TFBuilder
from tqconv.importers.tf.shared import Shared
from tqconv.importers.translate import Translation
from tqconv.ir.graph import Tensor


def is_known(op: str) -> bool:
    """Return whether an operator of TensorFlow has a translation."""
    return TF.find(op) is not None


def translated(
    b: Builder,
    translation: Translation,
    node: Node,
    operands: Sequence[Tensor],
    attributes: Mapping[str, Any] | None = None,
) -> tuple[Tensor, ...]:
    """Return what a node makes of its operands; UnsupportedError where it has no translation.

    attributes: Python values as a handler takes them; those that the node holds by default.
    """
    handler = TF.find(node.op)
    if handler is None:
        raise UnsupportedError(f"TensorFlow's {node.op} has no translation")
    inner = TFBuilder(b.graph, b.source, b.name, node, Shared(translation))
    given = node.attributes() if attributes is None else attributes
    return TF.call(handler, inner, operands, given)
