"""What an operator asks of its operands before it computes: element types, ranks, sizes.

The operands of a row have roles. Those that carry data share one element type. Those that count or
point (axes, sizes, indices) have a name in `INDICES`, which says what kernels read there; a row
whose kernel reads more or less says so in its column `takes`. `emit` asks for both, so no handler
and no pass can write an operator whose operands LiteRT refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import RESOURCE, STRING, VARIANT, numpy_name
from tqconv.ops.spec import INDEX, OpSpec, Takes

_ONE = Takes(INDEX, size=1)
_LIST = Takes(INDEX, ranks=(1,))
_PAIRS = Takes(INDEX, ranks=(2,))
_ANY_SHAPE = Takes(INDEX)

INDICES: Mapping[str, Takes] = {
    "axes": Takes(INDEX, ranks=(0, 1), flat=True),
    "axis": _ONE,
    "begin": _LIST,
    "block": _LIST,
    "count": Takes(INDEX, ranks=(0, 1), size=1),
    "crops": _PAIRS,
    "depth": _ONE,
    "dims": _LIST,
    "end": _LIST,
    "fft_length": Takes(INDEX, ranks=(1,), size=2),
    "ids": _ANY_SHAPE,
    "indices": _ANY_SHAPE,
    "k": _ONE,
    "lengths": _LIST,
    "max_output_size": Takes(INDEX, ranks=(0,)),
    "multiples": _LIST,
    "paddings": _PAIRS,
    "perm": _LIST,
    "shape": _LIST,
    "size": _LIST,
    "sizes": _LIST,
    "start": _LIST,
    "strides": _LIST,
}
"""Operands that count or point, which never have the type of the data, and what most kernels take.

Types, ranks and sizes here and in the rows are measured with LiteRT 2.3.0: tests/test_operands.py.
"""

DATA = Takes(data=True)

HANDLES = frozenset({RESOURCE, VARIANT})
"""Element types of handles and of lists that have no elements yet: nothing computes with them."""


def takes(row: OpSpec, name: str) -> Takes:
    """Return what an operand must be."""
    base = name if name in row.operands.names else row.operands.names[-1]
    return row.takes.get(base, INDICES.get(base, DATA))


def is_data(row: OpSpec, index: int) -> bool:
    """Whether an operand has the element type that the row's data share."""
    return takes(row, row.operands.name(index)).data


def data_operand(row: OpSpec) -> int:
    """Return the index of the first operand that carries data."""
    return next((i for i in range(len(row.operands.names)) if is_data(row, i)), 0)


def fitted(graph: Graph, row: OpSpec, op: Op) -> tuple[Tensor | None, ...]:
    """Return the operands with integer constants in a type that the kernel reads.

    How wide an axis or a size is stored is an accident of the source model.
    """
    named = ((takes(row, row.operands.name(i)), t) for i, t in enumerate(op.inputs))
    return tuple(t if t is None else _fitted(graph, wanted, t) for wanted, t in named)


def _fitted(graph: Graph, wanted: Takes, tensor: Tensor) -> Tensor:
    if tensor.data is None or tensor.dtype.kind not in "iu" or tensor.quant is not None:
        return tensor
    if (
        wanted.types is None
        or "int32" not in wanted.types
        or numpy_name(tensor.dtype) in wanted.types
    ):
        return tensor
    narrow = tensor.data.astype(np.int32)
    same = np.array_equal(narrow.astype(np.int64), tensor.data)
    return graph.constant(f"{tensor.name}/int32", narrow) if same else tensor


def check_operands(row: OpSpec, op: Op) -> None:
    """Raise UnsupportedError where types, ranks or sizes of operands do not fit the operator.

    Integers that stand for reals are left to the rules of quantization.
    """
    first: tuple[str, Tensor] | None = None
    for name, tensor in named(row, op):
        wanted = takes(row, name)
        _check_one(name, tensor, wanted, _foldable(wanted))
        if not wanted.data:
            continue
        if tensor.dtype in HANDLES:
            raise UnsupportedError(f"{op.type} cannot read '{tensor.name}', which holds no numbers")
        if tensor.quant is not None:
            return
        first = (name, tensor) if first is None else first
        if tensor.dtype != first[1].dtype:
            raise UnsupportedError(
                f"operand `{first[0]}` ('{first[1].name}') is {_type(first[1])}, "
                f"`{name}` ('{tensor.name}') is {_type(tensor)}; {op.type} takes one type",
                hint="cast one of them in the model",
            )


def check_kernel(row: OpSpec, op: Op) -> None:
    """Raise UnsupportedError where the kernel cannot read an operand although the row can fold it.

    Widths of integers, and strings.
    """
    for name, tensor in named(row, op):
        wanted = takes(row, name)
        _check_one(name, tensor, wanted, wanted.types)
        if wanted.data and tensor.dtype == STRING and not row.strings:
            raise UnsupportedError(f"{op.type} has no kernel for strings ('{tensor.name}')")


def named(row: OpSpec, op: Op) -> Iterator[tuple[str, Tensor]]:
    """Yield the operands that an operator has, and what its row calls them."""
    return ((row.operands.name(i), t) for i, t in enumerate(op.inputs) if t is not None)


WHOLE = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def _foldable(wanted: Takes) -> frozenset[str] | None:
    """Return the types that a fold reads: integers of any width."""
    if wanted.types is None or not wanted.types <= WHOLE:
        return wanted.types
    return WHOLE


def _check_one(name: str, tensor: Tensor, wanted: Takes, types: frozenset[str] | None) -> None:
    if types is not None and numpy_name(tensor.dtype) not in types:
        words = "an integer" if types == WHOLE else " or ".join(sorted(types))
        raise UnsupportedError(
            f"operand `{name}` ('{tensor.name}') is {_type(tensor)}, not {words}"
        )
    if wanted.ranks is not None and tensor.rank not in wanted.ranks:
        ranks = " or ".join(map(str, wanted.ranks))
        raise UnsupportedError(
            f"operand `{name}` ('{tensor.name}') has rank {tensor.rank}, not {ranks}"
        )
    if wanted.size is not None and tensor.is_static and tensor.size != wanted.size:
        raise UnsupportedError(
            f"operand `{name}` ('{tensor.name}') has {tensor.size} elements, not {wanted.size}"
        )


def _type(tensor: Tensor) -> str:
    return "string" if tensor.dtype == STRING else numpy_name(tensor.dtype)
