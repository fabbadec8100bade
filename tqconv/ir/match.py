"""Questions that passes ask about the neighbours of an operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.arrays import same_bytes
from tqconv.ir.graph import Graph, Op, Tensor


class WithConstant(NamedTuple):
    """A binary operator between a tensor and a constant; `first`: the tensor is operand 0."""

    x: Tensor
    constant: NDArray[Any]
    first: bool


def with_constant(op: Op, kinds: str = "f", *, clamped: bool = False) -> WithConstant | None:
    """Split a binary operator into its tensor and its constant, or return None.

    `kinds`: numpy's letters of the constant's types that count; `clamped`: also of an operator that
    clamps its result, which is then more than the tensor and the constant make.
    """
    if len(op.inputs) != 2 or (has_activation(op) and not clamped):
        return None
    a, b = op.inputs
    if a is None or b is None or a.is_constant == b.is_constant:
        return None
    if a.quant is not None or b.quant is not None:
        return None  # what is stored is not the number that it stands for
    if b.data is not None:
        return WithConstant(a, b.data, True) if b.dtype.kind in kinds else None
    assert a.data is not None
    return WithConstant(b, a.data, False) if a.dtype.kind in kinds else None


def sole_reader(graph: Graph, tensor: Tensor) -> Op | None:
    """Return the only operator that reads a tensor, once, or None; the user reads outputs too."""
    if len(tensor.uses) != 1 or tensor in graph.outputs:
        return None
    return tensor.uses[0].op


def is_read(graph: Graph, tensor: Tensor) -> bool:
    """Whether an operator or the user reads a tensor."""
    return bool(tensor.uses) or tensor in graph.outputs


def made_by(tensor: Tensor | None, *types: str) -> Op | None:
    """Return the producer of a tensor when it has one of these types."""
    if tensor is None or tensor.producer is None or tensor.producer.type not in types:
        return None
    return tensor.producer


def is_scalar(tensor: Tensor | None, value: float, tolerance: float = 0.0) -> bool:
    """Whether a tensor is a constant whose elements all equal `value`, within `tolerance` of it."""
    if (
        tensor is None
        or tensor.data is None
        or tensor.data.size == 0
        or tensor.quant is not None
        or tensor.dtype.kind not in "fiu"
    ):
        return False
    return bool(np.all(np.abs(tensor.data - value) <= tolerance))


ACTIVATION = "fused_activation_function"
"""The option that says how an operator clamps its own result."""


def has_activation(op: Op) -> bool:
    """Whether the operator clamps its own result already."""
    return bool(op.options.get(ACTIVATION, "NONE") != "NONE")


def has_constant_rest(op: Op) -> bool:
    """Whether every operand behind the first is a constant, or left out."""
    return all(t is None or t.is_constant for t in op.inputs[1:])


def is_zero(tensor: Tensor) -> bool:
    """Whether a tensor is a constant of zeros alone."""
    return tensor.data is not None and not tensor.data.any()


def is_same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether two operands are equal constants, to the bit, or none of both is one."""
    if one is None or other is None:
        return one is other
    if one.data is None or other.data is None:
        return one.data is other.data
    alike = one.dtype == other.dtype and one.data.shape == other.data.shape
    return alike and same_bytes(one.data, other.data)


def of_type(graph: Graph, *types: str) -> Iterator[Op]:
    """Yield the operators of these types; the graph may be edited meanwhile."""
    for op in list(graph.ops):
        if op.type in types and (not op.outputs or op.outputs[0].producer is op):
            yield op


def one_and_exponential(total: Op) -> Op | None:
    """Return the EXP whose result a sum adds 1 to, or None."""
    if has_activation(total):
        return None
    for one, other in (total.inputs, total.inputs[::-1]):
        exponential = made_by(other, "EXP")
        if exponential is not None and is_scalar(one, 1.0):
            return exponential
    return None


def values_of(tensor: Tensor | None) -> list[int] | None:
    """Return a constant integer vector as a list, or None."""
    if tensor is None or tensor.data is None or tensor.dtype.kind not in "iu":
        return None
    if tensor.quant is not None:
        return None
    return [int(v) for v in tensor.data.reshape(-1)]
