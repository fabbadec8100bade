"""Slices by ranges."""

from __future__ import annotations

from tqconv.compose import slices
from tqconv.compose.builder import Builder
from tqconv.compose.slices import Masks
from tqconv.importers.tf.registry import composed, handles
from tqconv.ir.graph import Tensor

composed(Slice=slices.sliced)


@handles("StridedSlice")
def strided_slice(
    b: Builder,
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    strides: Tensor,
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Tensor:
    """Slice by begin, end and stride of each axis, which bit masks modify."""
    masks = Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return slices.strided(b, x, begin, end, strides, masks)


@handles("TensorStridedSliceUpdate")
def tensor_strided_slice_update(
    b: Builder,
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    strides: Tensor,
    value: Tensor,
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Tensor:
    """Put `value` in the place of a slice."""
    masks = Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return slices.with_slice(b, x, begin, end, strides, value, masks)
