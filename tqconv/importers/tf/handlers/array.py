"""Joining, taking apart, repeating, padding and reordering."""

from __future__ import annotations

from tqconv.compose import complex, rearrange
from tqconv.compose.builder import Builder
from tqconv.compose.operands import axes_operand, axis_operand, int32_of
from tqconv.importers.tf.registry import composed, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.ops.rules import axis_of

composed(InvertPermutation=rearrange.invert_permutation, Tile=rearrange.tile)


@handles("Transpose")
def transpose(b: Builder, x: Tensor, perm: Tensor) -> Tensor:
    """Permute the dimensions."""
    if perm.data is None:
        return b("TRANSPOSE", x, int32_of(b, perm))
    return b.transpose(x, b.ints(perm, "perm"))


@handles("ConjugateTranspose")
def conjugate_transpose(b: Builder, x: Tensor, perm: Tensor) -> Tensor:
    """Permute the dimensions; complex numbers are conjugated too."""
    return transpose(b, complex.conjugate(b, x) if x.dtype.kind == "c" else x, perm)


@handles("ConcatV2")
def concat_v2(b: Builder, *operands: Tensor) -> Tensor:
    """Join along an axis, the last operand."""
    axis = axis_operand(b, operands[-1], operands[0].rank)
    return rearrange.joined(b, operands[:-1], axis)


@handles("Concat")
def concat(b: Builder, axis: Tensor, *xs: Tensor) -> Tensor:
    """Join along an axis, the first operand."""
    return rearrange.joined(b, xs, axis_operand(b, axis, xs[0].rank, "concat_dim"))


@handles("ParallelConcat")
def parallel_concat(b: Builder, *xs: Tensor, shape: Shape | None = None) -> Tensor:
    """Join along the first axis."""
    return rearrange.joined(b, xs, 0)


@handles("Pack")
def pack(b: Builder, *xs: Tensor, axis: int = 0) -> Tensor:
    """Stack along a new axis."""
    return rearrange.stacked(b, xs, axis)


@handles("Unpack")
def unpack(b: Builder, x: Tensor, *, num: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Take the elements along an axis apart."""
    return rearrange.unstacked(b, x, num, axis)


@handles("Split")
def split(b: Builder, axis: Tensor, x: Tensor, *, num_split: int) -> tuple[Tensor, ...]:
    """Cut into equal parts."""
    return rearrange.split(b, x, num_split, b.scalar(axis, "split_dim"))


@handles("SplitV")
def split_v(
    b: Builder, x: Tensor, sizes: Tensor, axis: Tensor, *, num_split: int
) -> tuple[Tensor, ...]:
    """Cut into parts of given sizes; one of them may be -1, the rest."""
    return rearrange.split_by_sizes(b, x, sizes, b.scalar(axis, "split_dim"), num_split)


@handles("Pad")
def pad(b: Builder, x: Tensor, paddings: Tensor) -> Tensor:
    """Surround with zeros."""
    return rearrange.pad(b, x, paddings)


@handles("PadV2")
def pad_v2(b: Builder, x: Tensor, paddings: Tensor, constant_values: Tensor) -> Tensor:
    """Surround with a value."""
    return rearrange.pad(b, x, paddings, constant_values)


@handles("MirrorPad")
def mirror_pad(b: Builder, x: Tensor, paddings: Tensor, *, mode: str) -> Tensor:
    """Surround with mirror images; SYMMETRIC repeats the border, REFLECT does not."""
    return rearrange.mirror_pad(b, x, paddings, mode)


@handles("ReverseV2")
def reverse_v2(b: Builder, x: Tensor, axis: Tensor) -> Tensor:
    """Turn axes around."""
    return rearrange.reversed_along(b, x, axes_operand(b, axis, x.rank))


@handles("Reverse")
def reverse(b: Builder, x: Tensor, dims: Tensor) -> Tensor:
    """Turn around the axes that a vector of booleans marks."""
    marked = [i for i, mark in enumerate(b.value(dims, "dims")) if mark]
    return rearrange.reversed_along(b, x, marked)


@handles("ReverseSequence")
def reverse_sequence(
    b: Builder, x: Tensor, lengths: Tensor, *, seq_dim: int, batch_dim: int = 0
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
def roll(b: Builder, x: Tensor, shift: Tensor, axis: Tensor) -> Tensor:
    """Shift elements along axes; what leaves at one end comes in at the other."""
    return rearrange.roll(b, x, shift, b.ints(axis, "axis"))
