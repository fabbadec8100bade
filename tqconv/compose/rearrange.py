"""Joining, taking apart, repeating, padding and reordering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import Size, calculate, inserted, operand, size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of
from tqconv.ops.table import spec

INT32 = np.dtype(np.int32)


def joined(b: Builder, xs: Sequence[Tensor], axis: int) -> Tensor:
    """Concatenate along an axis in [0, rank); parts without elements along it are left out."""
    parts = [x for x in xs if x.shape[axis] != 0] or list(xs[:1])
    if len(parts) == 1:
        return parts[0]
    return b("CONCATENATION", *parts, axis=axis)


def stacked(b: Builder, xs: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Stack along a new axis."""
    place = axis_of(axis, xs[0].rank + 1)
    if len(xs) == 1:
        return inserted(b, xs[0], place)
    return b("PACK", *xs, axis=place, values_count=len(xs))


def unstacked(b: Builder, x: Tensor, num: int, axis: int = 0) -> tuple[Tensor, ...]:
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


def _element(b: Builder, x: Tensor, index: int, axis: int) -> Tensor:
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


def split(b: Builder, x: Tensor, count: int, axis: int) -> tuple[Tensor, ...]:
    """Cut into equal parts along an axis."""
    if count == 1:
        return (x,)
    return b("SPLIT", np.array(axis_of(axis, x.rank), INT32), x, num_splits=count)


def split_by_sizes(
    b: Builder, x: Tensor, sizes: Tensor, axis: int, count: int
) -> tuple[Tensor, ...]:
    """Cut into `count` parts of given sizes; one of them may be -1, the rest."""
    if count < 1:
        raise UnsupportedError(f"a split into {count} parts")
    if count == 1:
        return (x,)
    place = np.array(axis_of(axis, x.rank), INT32)
    return b("SPLIT_V", x, int32_of(b, sizes), place, num_splits=count)


def pad(b: Builder, x: Tensor, paddings: Tensor, value: Tensor | None = None) -> Tensor:
    """Surround with zeros, or a value; paddings: [rank, 2], before and after."""
    if nothing_to_do(b, x, paddings, 0):
        return x
    if value is None:
        return b("PAD", x, int32_of(b, paddings))
    return b("PADV2", x, int32_of(b, paddings), value)


def mirror_pad(b: Builder, x: Tensor, paddings: Tensor, mode: str) -> Tensor:
    """Surround with mirror images; SYMMETRIC repeats the border, REFLECT does not.

    They are no larger than `x` itself; `pad_by_places` knows no such limit.
    """
    if nothing_to_do(b, x, paddings, 0):
        return x
    return b("MIRROR_PAD", x, int32_of(b, paddings), mode=mode)


_PAD_MODES: dict[str, Any] = {
    "EDGE": "edge",
    "REFLECT": "reflect",
    "SYMMETRIC": "symmetric",
    "WRAP": "wrap",
}
"""What numpy calls them."""


def pad_by_places(b: Builder, x: Tensor, amounts: Sequence[tuple[Size, Size]], mode: str) -> Tensor:
    """Surround with elements of `x`, one axis after the other; negative amounts cut.

    mode: EDGE repeats the border, WRAP the whole of `x`, REFLECT mirrors it without and SYMMETRIC
    with its border.
    """
    for axis, (before, after) in enumerate(amounts):
        if before == after == 0:
            continue
        size = x.shape[axis]
        if size == 0:
            raise UnsupportedError(f"'{x.name}' has nothing along axis {axis} to be repeated")
        if size is None or not isinstance(before, int) or not isinstance(after, int):
            x = b("GATHER", x, _places_around(b, x, axis, before, after, mode), axis=axis)
            continue
        around = (max(before, 0), max(after, 0))
        b.pay(size + sum(around), "paddings")
        grown = np.pad(np.arange(size), around, _PAD_MODES[mode])
        kept = grown[max(-before, 0) : len(grown) - max(-after, 0)]
        x = b("GATHER", x, kept.astype(INT32), axis=axis)
    return x


def _places_around(
    b: Builder, x: Tensor, axis: int, before: Size, after: Size, mode: str
) -> Tensor:
    """Return the places of an axis that a padded one reads, where a size is not known."""
    size = size_of(b, x, axis)
    first, end = calculate(b, "SUB", 0, before), calculate(b, "ADD", size, after)
    places = b("RANGE", operand(first), operand(end), np.array(1, INT32))
    last = calculate(b, "SUB", size, 1)
    if mode == "EDGE":
        return b("MINIMUM", b("MAXIMUM", places, np.array(0, INT32)), operand(last))
    if mode == "WRAP":
        return b("FLOOR_MOD", places, operand(size))
    # There and back again; of one element there is nothing to go back to.
    turn = last if mode == "REFLECT" else size
    period = calculate(b, "MAXIMUM", calculate(b, "MUL", turn, 2), 1)
    far = calculate(b, "SUB", calculate(b, "MUL", turn, 2), 0 if mode == "REFLECT" else 1)
    rest = b("FLOOR_MOD", places, operand(period))
    return b("MINIMUM", rest, b("SUB", operand(far), rest))


