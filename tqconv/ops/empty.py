"""Tensors without elements: nothing is computed of them, so they are constants.

LiteRT's kernels were written for tensors that hold something. Some crash on one that does not
(REVERSE_V2), some refuse it (UNPACK), some give it another shape (a slice in XNNPACK). So no
operator makes one, and what reads one folds as it does with any other constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.spec import OpSpec, Typed


def is_empty(shape: Shape) -> bool:
    """Whether a shape is known and has no elements."""
    return 0 in shape and None not in shape


def nothing(row: OpSpec, types: Sequence[Typed]) -> list[NDArray[Any]] | None:
    """Return the results of an operator that makes no elements, or None where it makes some.

    Operators with state stay, for what they do; of chance there is nothing to keep.
    """
    if not (row.pure or row.category == "random") or not types:
        return None
    if not all(is_empty(shape) for shape, _ in types):
        return None
    return [np.empty([d or 0 for d in shape], dtype) for shape, dtype in types]


def settled(op: Op) -> Op:
    """Return an operator for folding, whose operands without elements are constants."""
    if not any(t is not None and t.data is None and is_empty(t.shape) for t in op.inputs):
        return op
    return replace(op, inputs=tuple(_constant(t) for t in op.inputs))


def _constant(tensor: Tensor | None) -> Tensor | None:
    if tensor is None or tensor.data is not None or not is_empty(tensor.shape):
        return tensor
    data = np.empty([d or 0 for d in tensor.shape], tensor.dtype)
    return Tensor(tensor.name, tensor.shape, tensor.dtype, data, quant=tensor.quant)
