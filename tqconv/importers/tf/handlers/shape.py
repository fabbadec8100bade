"""Shapes: changing them, reading them, and filling them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.dims import reshape_target
from tqconv.compose.operands import axis_operand, int32_of
from tqconv.compose.sizes import element_count, inserted
from tqconv.errors import UnsupportedError, counted, shaped
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.ops.rules import axis_of, same_shape

INT32 = np.dtype(np.int32)


@handles("Reshape")
def reshape(b: TFBuilder, x: Tensor, shape: Tensor) -> Tensor:
    """Reshape to a vector of sizes; it becomes a constant when at most one size is open."""
    target = reshape_target(x, shape, b.shared.translation.origins)
    if target is None:
        return b("RESHAPE", x, int32_of(b, shape))
    if x.is_static and target == x.shape:
        return x
    return b("RESHAPE", x, np.array(target, INT32))


@handles("Squeeze")
def squeeze(b: Builder, x: Tensor, *, squeeze_dims: list[int] | None = None) -> Tensor:
    """Drop dimensions of size 1: the named ones, or all."""
    axes = [axis_of(axis, x.rank) for axis in squeeze_dims or ()]
    if not axes:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
        if not x.is_static:
            raise UnsupportedError(
                f"Squeeze names no axes, and which sizes of {shaped(x.shape)} are 1 is not known",
                hint="give the inputs a shape with --input_shapes",
            )
    if not axes:
        return x
    return b("SQUEEZE", x, squeeze_dims=axes)


@handles("ExpandDims")
def expand_dims(b: Builder, x: Tensor, axis: Tensor) -> Tensor:
    """Insert a dimension of size 1."""
    place = axis_operand(b, axis, x.rank + 1)
    return inserted(b, x, place)


@handles("Shape")
def shape_of(b: Builder, x: Tensor, *, out_type: TypeNumber | None = None) -> Tensor:
    """Return the sizes as a vector."""
    return b.shape_of(x, INT32 if out_type is None else out_type.dtype)


@handles("ShapeN")
def shapes_of(b: Builder, *xs: Tensor, out_type: TypeNumber | None = None) -> tuple[Tensor, ...]:
    """Return the sizes of each input."""
    return tuple(shape_of(b, x, out_type=out_type) for x in xs)


@handles("Size")
def size_of(b: Builder, x: Tensor, *, out_type: TypeNumber | None = None) -> Tensor:
    """Return the number of elements."""
    return element_count(b, x, INT32 if out_type is None else out_type.dtype)


@handles("Rank")
def rank_of(b: Builder, x: Tensor) -> Tensor:
    """Return the number of dimensions."""
    return b.const(x.rank, INT32)


@handles("EnsureShape")
def ensure_shape(b: Builder, x: Tensor, *, shape: Shape | None) -> Tensor:
    """Return the input with what `shape` adds to its known sizes."""
    return x if shape is None else b.reshape(x, same_shape((x.shape, shape)))


@handles("BroadcastTo")
def broadcast_to(b: Builder, x: Tensor, shape: Tensor) -> Tensor:
    """Repeat along dimensions of size 1."""
    if x.is_static and b.known(shape) == x.shape:
        return x
    return b("BROADCAST_TO", x, int32_of(b, shape))


@handles("BroadcastArgs")
def broadcast_args(b: Builder, s0: Tensor, s1: Tensor) -> Tensor:
    """Return the shape that two shapes broadcast to."""
    if s0.shape[0] == 0 or s1.shape[0] == 0:
        return s1 if s0.shape[0] == 0 else s0
    return b("BROADCAST_ARGS", s0, s1)


@handles("BroadcastGradientArgs")
def broadcast_gradient_args(b: Builder, s0: Tensor, s1: Tensor) -> tuple[Tensor, Tensor]:
    """Return the axes along which each of two constant shapes is repeated, or is 1.

    Equal shapes have none, whatever they are.
    """
    shapes = [b.ints(s0, "s0"), b.ints(s1, "s1")]
    if shapes[0] == shapes[1]:
        none = b.const([], s0.dtype, "axes")
        return none, none
    rank = max(map(len, shapes))
    padded = [[1] * (rank - len(shape)) + shape for shape in shapes]
    axes: list[list[int]] = [[], []]
    for axis, sizes in enumerate(zip(*padded, strict=True)):
        for number, size in enumerate(sizes):
            if size == 1:
                axes[number].append(axis)
    first, second = (b.const(a, s0.dtype, f"axes{i}") for i, a in enumerate(axes))
    return first, second


@handles("ConcatOffset")
def concat_offset(
    b: Builder, axis: Tensor, *shapes: Tensor, shape_type: TypeNumber | None = None
) -> tuple[Tensor, ...]:
    """Return where each part starts in a concatenation: one vector per part."""
    rank = shapes[0].shape[0] or 0
    place = axis_operand(b, axis, rank, "concat_dim")
    mask = np.zeros(rank, shapes[0].dtype)
    mask[place] = 1
    offsets: list[Tensor] = [b.const(np.zeros(rank, shapes[0].dtype))]
    for shape in shapes[:-1]:
        offsets.append(b("ADD", offsets[-1], b("MUL", shape, mask)))
    return tuple(offsets)


@handles("Fill")
def fill(
    b: Builder, dims: Tensor, value: Tensor, *, index_type: TypeNumber | None = None
) -> Tensor:
    """Repeat one value."""
    return b("FILL", int32_of(b, dims), value)


@handles("Empty")
def empty(b: Builder, shape: Tensor, *, dtype: TypeNumber, init: bool = False) -> Tensor:
    """Return zeros: without `init` the content may be anything, zeros included."""
    return b("FILL", int32_of(b, shape), np.zeros((), dtype.dtype))


@handles("Range")
def range_(b: Builder, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Count from `start` to before `limit`."""
    return b("RANGE", start, limit, delta)


@handles("LinSpace")
def lin_space(b: Builder, start: Tensor, stop: Tensor, num: Tensor) -> Tensor:
    """Return `num` values in equal steps, `start` and `stop` included: start + step * i.

    Where TensorFlow sets the last one to `stop`, this one may differ in its last bit.
    """
    if start.data is not None and stop.data is not None and num.data is not None:
        return b.const(_linear(start.data, stop.data, b.scalar(num, "num")), start.dtype)
    zero, one = np.array(0, INT32), np.array(1, INT32)
    count = b.reshape(b.cast(num, INT32), ())
    places = b.cast(b("RANGE", zero, count, one), start.dtype)
    intervals = b.cast(b("MAXIMUM", b("SUB", count, one), one), start.dtype)
    step = b("DIV", b("SUB", stop, start), intervals)
    return b("ADD", start, b("MUL", places, step))


def _linear(start: NDArray[Any], stop: NDArray[Any], count: int) -> NDArray[Any]:
    if count <= 0:
        raise UnsupportedError(f"LinSpace of {counted(count, 'value')}")
    return np.linspace(float(start.reshape(())), float(stop.reshape(())), count)