def resized(
    b: Builder, x: Tensor, amounts: Sequence[tuple[Size, Size]], value: Tensor | None = None
) -> Tensor:
    """Surround with zeros, or a value; negative amounts, before or after an axis, cut."""
    cut = [tuple(of_sign(b, amount, -1) for amount in pair) for pair in amounts]
    grown = [tuple(of_sign(b, amount, 1) for amount in pair) for pair in amounts]
    if any(part != 0 for pair in cut for part in pair):
        sizes = [calculate(b, "SUB", size_of(b, x, axis), *pair) for axis, pair in enumerate(cut)]
        x = b("SLICE", x, vector(b, [before for before, _ in cut]), vector(b, sizes))
    paddings = vector(b, [part for pair in grown for part in pair])
    if isinstance(paddings, np.ndarray):
        return pad(b, x, b.const(paddings.reshape(-1, 2)), value)
    return pad(b, x, b("RESHAPE", paddings, np.array([x.rank, 2], INT32)), value)


def of_sign(b: Builder, amount: Size, sign: int) -> Size:
    """Return how much of an amount is of a sign."""
    return calculate(b, "MAXIMUM", calculate(b, "MUL", amount, sign), 0)


def tile(b: Builder, x: Tensor, multiples: Tensor) -> Tensor:
    """Repeat along each axis."""
    if nothing_to_do(b, x, multiples, 1):
        return x
    return b("TILE", x, int32_of(b, multiples))


def nothing_to_do(b: Builder, x: Tensor, amounts: Tensor, neutral: int) -> bool:
    """Whether all amounts are known and neutral, which includes that a scalar has none."""
    known = b.known(amounts)
    return x.rank == 0 or (known is not None and all(amount == neutral for amount in known))


def reversed_along(b: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Reverse axis by axis: the kernel takes several axes only where they are neighbours.

    Of nothing there is nothing to reverse, and the kernel would crash.
    """
    if 0 in x.shape:
        return x
    for axis in axes:
        if x.shape[axis] != 1:
            x = b("REVERSE_V2", x, np.array([axis], INT32))
    return x


def roll(b: Builder, x: Tensor, shift: Tensor, axes: Sequence[int]) -> Tensor:
    """Shift elements along axes; what leaves at one end comes in at the other.

    shift: one number for each axis.
    """
    axes = [axis_of(a, x.rank) for a in axes]
    shifts = b.known(shift)
    if shifts is None or None in shifts or any(x.shape[a] is None for a in axes):
        return _roll_by_places(b, x, b.reshape(shift, (len(axes),)), axes)
    for amount, place in zip(shifts, axes, strict=True):
        size = x.shape[place] or 1
        if int(amount or 0) % size:
            x = _roll_by_parts(b, x, int(amount or 0) % size, place)
    return x


def _roll_by_parts(b: Builder, x: Tensor, shift: int, axis: int) -> Tensor:
    size = x.shape[axis] or 0
    sizes = np.array([size - shift, shift], INT32)
    head, tail = b("SPLIT_V", x, sizes, np.array(axis, INT32), num_splits=2)
    return b("CONCATENATION", tail, head, axis=axis)


def _roll_by_places(b: Builder, x: Tensor, shifts: Tensor, axes: Sequence[int]) -> Tensor:
    """Gather element (i - shift) mod n at place i."""
    for number, axis in enumerate(axes):
        shift = b("GATHER", b.cast(shifts, INT32), np.array(number, INT32), axis=0)
        size = b("GATHER", b.shape_of(x), np.array(axis, INT32), axis=0)
        places = b("RANGE", np.array(0, INT32), size, np.array(1, INT32))
        # The kernel refuses to divide by the size of nothing.
        divisor = b("MAXIMUM", size, np.array(1, INT32))
        x = b("GATHER", x, b("FLOOR_MOD", b("SUB", places, shift), divisor), axis=axis)
    return x


def invert_permutation(b: Builder, x: Tensor) -> Tensor:
    """Return y with y[x[i]] = i."""
    if x.data is not None:
        inverse: NDArray[Any] = np.argsort(x.data)
        return b.const(inverse, x.dtype)
    count = b.shape_of(x)
    places = b(
        "RANGE", np.array(0, x.dtype), b.reshape(b.cast(count, x.dtype), ()), np.array(1, x.dtype)
    )
    return b("SCATTER_ND", inserted(b, b.cast(x, INT32), 1), places, count)
