"""Shape, dtype and fold rules that many rows share.

A shape rule takes an `Op` whose inputs are typed and returns [(shape, dtype)] of its outputs.
Unknown
dimensions are `None`. Rules raise `UnsupportedError` where the operands cannot fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import InternalError, UnsupportedError, counted, shaped
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape, dtype_of, numpy_name
from tqconv.ops.spec import FoldRule, ShapeRule, Typed

BOOL = np.dtype(np.bool_)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)
FLOAT32 = np.dtype(np.float32)


def same(op: Op) -> Sequence[Typed]:
    """Like the first input."""
    return [(op.input(0).shape, op.input(0).dtype)]


def same_as(dtype: np.dtype) -> ShapeRule:
    """Return a rule: the shape of the first input with another dtype."""
    return lambda op: [(op.input(0).shape, dtype)]


def broadcast(op: Op) -> Sequence[Typed]:
    """Broadcast of all inputs, in numpy's way."""
    return [(broadcast_shapes(t.shape for t in op.inputs if t is not None), op.input(0).dtype)]


def broadcast_as(dtype: np.dtype) -> ShapeRule:
    """Return a rule: broadcast of all inputs with another dtype."""
    return lambda op: [(broadcast(op)[0][0], dtype)]


def broadcast_shapes(shapes: Iterable[Shape]) -> Shape:
    """Return the broadcast shape; an unknown size against n > 1 is n, else unknown."""
    result: list[int | None] = []
    for shape in shapes:
        if list(shape) == result:
            continue
        rank = max(len(result), len(shape))
        padded: list[int | None] = [*([1] * (rank - len(shape))), *shape]
        result = [*([1] * (rank - len(result))), *result]
        result = [_broadcast_dim(a, b) for a, b in zip(result, padded, strict=True)]
    return tuple(result)


def _broadcast_dim(a: int | None, b: int | None) -> int | None:
    if a == b:
        return a
    if a == 1 or b == 1:
        return b if a == 1 else a
    if a is None or b is None:
        return b if a is None else a
    raise UnsupportedError(f"sizes {a} and {b} do not broadcast")


def elements(tensor: Tensor | None) -> tuple[int | None, ...] | None:
    """Return what is known of an integer vector (all of a constant's), or None."""
    if tensor is None:
        return None
    if tensor.data is not None:
        return tuple(map(int, tensor.data.reshape(-1).tolist()))
    return tensor.elements


def elements_or_unknown(tensor: Tensor, length: int) -> tuple[int | None, ...]:
    """Return `length` elements, None where they are not known; UnsupportedError for others."""
    count = tensor.size if tensor.is_static else length
    if count != length:
        raise UnsupportedError(f"'{tensor.name}' holds {counted(count, 'number')}, not {length}")
    found = elements(tensor)
    return (None,) * length if found is None else found


def axis_of(axis: int, rank: int) -> int:
    """Return a non-negative axis; UnsupportedError outside [-rank, rank)."""
    if not -rank <= axis < rank:
        raise UnsupportedError(f"axis {axis} is outside a tensor of rank {rank}")
    return axis % rank


def axes_of(op: Op, index: int) -> tuple[int, ...]:
    """Return the constant axes at input `index`, normalized and sorted, of the first input."""
    tensor = op.input(index)
    if tensor.data is None:
        raise UnsupportedError("the axes are not a constant", hint="freeze the graph first")
    return tuple(sorted({axis_of(int(a), op.input(0).rank) for a in tensor.data.reshape(-1)}))


def with_numpy(function: Callable[..., NDArray[Any]]) -> FoldRule:
    """Return a fold rule that applies a numpy function to the input arrays."""

    def fold(op: Op) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            return function(*(t.data for t in op.inputs if t is not None))

    return fold


