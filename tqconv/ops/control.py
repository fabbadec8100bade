"""Operators with bodies, with state, or with chance in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.errors import InternalError, UnsupportedError, counted
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import RESOURCE, Shape
from tqconv.ops.rules import FLOAT32, INT64, declared, elements
from tqconv.ops.spec import ANYTHING, INDEX, ShapeRule, Takes, Typed, op


def _body(op: Op, index: int) -> Graph:
    if index >= len(op.graphs):
        raise InternalError(f"{op.type} has {counted(len(op.graphs), 'graph')}", where=op.source)
    return op.graphs[index]


def _join(op: Op, one: Sequence[Tensor], other: Sequence[Tensor]) -> list[Typed]:
    """Return types that hold for either list: a dimension is known where both agree."""
    if len(one) != len(other):
        raise UnsupportedError(
            f"the branches of {op.type} have {len(one)} and {counted(len(other), 'result')}"
        )
    result: list[Typed] = []
    for a, b in zip(one, other, strict=True):
        if a.rank != b.rank or a.dtype != b.dtype:
            raise UnsupportedError(f"{a!r} and {b!r} cannot be one result of {op.type}")
        shape = tuple(i if i == j else None for i, j in zip(a.shape, b.shape, strict=True))
        result.append((shape, a.dtype))
    return result


def _if(op: Op) -> Sequence[Typed]:
    return _join(op, _body(op, 0).outputs, _body(op, 1).outputs)


def _while(op: Op) -> Sequence[Typed]:
    """A dimension stays known when the body returns what the loop was given."""
    return _join(op, [op.input(i) for i in range(len(op.inputs))], _body(op, 1).outputs)


def _nothing(op: Op) -> Sequence[Typed]:
    return []


def _always(shape: Shape, dtype: np.dtype) -> ShapeRule:
    return lambda op: [(shape, dtype)]


def _found(op: Op) -> Sequence[Typed]:
    return [(op.input(1).shape, op.input(2).dtype)]


def _drawn(op: Op) -> Sequence[Typed]:
    """Return the shape that the only input spells out, in float32."""
    tensor = op.input(0)
    known = elements(tensor)
    if known is None:
        length = tensor.shape[0] if tensor.rank == 1 else None
        if length is None:
            raise UnsupportedError(f"the rank that '{tensor.name}' gives is not known")
        known = (None,) * length
    return [(known, FLOAT32)]


def _multinomial(op: Op) -> Sequence[Typed]:
    """logits: [n, classes]; count: []; y: [n, count], int64 unless the output says int32."""
    logits, count = op.input(0), elements(op.input(1))
    if logits.rank != 2:
        raise UnsupportedError(f"'{logits.name}' has rank {logits.rank}, the kernel takes 2")
    dtype = op.outputs[0].dtype if op.outputs else INT64
    return [((logits.shape[0], count[0] if count else None), dtype)]


_PASSED = {
    "condition": Takes(frozenset({"bool"}), size=1),
    **dict.fromkeys(("xs", "handle", "value", "table", "keys", "default", "values"), ANYTHING),
}
"""What bodies and resources are given may be of many types."""

# CALL has no row: LiteRT registers no kernel for it.
_BODIES: dict[str, tuple[str, ShapeRule]] = {
    "IF": ("condition *xs -> *ys", _if),
    "WHILE": ("*xs -> *ys", _while),
    "CALL_ONCE": ("->", _nothing),
}
for _name, (_operands, _shape) in _BODIES.items():
    op(
        _name,
        _operands,
        shape=_shape,
        category="control",
        pure=False,
        takes=_PASSED,
        late_memory=_name != "CALL_ONCE",
    )

_STATE: dict[str, tuple[str, ShapeRule]] = {
    "VAR_HANDLE": ("-> handle", _always((), RESOURCE)),
    "READ_VARIABLE": ("handle -> y", declared),
    "ASSIGN_VARIABLE": ("handle value ->", _nothing),
    "HASHTABLE": ("-> table", _always((1,), RESOURCE)),
    "HASHTABLE_FIND": ("table keys default -> values", _found),
    "HASHTABLE_IMPORT": ("table keys values ->", _nothing),
    "HASHTABLE_SIZE": ("table -> count", _always((1,), INT64)),
}
for _name, (_operands, _shape) in _STATE.items():
    op(_name, _operands, shape=_shape, category="state", pure=False, takes=_PASSED)

_RANDOM: dict[str, tuple[str, ShapeRule]] = {
    "RANDOM_UNIFORM": ("shape -> y", _drawn),
    "RANDOM_STANDARD_NORMAL": ("shape -> y", _drawn),
    "MULTINOMIAL": ("logits count -> y", _multinomial),
}
for _name, (_operands, _shape) in _RANDOM.items():
    takes = {"count": Takes(INDEX, ranks=(0,)), "logits": Takes(frozenset({"float32"}))}
    op(_name, _operands, shape=_shape, category="random", pure=False, takes=takes)
