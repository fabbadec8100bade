"""Shapes: read, changed, and made into tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.arrays import repeated
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops import stops
from tqconv.ops.rules import (
    INT32,
    axis_of,
    constant_axis,
    count_type,
    elements,
    not_negative,
    values,
)
from tqconv.ops.spec import (
    DROPS,
    INDEX,
    INSERTS,
    INSISTS,
    NUMBERS,
    REGROUPS,
    SAME,
    SCALAR_OF_DATA,
    WIDE_INDEX,
    QuantRule,
    Takes,
    Typed,
    by_type,
    op,
    rows_input,
)

# Ranks are measured with LiteRT 2.3.0, as element types are; rows without take whatever loads.


def described_shape(tensor: Tensor) -> Shape:
    """Return what is known of the shape that an integer vector describes."""
    known = elements(tensor)
    if known is not None:
        if any(d is not None and d < -1 for d in known):
            raise UnsupportedError(f"'{tensor.name}' describes the shape {list(known)}")
        return known
    if tensor.rank != 1 or tensor.shape[0] is None:
        raise UnsupportedError(
            f"'{tensor.name}' describes a shape of unknown rank",
            hint="give the inputs of the model their shapes",
        )
    return (None,) * tensor.shape[0]


def _target(op: Op) -> Shape:
    """Return the wanted shape, -1 where it follows from the rest: input 1, else the option.

    The kernel reads a list, and takes the option where the operand is none.
    """
    if len(op.inputs) > 1 and op.inputs[1] is not None and op.input(1).rank == 1:
        return described_shape(op.input(1))
    if "new_shape" not in op.options:
        raise UnsupportedError("RESHAPE has neither a shape operand nor `new_shape`")
    return tuple(int(d) for d in op.options["new_shape"])


def _reshaped(op: Op) -> list[Typed]:
    """A single unknown size follows from the element count when the input has none."""
    x = op.input(0)
    target = _target(op)
    sizes: list[int | None] = [None if d == -1 else d for d in target]
    if target.count(-1) > 1:
        raise UnsupportedError(f"the shape {shaped(target)} leaves two sizes open")
    if -1 in target and 0 in target:  # LiteRT takes 1, whatever there is
        raise UnsupportedError(
            f"the open size of {shaped(target)} does not follow from no elements"
        )
    known = math.prod(d for d in sizes if d is not None)
    if sizes.count(None) == 1 and x.is_static and known:
        sizes[sizes.index(None)] = x.size // known
    if x.is_static and None not in sizes and math.prod(d or 0 for d in sizes) != x.size:
        raise UnsupportedError(f"{shaped(x.shape)} does not fit into {shaped(target)}")
    return [(tuple(sizes), x.dtype)]


def _reshape(op: Op) -> NDArray[Any]:
    return values(op, 0).reshape([-1 if d is None else d for d in _target(op)])


op(
    "RESHAPE",
    "x shape? -> y",
    shape=_reshaped,
    fold=_reshape,
    layout=REGROUPS,
    takes={"shape": Takes(INDEX, ranks=(1,), flat=True)},
    strings=True,
    quant=SAME,
    polynomial=True,
    copies="order",
    category="shape",
)


def _squeezed_axes(op: Op) -> tuple[int, ...]:
    x = op.input(0)
    axes = tuple(op.options.get("squeeze_dims", ()))
    if axes:
        return tuple(axis_of(int(a), x.rank) for a in axes)
    if not x.is_static:
        raise UnsupportedError(
            f"which of the sizes {shaped(x.shape)} are 1 is not known",
            hint="name the axes to squeeze",
        )
    return tuple(i for i, d in enumerate(x.shape) if d == 1)


def _squeezed(op: Op) -> list[Typed]:
    x, axes = op.input(0), _squeezed_axes(op)
    if any(x.shape[a] not in (1, None) for a in axes):
        raise UnsupportedError(f"cannot squeeze the axes {list(axes)} of {shaped(x.shape)}")
    return [(tuple(d for i, d in enumerate(x.shape) if i not in axes), x.dtype)]


def _squeeze(op: Op) -> NDArray[Any]:
    return np.squeeze(values(op, 0), _squeezed_axes(op))


op(
    "SQUEEZE",
    "x -> y",
    shape=_squeezed,
    fold=_squeeze,
    layout=DROPS,
    strings=True,
    quant=SAME,
    version=by_type(object=2),
    polynomial=True,
    copies="order",
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
    layout=INSERTS,
    strings=True,
    takes={"axis": Takes(WIDE_INDEX, size=1)},
    quant=INSISTS,
    polynomial=True,
    copies="order",
    category="shape",
)


def _shape_type(op: Op) -> np.dtype:
    if "out_type" not in op.options:
        raise UnsupportedError("SHAPE needs `out_type`: the schema's default is FLOAT32")
    return count_type(op, "out_type", "")


op(
    "SHAPE",
    "x -> y",
    shape=lambda op: [((op.input(0).rank,), _shape_type(op))],
    fold=lambda op: np.array(op.input(0).shape, _shape_type(op)),
    measures=True,
    quant=QuantRule(),
    strings=True,
    category="shape",
)
op(
    "RANK",
    "x -> y",
    shape=lambda op: [((), INT32)],
    fold=lambda op: np.array(op.input(0).rank, INT32),
    measures=True,
    quant=QuantRule(),
    strings=True,
    category="shape",
)


def _broadcast_to_shape(op: Op) -> list[Typed]:
    x, target = op.input(0), described_shape(op.input(1))
    own = (1,) * (len(target) - x.rank) + x.shape
    pairs = list(zip(target, own, strict=False))
    if len(own) != len(target) or any(None not in p and p[1] not in (1, p[0]) for p in pairs):
        raise UnsupportedError(f"{shaped(x.shape)} does not broadcast to {shaped(target)}")
    # A size other than 1 stays as it is, so it tells what an unknown one of the target must be.
    shape = tuple(size if want is None and size != 1 else want for want, size in pairs)
    return [(shape, x.dtype)]


def _broadcast_to(op: Op) -> NDArray[Any]:
    return np.broadcast_to(values(op, 0), [int(d) for d in values(op, 1)])


op(
    "BROADCAST_TO",
    "x shape -> y",
    shape=_broadcast_to_shape,
    fold=_broadcast_to,
    layout=rows_input(1),
    takes={"shape": Takes(WIDE_INDEX, ranks=(1,))},
    quant=SAME,
    version=by_type(2, int8=3, int16=3),
    polynomial=True,
    copies="chosen",
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
    takes=dict.fromkeys("ab", Takes(ranks=(1,), data=True)),
    polynomial=True,
    category="shape",
    types=frozenset({"int32", "int64"}),
    max_rank=1,
)


def _filled(op: Op) -> list[Typed]:
    shape = described_shape(op.input(0))
    not_negative(shape, "sizes")
    return [(shape, op.input(1).dtype)]


def _fill(op: Op) -> NDArray[Any]:
    value = values(op, 1)
    return repeated(value.reshape(()), [int(d) for d in values(op, 0)], value.dtype)


op(
    "FILL",
    "dims value -> y",
    shape=_filled,
    fold=_fill,
    takes={"dims": Takes(WIDE_INDEX, ranks=(1,)), "value": SCALAR_OF_DATA},
    strings=True,
    quant=INSISTS,
    version=by_type(operand=1, int8=3, int16=3, bool=2, object=2),
    polynomial=True,
    copies="filled",
    category="shape",
    types=NUMBERS | {"uint32", "bool", "complex64"},
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
    # In the type of the bounds, as the kernel: float32 may round to another length than float64.
    length: int = math.ceil(abs((limit - start) / delta))
    return length


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
    stops=stops.no_steps,
    takes=dict.fromkeys(("start", "limit", "delta"), SCALAR_OF_DATA),
    version=by_type(int64=2),
    category="shape",
    types=frozenset({"float32", "int32", "int64"}),
    max_rank=0,
)