def window_size(
    size: int | None, kernel: int, stride: int, dilation: int, padding: str
) -> int | None:
    """Return the output size of a sliding window; `padding` is SAME or VALID."""
    if size is None:
        return None
    reach = (kernel - 1) * dilation + 1
    covered = size if padding == "SAME" else size - reach + 1
    if padding == "VALID" and covered <= 0:
        raise UnsupportedError(f"a window of {reach} does not fit into a size of {size}")
    return -(-covered // stride)


def values(op: Op, index: int) -> NDArray[Any]:
    """Return the constant at input `index`; UnsupportedError when it is not one."""
    data = op.input(index).data
    if data is None:
        raise UnsupportedError(f"input '{op.input(index).name}' is not a constant")
    return data


def same_size(a: int | None, b: int | None) -> int | None:
    """Return what is known of a size that both share; UnsupportedError when they differ."""
    if a is not None and b is not None and a != b:
        raise UnsupportedError(f"sizes {a} and {b} should be equal")
    return b if a is None else a


def same_shape(shapes: Iterable[Shape]) -> Shape:
    """Return what is known of the shape that all share; UnsupportedError when they differ."""
    first, *others = shapes
    result = list(first)
    for shape in others:
        if len(shape) != len(result):
            raise UnsupportedError(f"ranks {len(result)} and {len(shape)} should be equal")
        result = [same_size(a, b) for a, b in zip(result, shape, strict=True)]
    return tuple(result)


def ranked(tensor: Tensor, rank: int) -> Shape:
    """Return the shape of a tensor that must have this rank."""
    if tensor.rank != rank:
        raise UnsupportedError(f"'{tensor.name}' has rank {tensor.rank}, the kernel takes {rank}")
    return tensor.shape


def is_sub_byte(tensor: Tensor) -> bool:
    """Whether two or more elements share a byte."""
    return numpy_name(tensor.dtype) in ("int4", "int2")


def has_shape(tensor: Tensor | None, shape: Iterable[int | None]) -> None:
    """Raise UnsupportedError where an operand, if there is one, cannot have this shape."""
    if tensor is None:
        return
    wanted = tuple(shape)
    known = zip(tensor.shape, wanted, strict=False)
    if tensor.rank != len(wanted) or any(None not in pair and pair[0] != pair[1] for pair in known):
        have = shaped(tensor.shape)
        raise UnsupportedError(f"'{tensor.name}' has shape {have}, not {shaped(wanted)}")


def not_negative(sizes: Iterable[int | None], what: str) -> None:
    """Raise UnsupportedError for a size below zero."""
    listed = list(sizes)
    if any(size is not None and size < 0 for size in listed):
        raise UnsupportedError(f"{what} of {listed}")


def scalar(op: Op, index: int) -> int | None:
    """Return the one integer at input `index`, or None while it is not known."""
    known = elements(op.input(index))
    if known is None:
        return None
    if len(known) != 1:
        raise UnsupportedError(
            f"'{op.input(index).name}' has {counted(len(known), 'element')}, expected one"
        )
    return known[0]


def count_type(op: Op, option: str, default: str) -> np.dtype:
    """Return the type that an option gives to sizes or places; kernels have two."""
    dtype = dtype_of(op.options.get(option, default))
    if dtype not in (np.int32, np.int64):
        raise UnsupportedError(f"sizes and places as {dtype}, not as int32 or int64")
    return dtype


def constant_axis(op: Op, index: int, rank: int) -> int:
    """Return the non-negative axis at input `index`; UnsupportedError when it is not a constant."""
    return axis_of(int(values(op, index).reshape(-1)[0]), rank)


ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "NONE": lambda y: y,
    "RELU": lambda y: np.maximum(y, y.dtype.type(0)),
    "RELU_N1_TO_1": lambda y: np.clip(y, y.dtype.type(-1), y.dtype.type(1)),
    "RELU6": lambda y: np.clip(y, y.dtype.type(0), y.dtype.type(6)),
}
"""The fused activations that kernels compute; the schema's TANH and SIGN_BIT have none."""


def with_activation(function: Callable[..., NDArray[Any]]) -> FoldRule:
    """Return a fold rule: a numpy function, then the operator's fused activation."""
    plain = with_numpy(function)

    def fold(op: Op) -> NDArray[Any] | None:
        activation = ACTIVATIONS.get(op.options.get("fused_activation_function", "NONE"))
        return None if activation is None else activation(np.asarray(plain(op)))

    return fold


def declared(op: Op) -> Sequence[Typed]:
    """Return what the outputs say: for operators whose result no operand or option describes.

    Build such an operator through `emit.finish`, or with its outputs.
    """
    if not op.outputs:
        raise InternalError(f"{op.type} must be built with an output that has a type")
    return [(t.shape, t.dtype) for t in op.outputs]
