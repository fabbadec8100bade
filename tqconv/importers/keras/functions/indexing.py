"""Functions that index, gather and scatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tqconv.compose.sizes import calculate, reshaped, sizes_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.functions.arrays import concat
from tqconv.importers.keras.nodes import function, node
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import ints, tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of


@function("slice")
def slice_of(b: KerasBuilder, x: Tensor, *, begin: Any, size: Any) -> Tensor:
    """Cut a box out of a tensor."""
    return node(b, "Slice", x, begin, size)


@function("strided_slice")
def strided_slice(
    b: KerasBuilder, x: Tensor, *, begin: Any, end: Any, strides: Any = None, **masks: int
) -> Tensor:
    """Cut a box out of a tensor in steps; masks as in `__getitem__`."""
    steps = [1] * len(ints(begin, "begin")) if strides is None else strides
    return node(b, "StridedSlice", x, begin, end, steps, **masks)


@function("__operators__.getitem")
def get_item(b: KerasBuilder, x: Tensor, *, slice_spec: Any) -> Tensor:
    """Index as Python does; bounds may be tensors."""
    spec = slice_spec if isinstance(slice_spec, list | tuple) else [slice_spec]
    bounds: dict[str, list[Any]] = {"begin": [], "end": [], "strides": []}
    masks = dict.fromkeys(
        ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
    )
    for place, entry in enumerate(spec):
        begin: Any = 0
        end: Any = 0
        step: Any = 1
        if entry is None:
            masks["new_axis_mask"] |= 1 << place
        elif _is_ellipsis(entry):
            masks["ellipsis_mask"] |= 1 << place
        elif isinstance(entry, Mapping):
            begin, end, step = (entry.get(key) for key in ("start", "stop", "step"))
            masks["begin_mask"] |= (begin is None) << place
            masks["end_mask"] |= (end is None) << place
            begin, end = begin or 0 if begin is None else begin, 0 if end is None else end
            step = 1 if step is None else step
        else:
            begin, end = entry, _following(b, entry)
            masks["shrink_axis_mask"] |= 1 << place
        for key, value in zip(bounds, (begin, end, step), strict=True):
            bounds[key].append(value)
    return node(b, "StridedSlice", x, *bounds.values(), **masks)


def _is_ellipsis(entry: Any) -> bool:
    return entry is Ellipsis or (
        isinstance(entry, Mapping) and entry.get("class_name") == "__ellipsis__"
    )


def _following(b: KerasBuilder, index: Any) -> Any:
    """Return the end of the range that holds one index."""
    if not isinstance(index, Tensor):
        if not isinstance(index, int):
            raise UnsupportedError(f"indexing with {index!r}")
        return index + 1
    if index.rank != 0 or index.dtype.kind not in "iu":
        raise UnsupportedError("indexing with a tensor that is no whole number")
    return node(b, "AddV2", index, 1)


@function("gather")
def gather(
    b: KerasBuilder, x: Any, *, indices: Any, axis: Any = None, batch_dims: int = 0
) -> Tensor:
    """Take elements along an axis by their numbers."""
    along = batch_dims if axis is None else axis
    return node(b, "GatherV2", x, indices, along, batch_dims=batch_dims)


@function("nn.embedding_lookup")
def embedding_lookup(
    b: KerasBuilder, table: Any, *, ids: Any, partition_strategy: Any = None, max_norm: Any = None
) -> Tensor:
    """Look rows of a table up."""
    rows = table[0] if isinstance(table, list) and len(table) == 1 else table
    if max_norm is not None:
        raise UnsupportedError("embedding_lookup that limits the norm of rows")
    return node(b, "GatherV2", rows, ids, 0)


@function("gather_nd")
def gather_nd(b: KerasBuilder, x: Tensor, *, indices: Any, batch_dims: int = 0) -> Tensor:
    """Take elements by their coordinates; rows of a batch have coordinates of their own."""
    places = tensor(b, indices)
    if batch_dims == 0:
        return node(b, "GatherNd", x, places)
    if batch_dims != 1:
        raise UnsupportedError(f"gather_nd with batch_dims {batch_dims}")
    sizes = sizes_of(b, places)
    rows = node(b, "Range", 0, sizes[0], 1)
    ones = [1] * (places.rank - 1)
    column = vector(b, [*sizes[:-1], 1])
    number = node(b, "BroadcastTo", reshaped(b, rows, [sizes[0], *ones]), column)
    return node(b, "GatherNd", x, concat(b, [b.cast(number, places.dtype), places], axis=-1))


@function("boolean_mask")
def boolean_mask(b: KerasBuilder, x: Tensor, *, mask: Any, axis: Any = None) -> Tensor:
    """Keep the elements where a mask is true."""
    flags = tensor(b, mask, np.bool_)
    first = axis_of(0 if axis is None else int(axis), x.rank)
    sizes = sizes_of(b, x)
    count = calculate(b, "MUL", 1, *sizes[first : first + flags.rank])
    x = reshaped(b, x, [*sizes[:first], count, *sizes[first + flags.rank :]])
    if flags.data is not None:
        return node(b, "GatherV2", x, np.flatnonzero(flags.data), first)
    places = node(b, "Where", reshaped(b, flags, [calculate(b, "MUL", 1, *sizes_of(b, flags))]))
    return node(b, "GatherV2", x, node(b, "Squeeze", places, squeeze_dims=[1]), first)


SCATTERS: Mapping[str, str] = {
    "tensor_scatter_nd_update": "TensorScatterUpdate",
    "tensor_scatter_nd_add": "TensorScatterAdd",
    "tensor_scatter_nd_sub": "TensorScatterSub",
    "tensor_scatter_nd_max": "TensorScatterMax",
    "tensor_scatter_nd_min": "TensorScatterMin",
}


@function(**SCATTERS)
def scatter(b: KerasBuilder, op: str, x: Any, *, indices: Any, updates: Any) -> Tensor:
    """Put values into places of a tensor."""
    return node(b, op, x, indices, updates)


@function("scatter_nd")
def scatter_nd(b: KerasBuilder, indices: Any, *, updates: Any, shape: Any) -> Tensor:
    """Put values into places of zeros."""
    return node(b, "ScatterNd", indices, updates, shape)
