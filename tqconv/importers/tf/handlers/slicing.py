"""Slices by ranges."""

from __future__ import annotations

import numpy as np

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


@handles("XlaDynamicUpdateSlice")
def update_from(b: Builder, x: Tensor, update: Tensor, indices: Tensor) -> Tensor:
    """Put `update` into `x` from a place on that leaves room for it."""
    return b("DYNAMIC_UPDATE_SLICE", x, update, b.cast(indices, np.int32))


@handles("XlaDynamicSlice")
def slice_from(b: Builder, x: Tensor, start: Tensor, sizes: Tensor) -> Tensor:
    """Take a slice of some sizes, from a place on where there are as many elements."""
    start, sizes = b.cast(start, np.int32), b.cast(sizes, np.int32)
    last = b("SUB", b.shape_of(x), sizes)
    begin = b("MAXIMUM", b("MINIMUM", start, last), np.array(0, np.int32))
    return slices.sliced(b, x, begin, sizes)
