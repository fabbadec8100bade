"""When LiteRT has memory for a tensor."""

from __future__ import annotations

from tqconv.ir.graph import Tensor
from tqconv.ops.table import those

_LATE = those(lambda row: row.late_memory)


def may_lack_memory(tensor: Tensor) -> bool:
    """Whether LiteRT gives a result no memory when it turns out to be empty.

    Such a tensor cannot be read as an output of the model: `get_tensor` raises. A copy can.
    """
    made = tensor.producer
    return made is not None and made.type in _LATE and not tensor.is_static
