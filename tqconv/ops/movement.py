"""Tensors whose elements move: permuted, padded, mirrored, repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, counted, shaped
from tqconv.ir.graph import Op
from tqconv.ops import stops
from tqconv.ops.rules import (
    axes_of,
    axis_of,
    elements_or_unknown,
    has_shape,
    not_negative,
    values,
    with_numpy,
)
from tqconv.ops.spec import (
    INDEX,
    INSISTS,
    MOVED,
    NUMBERS,
    ONE_OF_DATA,
    SAME,
    WIDE_INDEX,
    QuantRule,
    Takes,
    Typed,
    by_type,
    moves,
    moves_input,
    op,
    rows_input,
)

_AMOUNTS = Takes(WIDE_INDEX, ranks=(2,))
# Ranks are measured with LiteRT 2.3.0, as element types are; rows without take whatever loads.


def _transposed(op: Op) -> list[Typed]:
    x, perm = op.input(0), op.input(1).data
    if perm is None:
        return [((None,) * x.rank, x.dtype)]
    axes = [axis_of(int(a), x.rank) for a in perm.reshape(-1)]
    if sorted(axes) != list(range(x.rank)):
        raise UnsupportedError(f"{axes} is not a permutation of the axes of {shaped(x.shape)}")
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
    quant=SAME,
    version=_transpose_version,
    polynomial=True,
    copies="permuted",
    category="movement",
    max_rank=MOVED,
)


def _padding(op: Op) -> list[tuple[int | None, int | None]]:
    rank = op.input(0).rank
    has_shape(op.input(1), (rank, 2))
    known = elements_or_unknown(op.input(1), 2 * rank)
    not_negative(known, "paddings")
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
        quant=INSISTS if name == "PADV2" else SAME,
        version=_pad_version,
        polynomial=True,
        copies="filled",
        category="movement",
        types=NUMBERS | {"bool"},
        takes={"paddings": _AMOUNTS, "value": ONE_OF_DATA},
        max_rank=5,
    )


def _mirrored(op: Op) -> list[Typed]:
    """There is no more to mirror than the tensor has; REFLECT leaves out the border itself."""
    kept = 0 if op.options.get("mode", "REFLECT") == "SYMMETRIC" else 1
    for size, pair in zip(op.input(0).shape, _padding(op), strict=True):
        if size is not None and any(d is not None and d > max(0, size - kept) for d in pair):
            raise UnsupportedError(f"mirrored paddings {list(pair)} of a size of {size}")
    return _padded(op)


def _mirror(op: Op) -> NDArray[Any]:
    symmetric = op.options.get("mode", "REFLECT") == "SYMMETRIC"
    amounts = values(op, 1).astype(np.int64)
    return np.pad(values(op, 0), amounts, mode="symmetric" if symmetric else "reflect")


op(
    "MIRROR_PAD",
    "x paddings -> y",
    shape=_mirrored,
    fold=_mirror,
    layout=rows_input(1),
    quant=INSISTS,
    version=by_type(int8=2, int16=3),
    copies="chosen",
    category="movement",
    takes={"paddings": _AMOUNTS},
)


def _tiled(op: Op) -> list[Typed]:
    x = op.input(0)
    multiples = elements_or_unknown(op.input(1), x.rank)
    if len(multiples) != x.rank:
        raise UnsupportedError(
            f"{counted(len(multiples), 'multiple')} for a tensor of rank {x.rank}"
        )
    not_negative(multiples, "multiples")
    sizes = zip(x.shape, multiples, strict=True)
    return [(tuple(None if d is None or m is None else d * m for d, m in sizes), x.dtype)]


op(
    "TILE",
    "x multiples -> y",
    shape=_tiled,
    fold=with_numpy(np.tile),
    layout=rows_input(1),
    quant=SAME,
    version=by_type(int8=3, object=2),
    polynomial=True,
    copies="chosen",
    category="movement",
    takes={"multiples": Takes(WIDE_INDEX, ranks=(1,), flat=True)},
    strings=True,
)


def _reversed(op: Op) -> list[Typed]:
    """The kernel mirrors neighbouring axes only."""
    axes = axes_of(op, 1)
    if len(axes) < op.input(1).size:
        raise UnsupportedError(f"the axes {values(op, 1).tolist()} name one twice")
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
    stops=stops.no_axes,
    layout=moves_input(1),
    quant=SAME,
    version=by_type(int8=3, bool=2),
    polynomial=True,
    copies="permuted",
    category="movement",
    takes={"axes": Takes(INDEX, ranks=(1,))},
    types=NUMBERS | {"bool"},
    max_rank=MOVED,
)


def _sequences(op: Op) -> list[Typed]:
    x, rank = op.input(0), op.input(0).rank
    time = axis_of(int(op.options.get("seq_dim", 0)), rank)
    batch = axis_of(int(op.options.get("batch_dim", 0)), rank)
    if time == batch:
        raise UnsupportedError(f"axis {time} is both that of the batch and that of the sequences")
    has_shape(op.input(1), (x.shape[batch],))
    return [(x.shape, x.dtype)]


def _reverse_sequence(op: Op) -> NDArray[Any] | None:
    x, lengths = values(op, 0), values(op, 1)
    time = axis_of(int(op.options.get("seq_dim", 0)), x.ndim)
    batch = axis_of(int(op.options.get("batch_dim", 0)), x.ndim)
    if (lengths > x.shape[time]).any():
        return None
    y = np.moveaxis(x, (batch, time), (0, 1)).copy()
    for row, length in zip(y, lengths, strict=True):
        row[:length] = row[:length][::-1].copy()
    return np.moveaxis(y, (0, 1), (batch, time))


op(
    "REVERSE_SEQUENCE",
    "x lengths -> y",
    shape=_sequences,
    fold=_reverse_sequence,
    stops=stops.long_sequences,
    layout=moves("seq_dim", "batch_dim"),
    quant=QuantRule(same=True, types=frozenset({"UINT8", "INT16"})),
    copies="permuted",
    category="movement",
    takes={"lengths": Takes(WIDE_INDEX, ranks=(1,))},
    types=NUMBERS - {"int8"},
)
