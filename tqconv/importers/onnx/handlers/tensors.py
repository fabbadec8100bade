"""Constants, shapes and rearrangements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import rearrange, slices
from tqconv.compose.casts import converted
from tqconv.compose.dims import reshape_target
from tqconv.compose.operands import int32_of, static_size
from tqconv.compose.sizes import (
    calculate,
    element,
    inserted,
    operand,
    reshaped,
    size_of,
    sizes_of,
    vector,
)
from tqconv.errors import FormatError, UnsupportedError, shaped
from tqconv.importers.borders import COMPUTED
from tqconv.importers.onnx.quotients import simplified
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.tensors import computed, dtype_of
from tqconv.ir.graph import Tensor


@handles("Constant")
def constant(
    b: ONNXBuilder,
    *,
    value: Any = None,
    sparse_value: Any = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
    value_string: str | None = None,
    value_strings: Sequence[str] | None = None,
) -> Tensor:
    """Return a constant in one of the forms that ONNX has for it."""
    value = sparse_value if value is None else value
    if value is not None:
        return b.const(computed(value))
    for number, dtype in (
        (value_float, np.float32),
        (value_floats, np.float32),
        (value_int, np.int64),
        (value_ints, np.int64),
    ):
        if number is not None:
            return b.const(number, dtype)
    texts = [value_string] if value_string is not None else list(value_strings or ())
    array = np.array([t.encode() if isinstance(t, str) else t for t in texts], object)
    if value_string is None and value_strings is None:
        raise UnsupportedError("a Constant without a value")
    return b.const(array.reshape(()) if value_string is not None else array)


@handles("Identity")
def identity(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Pass on."""
    return x


