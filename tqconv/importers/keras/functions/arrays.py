"""Functions that move elements: shapes, joining, repeating, sorting, filling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.compose import search
from tqconv.compose.sizes import calculate, reshaped, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.shape import repeat as repeated
from tqconv.importers.keras.nodes import function, kind, node, nodes
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import ints, tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

INT32 = "int32"


@function("shape")
def shape_of(b: KerasBuilder, x: Tensor, *, out_type: Any = INT32) -> Tensor:
    """The sizes of a tensor."""
    return node(b, "Shape", x, out_type=kind(out_type))


@function("size")
def count_of(b: KerasBuilder, x: Tensor, *, out_type: Any = INT32) -> Tensor:
    """How many elements a tensor has."""
    return node(b, "Size", x, out_type=kind(out_type))


@function("rank")
def rank_of(b: KerasBuilder, x: Tensor) -> Tensor:
    """How many axes a tensor has."""
    return node(b, "Rank", x)


@function("reshape")
def reshape(b: KerasBuilder, x: Any, *, shape: Any) -> Tensor:
    """Give a tensor other sizes."""
    return node(b, "Reshape", x, shape)


@function("ensure_shape")
def ensure_shape(b: KerasBuilder, x: Tensor, *, shape: Any) -> Tensor:
    """Say what sizes a tensor has."""
    return node(b, "EnsureShape", x, shape=tuple(shape))


@function("keras.backend.batch_flatten")
def batch_flatten(b: KerasBuilder, x: Tensor) -> Tensor:
    """Put everything of an element into one axis."""
    sizes = sizes_of(b, x)
    return reshaped(b, x, [sizes[0], calculate(b, "MUL", 1, *sizes[1:])])


@function("expand_dims")
def expand_dims(b: KerasBuilder, x: Any, *, axis: Any = None, dim: Any = None) -> Tensor:
    """Insert an axis of size 1."""
    return node(b, "ExpandDims", x, dim if axis is None else axis)


@function("squeeze")
def squeeze(b: KerasBuilder, x: Tensor, *, axis: Any = None, squeeze_dims: Any = None) -> Tensor:
    """Take axes of size 1 away."""
    gone = squeeze_dims if axis is None else axis
    return node(b, "Squeeze", x, squeeze_dims=[] if gone is None else ints(gone, "axis"))


@function("transpose")
def transpose(b: KerasBuilder, x: Tensor, *, perm: Any = None, conjugate: bool = False) -> Tensor:
    """Permute the axes; turn them around where no order is given."""
    order = list(range(x.rank))[::-1] if perm is None else perm
    return node(b, "ConjugateTranspose" if conjugate else "Transpose", x, order)


@function("linalg.matrix_transpose", "linalg.adjoint")
def matrix_transpose(b: KerasBuilder, x: Tensor, *, conjugate: bool = False) -> Tensor:
    """Exchange the last two axes."""
    order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    return node(b, "ConjugateTranspose", x, order)


@function("concat")
def concat(b: KerasBuilder, values: Any, *, axis: Any) -> Tensor:
    """Put tensors one behind the other."""
    parts = list(values) if isinstance(values, list | tuple) else [values]
    kinds = [p.dtype for p in parts if isinstance(p, Tensor)]
    parts = [tensor(b, p, kinds[0] if kinds else None, "part") for p in parts]
    return node(b, "ConcatV2", parts, axis) if len(parts) > 1 else parts[0]


@function("stack", "parallel_stack")
def stack(b: KerasBuilder, values: Any, *, axis: int = 0) -> Tensor:
    """Put tensors beside each other along a new axis."""
    parts = list(values) if isinstance(values, list | tuple) else unstack(b, values)
    kinds = [p.dtype for p in parts if isinstance(p, Tensor)]
    dtype = kinds[0] if kinds else None
    return node(b, "Pack", [tensor(b, p, dtype, "part") for p in parts], axis=axis)


@function("unstack")
def unstack(b: KerasBuilder, x: Tensor, *, num: int | None = None, axis: int = 0) -> Sequence[Any]:
    """Take the elements along an axis apart."""
    count = x.shape[axis_of(axis, x.rank)] if num is None else num
    if count is None:
        raise UnsupportedError("unstack along an axis of unknown size")
    return nodes(b, "Unpack", x, num=count, axis=axis)


@function("split")
def split(
    b: KerasBuilder, x: Tensor, *, num_or_size_splits: Any, axis: Any = 0, num: Any = None
) -> Sequence[Any]:
    """Cut a tensor into equal parts, or parts of these sizes."""
    along = ints(axis, "axis")[0]
    if isinstance(num_or_size_splits, int):
        return nodes(b, "Split", along, x, num_split=num_or_size_splits)
    sizes = ints(num_or_size_splits, "num_or_size_splits")
    return nodes(b, "SplitV", x, sizes, along, num_split=len(sizes))


TWO: Mapping[str, tuple[str, str]] = {
    "tile": ("Tile", "multiples"),
    "broadcast_to": ("BroadcastTo", "shape"),
    "reverse": ("ReverseV2", "axis"),
    "unravel_index": ("UnravelIndex", "dims"),
    "fill": ("Fill", "value"),
}
"""Function -> its operator, and the name of its second operand."""


@function(**TWO)
def with_one(b: KerasBuilder, told: tuple[str, str], x: Any, **named: Any) -> Tensor:
    """Compute one operator of a tensor and an argument."""
    op, name = told
    unknown = [key for key, value in named.items() if key not in (name, "name") and value]
    if name not in named or unknown:
        raise UnsupportedError(f"{b.layer.op} takes `{name}`, not {', '.join(named)}")
    return node(b, op, x, named[name])


@function("roll")
def roll(b: KerasBuilder, x: Tensor, *, shift: Any, axis: Any) -> Tensor:
    """Shift elements along axes; what leaves at the end comes in at the start."""
    return node(b, "Roll", x, shift, axis)


@function("repeat")
def repeat(b: KerasBuilder, x: Tensor, *, repeats: Any, axis: int | None = None) -> Tensor:
    """Repeat each element along an axis, each as often or by counts of their own."""
    if axis is None:
        x, axis = reshaped(b, x, [calculate(b, "MUL", 1, *sizes_of(b, x))]), 0
    counts = ints(repeats, "repeats")
    if len(counts) == 1:
        return repeated(b, x, axis_of(axis, x.rank), counts[0])
    return node(b, "GatherV2", x, np.repeat(np.arange(len(counts)), counts), axis)


@function("pad")
def pad(
    b: KerasBuilder, x: Tensor, *, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0
) -> Tensor:
    """Surround with a number, or with mirror images."""
    if mode.upper() != "CONSTANT":
        return node(b, "MirrorPad", x, paddings, mode=mode.upper())
    plain = not isinstance(constant_values, Tensor) and constant_values == 0
    return node(b, "Pad", x, paddings) if plain else node(b, "PadV2", x, paddings, constant_values)


@function("one_hot")
def one_hot(
    b: KerasBuilder,
    indices: Any,
    *,
    depth: Any,
    on_value: Any = 1,
    off_value: Any = 0,
    axis: int = -1,
    dtype: Any = "float32",
) -> Tensor:
    """Put one value where the new axis counts to the index, another elsewhere."""
    wanted = kind(dtype).dtype
    pair = [tensor(b, value, wanted) for value in (on_value, off_value)]
    return node(b, "OneHot", indices, depth, *pair, axis=axis)


@function("sequence_mask")
def sequence_mask(
    b: KerasBuilder, lengths: Any, *, maxlen: Any = None, dtype: Any = "bool"
) -> Tensor:
    """Whether each place is before a length."""
    counts = tensor(b, lengths)
    most = node(b, "Max", counts, list(range(counts.rank))) if maxlen is None else maxlen
    steps = node(b, "Range", 0, tensor(b, most, counts.dtype), 1)
    flags = node(b, "Less", steps, node(b, "ExpandDims", counts, -1))
    return b.cast(flags, kind(dtype).dtype)


@function("range")
def range_of(
    b: KerasBuilder, start: Any, *, limit: Any = None, delta: Any = 1, dtype: Any = None
) -> Tensor:
    """Numbers from a start up to a limit."""
    first, last = (0, start) if limit is None else (start, limit)
    made = node(b, "Range", first, last, delta)
    return made if dtype is None else b.cast(made, kind(dtype).dtype)


@function("linspace")
def lin_space(b: KerasBuilder, start: Any, *, stop: Any, num: Any, axis: int = 0) -> Tensor:
    """So many numbers at equal distances."""
    return node(b, "LinSpace", b.real(tensor(b, start)), stop, num)


@function(zeros=0, ones=1)
def filled(
    b: KerasBuilder, number: int, shape: Any, *, dtype: Any = "float32", layout: Any = None
) -> Tensor:
    """A tensor of zeros or ones."""
    return node(b, "Fill", shape, tensor(b, number, kind(dtype).dtype))


@function(zeros_like="ZerosLike", ones_like="OnesLike")
def filled_like(
    b: KerasBuilder, op: str, x: Tensor, *, dtype: Any = None, optimize: Any = None
) -> Tensor:
    """A tensor of zeros or ones with the sizes of another."""
    made = node(b, op, x)
    return made if dtype is None else b.cast(made, kind(dtype).dtype)


@function(sort=0, argsort=1)
def ordered(
    b: KerasBuilder,
    which: int,
    x: Tensor,
    *,
    axis: int = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
) -> Tensor:
    """Sort along an axis, or tell the places of the sorted elements."""
    rising = direction == "ASCENDING"

    def made(t: Tensor) -> Tensor:
        size = t.shape[-1]
        if size is None:
            raise UnsupportedError("sorting along an axis of unknown size")
        found = search.top_k(b, b("NEG", t) if rising else t, b.const(size, np.int32, "k"))[which]
        return b("NEG", found) if rising and which == 0 else found

    return b.on_last_axis(x, axis, made)


@function("math.top_k", "nn.top_k")
def top_k(
    b: KerasBuilder, x: Tensor, *, k: Any = 1, sorted: bool = True, index_type: Any = INT32
) -> Sequence[Tensor]:
    """The largest elements along the last axis, and their places."""
    return nodes(b, "TopKV2", x, k, sorted=sorted, index_type=kind(index_type))


@function("reverse_sequence")
def reverse_sequence(
    b: KerasBuilder,
    x: Tensor,
    *,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    """Turn the first steps of each row around."""
    steps = seq_dim if seq_axis is None else seq_axis
    rows = batch_dim if batch_axis is None else batch_axis
    return node(b, "ReverseSequence", x, seq_lengths, seq_dim=steps or 0, batch_dim=rows or 0)


BLOCKS: Mapping[str, tuple[str, str]] = {
    "space_to_batch_nd": ("SpaceToBatchND", "paddings"),
    "space_to_batch": ("SpaceToBatchND", "paddings"),
    "batch_to_space": ("BatchToSpaceND", "crops"),
    "batch_to_space_nd": ("BatchToSpaceND", "crops"),
}


@function(**BLOCKS)
def blocks(
    b: KerasBuilder,
    told: tuple[str, str],
    x: Tensor,
    *,
    block_shape: Any,
    paddings: Any = None,
    crops: Any = None,
) -> Tensor:
    """Move blocks of space into the batch, or back."""
    return node(b, told[0], x, block_shape, paddings if crops is None else crops)
