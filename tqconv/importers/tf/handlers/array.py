"""Joining, taking apart, repeating, padding and reordering."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import complex
from tqconv.compose.operands import axes_operand, axis_operand, int32_of
from tqconv.compose.sizes import inserted
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.ops.rules import axis_of
from tqconv.ops.table import spec

INT32 = np.dtype(np.int32)


@handles("Transpose")
def transpose(b: TFBuilder, x: Tensor, perm: Tensor) -> Tensor:
    """Permute the dimensions."""
    if perm.data is None:
        return b("TRANSPOSE", x, int32_of(b, perm))
    return b.transpose(x, [axis_of(axis, x.rank) for axis in b.ints(perm, "perm")])


@handles("ConjugateTranspose")
def conjugate_transpose(b: TFBuilder, x: Tensor, perm: Tensor) -> Tensor:
    """Permute the dimensions; complex numbers are conjugated too."""
    return transpose(b, complex.conjugate(b, x) if x.dtype.kind == "c" else x, perm)


@handles("ConcatV2")
def concat_v2(b: TFBuilder, *operands: Tensor) -> Tensor:
    """Join along an axis, the last operand."""
    return joined(b, list(operands[:-1]), axis_operand(b, operands[-1], operands[0].rank))


@handles("Concat")
def concat(b: TFBuilder, axis: Tensor, *xs: Tensor) -> Tensor:
    """Join along an axis, the first operand."""
    return joined(b, list(xs), axis_operand(b, axis, xs[0].rank, "concat_dim"))


@handles("ParallelConcat")
def parallel_concat(b: TFBuilder, *xs: Tensor, shape: Shape | None = None) -> Tensor:
    """Join along the first axis."""
    return joined(b, list(xs), 0)


def joined(b: TFBuilder, xs: list[Tensor], axis: int) -> Tensor:
    """Concatenate; parts without elements along `axis` are left out."""
    parts = [x for x in xs if x.shape[axis] != 0] or xs[:1]
    if len(parts) == 1:
        return parts[0]
    return b("CONCATENATION", *parts, axis=axis)


@handles("Pack")
def pack(b: TFBuilder, *xs: Tensor, axis: int = 0) -> Tensor:
    """Stack along a new axis."""
    place = axis_of(axis, xs[0].rank + 1)
    if len(xs) == 1:
        return inserted(b, xs[0], place)
    return b("PACK", *xs, axis=place, values_count=len(xs))


@handles("Unpack")
def unpack(b: TFBuilder, x: Tensor, *, num: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Take the elements along an axis apart."""
    place = axis_of(axis, x.rank)
    if num == 0:
        return ()
    if num == 1 and x.shape[place] == 1:
        return (b("SQUEEZE", x, squeeze_dims=[place]),)
    types = spec("UNPACK").types
    if types is not None and x.dtype.name not in types:
        return tuple(_element(b, x, i, place) for i in range(num))
    return b("UNPACK", x, num=num, axis=place)


def _element(b: TFBuilder, x: Tensor, index: int, axis: int) -> Tensor:
    """Return slice `index` along an axis: STRIDED_SLICE knows more types than UNPACK."""
    bounds = [np.eye(1, x.rank, axis, INT32)[0] * (index + end) for end in (0, 1)]
    rest = (1 << x.rank) - 1 & ~(1 << axis)
    return b(
        "STRIDED_SLICE",
        x,
        *bounds,
        np.ones(x.rank, INT32),
        begin_mask=rest,
        end_mask=rest,
        shrink_axis_mask=1 << axis,
    )


@handles("Split")
def split(b: TFBuilder, axis: Tensor, x: Tensor, *, num_split: int) -> tuple[Tensor, ...]:
    """Cut into equal parts."""
    if num_split == 1:
        return (x,)
    place = axis_operand(b, axis, x.rank, "split_dim")
    return b("SPLIT", np.array(place, INT32), x, num_splits=num_split)


@handles("SplitV")
def split_v(
    b: TFBuilder, x: Tensor, sizes: Tensor, axis: Tensor, *, num_split: int
) -> tuple[Tensor, ...]:
    """Cut into parts of given sizes; one of them may be -1, the rest."""
    if num_split == 1:
        return (x,)
    place = np.array(axis_operand(b, axis, x.rank, "split_dim"), INT32)
    return b("SPLIT_V", x, int32_of(b, sizes), place, num_splits=num_split)


@handles("Pad")
def pad(b: TFBuilder, x: Tensor, paddings: Tensor) -> Tensor:
    """Surround with zeros."""
    if nothing_to_do(b, x, paddings, 0):
        return x
    return b("PAD", x, int32_of(b, paddings))