@handles("Transpose")
def transpose(b: ONNXBuilder, x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """Permute the axes; reverse them where no permutation is given."""
    return b.transpose(x, tuple(perm) if perm is not None else tuple(range(x.rank))[::-1])


@handles("Shape")
def shape_of(b: ONNXBuilder, x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Return the sizes, or those from `start` up to `end`, as int64."""
    sizes = b.shape_of(x, np.int64)
    return slices.along(b, sizes, 0, start, end)


@handles("Size")
def size(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Return how many elements there are."""
    return b("REDUCE_PROD", b.shape_of(x, np.int64), np.array([0], np.int32))


@handles("Reshape")
def reshape(b: ONNXBuilder, x: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    """Reshape; a size of 0 keeps that of the operand, unless zeros are allowed."""
    known = b.known(shape)
    if known is not None and 0 in known and not allowzero:
        sizes = [size_of(b, x, i) if d == 0 else d for i, d in enumerate(known)]
        own = [d if d is not None else element(b, shape, i) for i, d in enumerate(sizes)]
        made = vector(b, own)
        shape = b.const(made) if isinstance(made, np.ndarray) else made
    elif shape.producer is None and not allowzero and not shape.is_constant:
        shape = _without_zeros(b, x, shape)
    target = reshape_target(x, shape, b.shared.translation.origins)
    if target is None:
        return b("RESHAPE", x, simplified(b, x, shape))
    if x.is_static and target == x.shape:
        return x
    return b("RESHAPE", x, np.array(target, np.int32))


def _without_zeros(b: ONNXBuilder, x: Tensor, shape: Tensor) -> Tensor:
    """Return a shape that comes from outside with the operand's sizes in the places of zeros."""
    count = static_size(shape, 0)
    own = list(sizes_of(b, x)[:count]) + [0] * (count - x.rank)
    made = vector(b, own)
    sizes = b.cast(b.const(made) if isinstance(made, np.ndarray) else made, shape.dtype)
    return b("SELECT_V2", b("EQUAL", shape, np.array(0, shape.dtype)), sizes, shape)


@handles("Flatten")
def flatten(b: ONNXBuilder, x: Tensor, *, axis: int = 1) -> Tensor:
    """Reshape to a matrix: the axes before `axis`, and the others."""
    axis = axis + x.rank if axis < 0 else axis
    outer, inner = x.shape[:axis], x.shape[axis:]
    if None not in inner and (0 not in inner or None not in outer):
        return b.reshape(x, (_product(outer), _product(inner)))
    if None not in outer:
        return b("RESHAPE", x, np.array([_product(outer), -1], np.int32))
    rows = calculate(b, "MUL", 1, *(size_of(b, x, i) for i in range(axis)))
    return b("RESHAPE", x, vector(b, [rows, -1 if None in inner else 0]))


def _product(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else math.prod(d for d in sizes if d is not None)


@handles("Unsqueeze")
def unsqueeze_1(b: ONNXBuilder, x: Tensor, *, axes: Sequence[int]) -> Tensor:
    """Insert axes of size 1."""
    return _unsqueezed(b, x, axes)


@handles("Unsqueeze", since=13)
def unsqueeze(b: ONNXBuilder, x: Tensor, axes: Tensor) -> Tensor:
    """Insert axes of size 1."""
    return _unsqueezed(b, x, b.ints(axes, "axes"))


def _unsqueezed(b: ONNXBuilder, x: Tensor, axes: Sequence[int]) -> Tensor:
    rank = x.rank + len(axes)
    return inserted(b, x, *sorted(axis % rank for axis in axes))


@handles("com.microsoft:ExpandDims")
def expand_dims(b: ONNXBuilder, x: Tensor, axis: Tensor) -> Tensor:
    """Insert one axis of size 1."""
    return _unsqueezed(b, x, b.ints(axis, "axis"))


@handles("Squeeze")
def squeeze_1(b: ONNXBuilder, x: Tensor, *, axes: Sequence[int] | None = None) -> Tensor:
    """Drop axes of size 1: the named ones, or all."""
    return _squeezed(b, x, axes)


@handles("Squeeze", since=13)
def squeeze(b: ONNXBuilder, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Drop axes of size 1: the named ones, or all."""
    return _squeezed(b, x, None if axes is None else b.ints(axes, "axes"))


def _squeezed(b: ONNXBuilder, x: Tensor, axes: Sequence[int] | None) -> Tensor:
    if axes is None:
        if not x.is_static:
            raise UnsupportedError(
                f"it names no axes, and which sizes of {shaped(x.shape)} are 1 is not known",
                hint="give the inputs a shape with --input_shapes",
            )
        axes = [axis for axis, d in enumerate(x.shape) if d == 1]
    places = sorted(axis % x.rank for axis in axes) if x.rank else []
    wrong = [axis for axis in places if x.shape[axis] not in (1, None)]
    if wrong:
        raise FormatError(f"axis {wrong[0]} of {shaped(x.shape)} is not of size 1")
    return b("SQUEEZE", x, squeeze_dims=places) if places else x


@handles("Concat")
def concat(b: ONNXBuilder, *xs: Tensor, axis: int) -> Tensor:
    """Concatenate along an axis."""
    return rearrange.joined(b, xs, axis % xs[0].rank)


@handles("Split")
def split_2(
    b: ONNXBuilder, x: Tensor, *, axis: int = 0, split: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    """Cut into parts along an axis: equal ones, or of the given sizes."""
    return _split(b, x, axis, split, None)


@handles("Split", since=13)
def split(
    b: ONNXBuilder,
    x: Tensor,
    sizes: Tensor | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
) -> tuple[Tensor, ...]:
    """Cut into parts along an axis; without sizes the last part may be smaller."""
    numbers = None if sizes is None else b.ints(sizes, "split")
    return _split(b, x, axis, numbers, num_outputs)


def _split(
    b: ONNXBuilder, x: Tensor, axis: int, sizes: Sequence[int] | None, count: int | None
) -> tuple[Tensor, ...]:
    axis = axis % x.rank
    count = len(b.node.outputs) if count is None else count
    whole = x.shape[axis]
    if sizes is None and (whole is None or whole % count == 0):
        return rearrange.split(b, x, count, axis)
    if sizes is None:
        assert whole is not None
        each = -(-whole // count)
        sizes = [min(each, whole - each * i) for i in range(count)]
    parts = b.const(np.array(sizes, np.int32))
    return rearrange.split_by_sizes(b, x, parts, axis, len(sizes))


@handles("Expand")
def expand(b: ONNXBuilder, x: Tensor, shape: Tensor) -> Tensor:
    """Broadcast to the shape that `shape` and the operand's own give together."""
    known = b.known(shape)
    if known is not None and None not in known and x.is_static:
        target = np.broadcast_shapes(
            tuple(d or 0 for d in x.shape), tuple(int(d or 0) for d in known)
        )
        return x if target == x.shape else b("BROADCAST_TO", x, np.array(target, np.int32))
    ones = b("FILL", int32_of(b, shape), np.ones((), x.dtype))
    if x.dtype == np.bool_:
        return b("LOGICAL_AND", x, b("FILL", int32_of(b, shape), np.array(True)))
    return b("MUL", x, ones)


@handles("Tile")
def tile(b: ONNXBuilder, x: Tensor, repeats: Tensor) -> Tensor:
    """Repeat along each axis."""
    return rearrange.tile(b, x, repeats)


@handles("ConstantOfShape")
def constant_of_shape(b: ONNXBuilder, shape: Tensor, *, value: Any = None) -> Tensor:
    """Return a tensor of one value."""
    number = np.zeros((), np.float32) if value is None else computed(value).reshape(())
    return b("FILL", int32_of(b, shape), number)


@handles("Range", "com.microsoft:Range")
def range_(b: ONNXBuilder, start: Tensor, limit: Tensor, delta: Tensor | None = None) -> Tensor:
    """Count from start up to limit, by ones where nothing else is said."""
    step = b.const(1, start.dtype) if delta is None else delta
    return b("RANGE", *(b.reshape(t, ()) for t in (start, limit, step)))


@handles("Trilu", "com.microsoft:Trilu")
def trilu(b: ONNXBuilder, x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    """Keep what lies on one side of a diagonal of each matrix, set the rest to 0."""
    shift = b.const(0, np.int32) if k is None else b.reshape(b.cast(k, np.int32), ())
    kept = _one_side(b, x, shift, bool(upper))
    if x.dtype == np.bool_:
        return b("LOGICAL_AND", x, kept)
    return b("SELECT_V2", kept, x, np.zeros((), x.dtype))


def _one_side(b: ONNXBuilder, x: Tensor, shift: Tensor, upper: bool) -> Any:
    """Return where a matrix lies on a diagonal, or above (`upper`) or below: [rows, columns]."""
    rows, columns = x.shape[-2:]
    if rows is not None and columns is not None and shift.data is not None:
        b.pay(rows * columns // 8, "input")  # of one byte each
        ones, number = np.ones((rows, columns), bool), int(shift.data)
        return np.triu(ones, number) if upper else np.tril(ones, number)
    down, across = (_counted(b, x, axis) for axis in (-2, -1))
    diagonal = b("ADD", inserted(b, down, 1), shift)
    return b("GREATER_EQUAL" if upper else "LESS_EQUAL", across, diagonal)


def _counted(b: ONNXBuilder, x: Tensor, axis: int) -> Tensor:
    """Return 0, 1, … for the elements along an axis."""
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    return b("RANGE", zero, operand(size_of(b, x, axis)), one)


@handles("DepthToSpace")
def depth_to_space(b: ONNXBuilder, x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Move channels into blocks of pixels; CRD counts the block inside of the channel."""
    k = blocksize
    if mode == "DCR":
        return b.channels_last(x, True, lambda t: b("DEPTH_TO_SPACE", t, block_size=k))
    c, h, w = static_size(x, 1), *x.shape[2:]
    if h is None or w is None:
        b.pay(c, "input")
        places = np.arange(c, dtype=np.int32).reshape(-1, k * k).T.reshape(-1)
        return depth_to_space(b, b("GATHER", x, places, axis=1), blocksize=k)
    n = size_of(b, x, 0)
    y = b.transpose(reshaped(b, x, [n, c // k**2, k, k, h, w]), (0, 1, 4, 2, 5, 3))
    return reshaped(b, y, [n, c // k**2, h * k, w * k])


@handles("SpaceToDepth")
def space_to_depth(b: ONNXBuilder, x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Move blocks of pixels into channels; CRD counts the block inside of the channel."""
    k = blocksize
    if mode == "DCR":
        return b.channels_last(x, True, lambda t: b("SPACE_TO_DEPTH", t, block_size=k))
    c = static_size(x, 1)
    b.pay(c * k * k, "blocksize")
    places = np.arange(c * k * k, dtype=np.int32).reshape(k * k, c).T.reshape(-1)
    return b("GATHER", space_to_depth(b, x, blocksize=k), places, axis=1)


@handles("EyeLike")
def eye_like(b: ONNXBuilder, x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """Return a matrix of the operand's shape with ones on a diagonal."""
    kind = x.dtype if dtype is None else dtype_of(dtype)
    kind = COMPUTED.get(kind, kind)
    if x.rank != 2:
        raise UnsupportedError(f"EyeLike of rank {x.rank}")
    if x.is_static:
        b.pay(x.size, "input")
        return b.const(np.eye(x.shape[0] or 0, x.shape[1] or 0, k, kind))
    rows, columns = (_counted(b, x, axis) for axis in (0, 1))
    shifted = b("ADD", inserted(b, rows, 1), np.array(k, np.int32))
    return converted(b, b("EQUAL", shifted, columns), kind)
