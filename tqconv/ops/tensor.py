"""Shapes, and tensors that are rearranged, repeated, padded or filled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape, dtype_of
from tqconv.ops.rules import (
    INT32,
    axes_of,
    axis_of,
    broadcast_shapes,
    constant_axis,
    elements,
    same,
    values,
    with_numpy,
)
from tqconv.ops.spec import (
    QuantRule,
    Typed,
    by_type,
    moves,
    moves_input,
    op,
    rows_input,
)

_SAME = QuantRule(same=True)
# Element types and ranks are measured with LiteRT 2.3.0; rows without take whatever loads.
_NUMBERS = frozenset({"float32", "int8", "int16", "int32", "int64", "uint8"})


def described_shape(tensor: Tensor) -> Shape:
    """Return what is known of the shape that an integer vector describes."""
    known = elements(tensor)
    if known is not None:
        return known
    if tensor.rank != 1 or tensor.shape[0] is None:
        raise UnsupportedError(
            f"'{tensor.name}' describes a shape of unknown rank",
            hint="give the inputs of the model their shapes",
        )
    return (None,) * tensor.shape[0]


def _target(op: Op) -> Shape:
    """Return the wanted shape, -1 where it follows from the rest: input 1, else the option."""
    if len(op.inputs) > 1 and op.inputs[1] is not None:
        return described_shape(op.input(1))
    if "new_shape" not in op.options:
        raise UnsupportedError("RESHAPE has neither a shape operand nor `new_shape`")
    return tuple(int(d) for d in op.options["new_shape"])


def _reshaped(op: Op) -> list[Typed]:
    """A single unknown size follows from the element count when the input has no unknown one left."""
    x = op.input(0)
    target = _target(op)
    sizes: list[int | None] = [None if d == -1 else d for d in target]
    if target.count(-1) > 1:
        raise UnsupportedError(f"the shape {list(target)} leaves two sizes open")
    known = math.prod(d for d in sizes if d is not None)
    if sizes.count(None) == 1 and x.is_static and known:
        sizes[sizes.index(None)] = x.size // known
    if x.is_static and None not in sizes and math.prod(d or 0 for d in sizes) != x.size:
        raise UnsupportedError(f"{list(x.shape)} does not fit into {list(target)}")
    return [(tuple(sizes), x.dtype)]


def _reshape(op: Op) -> NDArray[Any]:
    return values(op, 0).reshape([-1 if d is None else d for d in _target(op)])


op(
    "RESHAPE",
    "x shape? -> y",
    shape=_reshaped,
    fold=_reshape,
    quant=_SAME,
    polynomial=True,
    category="shape",
)


def _squeezed_axes(op: Op) -> tuple[int, ...]:
    x = op.input(0)
    axes = tuple(op.options.get("squeeze_dims", ()))
    if axes:
        return tuple(axis_of(int(a), x.rank) for a in axes)
    if not x.is_static:
        raise UnsupportedError(
            f"which of the sizes {list(x.shape)} are 1 is not known",
            hint="name the axes to squeeze",
        )
    return tuple(i for i, d in enumerate(x.shape) if d == 1)


def _squeezed(op: Op) -> list[Typed]:
    x, axes = op.input(0), _squeezed_axes(op)
    if any(x.shape[a] not in (1, None) for a in axes):
        raise UnsupportedError(f"cannot squeeze the axes {list(axes)} of {list(x.shape)}")
    return [(tuple(d for i, d in enumerate(x.shape) if i not in axes), x.dtype)]


def _squeeze(op: Op) -> NDArray[Any]:
    return np.squeeze(values(op, 0), _squeezed_axes(op))


op(
    "SQUEEZE",
    "x -> y",
    shape=_squeezed,
    fold=_squeeze,
    quant=_SAME,
    version=by_type(object=2),
    polynomial=True,
    category="shape",
)


def _expanded(op: Op) -> list[Typed]:
    x = op.input(0)
    axis = constant_axis(op, 1, x.rank + 1)
    return [((*x.shape[:axis], 1, *x.shape[axis:]), x.dtype)]


def _expand(op: Op) -> NDArray[Any]:
    x = values(op, 0)
    return np.expand_dims(x, constant_axis(op, 1, x.ndim + 1))


op(
    "EXPAND_DIMS",
    "x axis -> y",
    shape=_expanded,
    fold=_expand,
    quant=_SAME,
    polynomial=True,
    category="shape",
)


def _transposed(op: Op) -> list[Typed]:
    x, perm = op.input(0), op.input(1).data
    if op.input(1).dtype != INT32 and not x.is_constant:
        raise UnsupportedError(
            f"a permutation of {op.input(1).dtype}: the kernel reads it as int32"
        )
    if perm is None:
        return [((None,) * x.rank, x.dtype)]
    axes = [axis_of(int(a), x.rank) for a in perm.reshape(-1)]
    if sorted(axes) != list(range(x.rank)):
        raise UnsupportedError(f"{axes} is not a permutation of the axes of {list(x.shape)}")
    return [(tuple(x.shape[a] for a in axes), x.dtype)]


def _transpose_version(op: Op) -> int:
    x = op.input(0)
    if x.rank > 5:
        return 6
    if x.dtype == np.int16:
        return 5
    return 4 if x.rank > 4 else by_type(bool=3, int8=2)(op)


op(
    "TRANSPOSE",
    "x perm -> y",
    shape=_transposed,
    fold=with_numpy(np.transpose),
    quant=_SAME,
    version=_transpose_version,
    polynomial=True,
    category="movement",
)


def _shape_type(op: Op) -> np.dtype:
    if "out_type" not in op.options:
        raise UnsupportedError("SHAPE needs `out_type`: the schema's default is FLOAT32")
    return dtype_of(op.options["out_type"])


op(
    "SHAPE",
    "x -> y",
    shape=lambda op: [((op.input(0).rank,), _shape_type(op))],
    fold=lambda op: np.array(op.input(0).shape, _shape_type(op)),
    quant=QuantRule(),
    category="shape",
)
op(
    "RANK",
    "x -> y",
    shape=lambda op: [((), INT32)],
    fold=lambda op: np.array(op.input(0).rank, INT32),
    quant=QuantRule(),
    category="shape",
)


def _padding(op: Op) -> list[tuple[int | None, int | None]]:
    rank = op.input(0).rank
    known = elements(op.input(1)) or (None,) * (2 * rank)
    if len(known) != 2 * rank:
        raise UnsupportedError(f"{len(known)} amounts of padding for a tensor of rank {rank}")
    return [(known[2 * i], known[2 * i + 1]) for i in range(rank)]


def _padded(op: Op) -> list[Typed]:
    x = op.input(0)
    amounts = zip(x.shape, _padding(op), strict=True)
    return [(tuple(_total(d, before, after) for d, (before, after) in amounts), x.dtype)]


def _total(*sizes: int | None) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _pad(op: Op) -> NDArray[Any]:
    x = values(op, 0)
    value = values(op, 2).reshape(-1)[0] if len(op.inputs) > 2 else 0
    return np.pad(x, values(op, 1).astype(np.int64), constant_values=value)


def _pad_version(op: Op) -> int:
    x = op.input(0)
    if x.dtype == np.bool_:
        return 5
    return 4 if x.rank > 4 else by_type(int16=3, int8=2)(op)


for name, operands in {"PAD": "x paddings -> y", "PADV2": "x paddings value -> y"}.items():
    op(
        name,
        operands,
        shape=_padded,
        fold=_pad,
        layout=rows_input(1),
        quant=_SAME,
        version=_pad_version,
        polynomial=True,
        category="movement",
        types=_NUMBERS | {"bool"},
        max_rank=5,
    )


def _mirror(op: Op) -> NDArray[Any]:
    symmetric = op.options.get("mode", "REFLECT") == "SYMMETRIC"
    amounts = values(op, 1).astype(np.int64)
    return np.pad(values(op, 0), amounts, mode="symmetric" if symmetric else "reflect")


op(
    "MIRROR_PAD",
    "x paddings -> y",
    shape=_padded,
    fold=_mirror,
    layout=rows_input(1),
    quant=_SAME,
    version=by_type(int8=2, int16=3),
    category="movement",
)


def _tiled(op: Op) -> list[Typed]:
    x = op.input(0)
    multiples = elements(op.input(1)) or (None,) * x.rank
    if len(multiples) != x.rank:
        raise UnsupportedError(f"{len(multiples)} multiples for a tensor of rank {x.rank}")
    sizes = zip(x.shape, multiples, strict=True)
    return [(tuple(None if d is None or m is None else d * m for d, m in sizes), x.dtype)]


op(
    "TILE",
    "x multiples -> y",
    shape=_tiled,
    fold=with_numpy(np.tile),
    layout=rows_input(1),
    quant=_SAME,
    version=by_type(int8=3, object=2),
    polynomial=True,
    category="movement",
)


def _broadcast_to_shape(op: Op) -> list[Typed]:
    x, target = op.input(0), described_shape(op.input(1))
    if len(target) < x.rank:
        raise UnsupportedError(f"{list(x.shape)} does not broadcast to {list(target)}")
    shape = broadcast_shapes((target, x.shape))
    if any(want not in (None, got) for want, got in zip(target, shape, strict=True)):
        raise UnsupportedError(f"{list(x.shape)} does not broadcast to {list(target)}")
    return [(shape, x.dtype)]


def _broadcast_to(op: Op) -> NDArray[Any]:
    return np.broadcast_to(values(op, 0), [int(d) for d in values(op, 1)])


op(
    "BROADCAST_TO",
    "x shape -> y",
    shape=_broadcast_to_shape,
    fold=_broadcast_to,
    quant=_SAME,
    version=by_type(2, int8=3, int16=3),
    polynomial=True,
    category="movement",
)


def _common_shape(op: Op) -> list[Typed]:
    a, b = op.input(0), op.input(1)
    lengths = a.shape[0], b.shape[0]
    length = None if None in lengths else max(d or 0 for d in lengths)
    return [((length,), a.dtype)]


def _common(op: Op) -> NDArray[Any]:
    shapes = ([int(d) for d in values(op, i)] for i in (0, 1))
    return np.array(np.broadcast_shapes(*map(tuple, shapes)), op.input(0).dtype)


op(
    "BROADCAST_ARGS",
    "a b -> y",
    shape=_common_shape,
    fold=_common,
    category="shape",
    types=frozenset({"int32", "int64"}),
    max_rank=1,
)


def _filled(op: Op) -> list[Typed]:
    return [(described_shape(op.input(0)), op.input(1).dtype)]


def _fill(op: Op) -> NDArray[Any]:
    value = values(op, 1)
    return np.full([int(d) for d in values(op, 0)], value.reshape(()), value.dtype)


op(
    "FILL",
    "dims value -> y",
    shape=_filled,
    fold=_fill,
    quant=_SAME,
    version=by_type(operand=1, int8=3, int16=3, bool=2, object=2),
    polynomial=True,
    category="shape",
    types=_NUMBERS | {"uint32", "bool", "complex64"},
)


def _range_shape(op: Op) -> list[Typed]:
    dtype = op.input(0).dtype
    bounds = [op.input(i).data for i in range(3)]
    if dtype.kind in "iu":
        known = [elements(op.input(i)) for i in range(3)]
        numbers = [None if part is None else part[0] for part in known]
    else:
        numbers = [None if data is None else data.reshape(-1)[0] for data in bounds]
    if any(number is None for number in numbers):
        return [((None,), dtype)]
    return [((_range_length(*numbers),), dtype)]


def _range_length(start: Any, limit: Any, delta: Any) -> int:
    if delta == 0 or (start > limit and delta > 0) or (start < limit and delta < 0):
        raise UnsupportedError(f"no range from {start} to {limit} in steps of {delta}")
    return math.ceil(abs((limit - start) / delta))


def _range(op: Op) -> NDArray[Any]:
    start, limit, delta = (values(op, i).reshape(-1)[0] for i in range(3))
    steps = np.full(_range_length(start, limit, delta), delta)
    steps[:1] = start
    return np.add.accumulate(steps)  # the kernel adds up too, so float errors agree


op(
    "RANGE",
    "start limit delta -> y",
    shape=_range_shape,
    fold=_range,
    version=by_type(int64=2),
    category="shape",
    types=frozenset({"float32", "int32", "int64"}),
    max_rank=0,
)


def _reversed(op: Op) -> list[Typed]:
    """The kernel mirrors neighbouring axes only."""
    axes = axes_of(op, 1)
    if not op.input(0).is_constant and axes and axes[-1] - axes[0] + 1 != len(axes):
        raise UnsupportedError(f"the axes {list(axes)} are not neighbours; reverse them one by one")
    return [(op.input(0).shape, op.input(0).dtype)]


def _reverse(op: Op) -> NDArray[Any]:
    return np.flip(values(op, 0), axes_of(op, 1))


op(
    "REVERSE_V2",
    "x axes -> y",
    shape=_reversed,
    fold=_reverse,
    layout=moves_input(1),
    quant=_SAME,
    version=by_type(int8=3, bool=2),
    polynomial=True,
    category="movement",
    types=_NUMBERS | {"bool"},
)


def _reverse_sequence(op: Op) -> NDArray[Any]:
    x, lengths = values(op, 0), values(op, 1)
    time = axis_of(int(op.options.get("seq_dim", 0)), x.ndim)
    batch = axis_of(int(op.options.get("batch_dim", 0)), x.ndim)
    y = np.moveaxis(x, (batch, time), (0, 1)).copy()
    for row, length in zip(y, lengths, strict=True):
        row[:length] = row[:length][::-1].copy()
    return np.moveaxis(y, (0, 1), (batch, time))


op(
    "REVERSE_SEQUENCE",
    "x lengths -> y",
    shape=same,
    fold=_reverse_sequence,
    layout=moves("seq_dim", "batch_dim"),
    quant=QuantRule(same=True, types=frozenset({"UINT8", "INT16"})),
    category="movement",
    types=_NUMBERS - {"int8"},
)
