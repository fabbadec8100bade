"""The TensorFlow registry and the builder that its handlers get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.registry import Registry
from tqconv.importers.tf.node import Node, TypeNumber
from tqconv.ir.graph import Graph, Tensor
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

    def to_nhwc(self, x: Tensor, data_format: str) -> Tensor:
        """Return `x` with channels last, whatever `data_format` says it has."""
        if data_format in ("NHWC", "NDHWC", "NWC"):
            return x
        if data_format in ("NCHW", "NCDHW", "NCW"):
            return self.to_channels_last(x)
        raise UnsupportedError(f"data_format `{data_format}` is not supported")

    def from_nhwc(self, y: Tensor, data_format: str) -> Tensor:
        """Return `y`, which has channels last, in `data_format`."""
        return y if data_format in ("NHWC", "NDHWC", "NWC") else self.to_channels_first(y)

    def spatial(self, values: list[int], data_format: str) -> list[int]:
        """Return the spatial entries of a per-dimension list such as `strides` or `ksize`.

        Raises UnsupportedError when the batch or channel entry is not 1.
        """
        first = data_format in ("NCHW", "NCDHW", "NCW")
        inner = list(values[2:]) if first else list(values[1:-1])
        if values[0] != 1 or (values[1] if first else values[-1]) != 1:
            raise UnsupportedError(f"a window over the batch or the channels: {list(values)}")
        return inner