@handles("PadV2")
def pad_v2(b: TFBuilder, x: Tensor, paddings: Tensor, constant_values: Tensor) -> Tensor:
    """Surround with a value."""
    if nothing_to_do(b, x, paddings, 0):
        return x
    return b("PADV2", x, int32_of(b, paddings), constant_values)


@handles("MirrorPad")
def mirror_pad(b: TFBuilder, x: Tensor, paddings: Tensor, *, mode: str) -> Tensor:
    """Surround with mirror images; SYMMETRIC repeats the border, REFLECT does not."""
    if nothing_to_do(b, x, paddings, 0):
        return x
    return b("MIRROR_PAD", x, int32_of(b, paddings), mode=mode)


@handles("Tile")
def tile(b: TFBuilder, x: Tensor, multiples: Tensor) -> Tensor:
    """Repeat along each axis."""
    if nothing_to_do(b, x, multiples, 1):
        return x
    return b("TILE", x, int32_of(b, multiples))


def nothing_to_do(b: TFBuilder, x: Tensor, amounts: Tensor, neutral: int) -> bool:
    """Whether all amounts are known and neutral, which includes that a scalar has none."""
    known = b.known(amounts)
    return x.rank == 0 or (known is not None and all(amount == neutral for amount in known))


@handles("ReverseV2")
def reverse_v2(b: TFBuilder, x: Tensor, axis: Tensor) -> Tensor:
    """Turn axes around."""
    return reversed_along(b, x, axes_operand(b, axis, x.rank))


@handles("Reverse")
def reverse(b: TFBuilder, x: Tensor, dims: Tensor) -> Tensor:
    """Turn around the axes that a vector of booleans marks."""
    return reversed_along(b, x, [i for i, marked in enumerate(b.value(dims, "dims")) if marked])


def reversed_along(b: TFBuilder, x: Tensor, axes: list[int]) -> Tensor:
    """Reverse axis by axis: the kernel takes several axes only where they are neighbours."""
    for axis in axes:
        if x.shape[axis] != 1:
            x = b("REVERSE_V2", x, np.array([axis], INT32))
    return x


@handles("ReverseSequence")
def reverse_sequence(
    b: TFBuilder, x: Tensor, lengths: Tensor, *, seq_dim: int, batch_dim: int = 0
) -> Tensor:
    """Turn the first `lengths[i]` steps of row i around."""
    return b(
        "REVERSE_SEQUENCE",
        x,
        lengths,
        seq_dim=axis_of(seq_dim, x.rank),
        batch_dim=axis_of(batch_dim, x.rank),
    )


@handles("Roll")
def roll(b: TFBuilder, x: Tensor, shift: Tensor, axis: Tensor) -> Tensor:
    """Shift elements along axes; what leaves at one end comes in at the other."""
    axes = [axis_of(a, x.rank) for a in b.ints(axis, "axis")]
    shifts = b.known(shift)
    if shifts is None or None in shifts or any(x.shape[a] is None for a in axes):
        return _roll_by_places(b, x, b.reshape(shift, (len(axes),)), axes)
    for amount, place in zip(shifts, axes, strict=True):
        size = x.shape[place] or 1
        if int(amount or 0) % size:
            x = _roll_by_parts(b, x, int(amount or 0) % size, place)
    return x


def _roll_by_parts(b: TFBuilder, x: Tensor, shift: int, axis: int) -> Tensor:
    size = x.shape[axis] or 0
    sizes = np.array([size - shift, shift], INT32)
    head, tail = b("SPLIT_V", x, sizes, np.array(axis, INT32), num_splits=2)
    return b("CONCATENATION", tail, head, axis=axis)


def _roll_by_places(b: TFBuilder, x: Tensor, shifts: Tensor, axes: list[int]) -> Tensor:
    """Gather element (i - shift) mod n at place i."""
    for number, axis in enumerate(axes):
        shift = b("GATHER", b.cast(shifts, INT32), np.array(number, INT32), axis=0)
        size = b("GATHER", b.shape_of(x), np.array(axis, INT32), axis=0)
        places = b("RANGE", np.array(0, INT32), size, np.array(1, INT32))
        x = b("GATHER", x, b("FLOOR_MOD", b("SUB", places, shift), size), axis=axis)
    return x


@handles("InvertPermutation")
def invert_permutation(b: TFBuilder, x: Tensor) -> Tensor:
    """Return y with y[x[i]] = i."""
    if x.data is not None:
        inverse: NDArray[Any] = np.argsort(x.data)
        return b.const(inverse, x.dtype)
    count = b.shape_of(x)
    places = b(
        "RANGE", np.array(0, x.dtype), b.reshape(b.cast(count, x.dtype), ()), np.array(1, x.dtype)
    )
    return b("SCATTER_ND", inserted(b, b.cast(x, INT32), 1), places, count)
