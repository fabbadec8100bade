"""What the handlers of one ONNX model share, beside the graph that they build."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from tqconv.importers.onnx.model import Network
from tqconv.importers.translate import Translation
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

if TYPE_CHECKING:
    from tqconv.importers.onnx.stored import Reals


@dataclass
class Shared:
    """The import of one model, of which branches and loops fill several graphs."""

    translation: Translation
    network: Network
    quantizing: bool = False
    """Q/DQ pairs will be dropped by a quantizer that knows the ranges they say."""
    rounds_products: bool = False
    """A quantizer follows that rounds what is multiplied in its own way."""
    reals: dict[Tensor, Reals] = field(default_factory=dict)
    """The reals behind integers."""
    sums: set[Tensor] = field(default_factory=set)
    """Reals in the place of int32 sums, of products that a quantizer rounds in its own way."""
