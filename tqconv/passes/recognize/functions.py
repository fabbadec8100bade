"""Recognize functions of one tensor by what they compute, however they are spelled."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation
from tqconv.ops.emit import emit
from tqconv.ops.table import spec, those
from tqconv.passes.rewrite import at

FLOAT32 = np.dtype(np.float32)

LARGEST = 32
"""Operators in a spelling; GELU through the error function takes 19."""
MOST_BENDS = 4
"""Operators in a spelling that are no sums and products: TANH, EXP, a clamp, the halves of one."""
MOST_CANDIDATES = 4
"""Tensors that are taken for x: it stands near the product, nearer than what is made of it."""
POINTS = np.concatenate([np.linspace(-9, 9, 145), [-200, -50, -20, 20, 50, 200]]).astype(np.float32)
"""Where a spelling and a kernel are compared: around zero finely, and far out."""
FEW = POINTS[8::24]
"""Some of them, at which most of what is no spelling differs already."""
TOLERANCE = 4e-6
"""Relative to max(1, |x|): the error of long spellings; the two GELUs differ 50 times as much."""
SCALAR = those(lambda row: row.fold is not None and row.layout.kind == "elementwise")
BENDS = SCALAR - those(lambda row: row.polynomial or row.neutral is not None)
"""Operators that are no sums, products or powers: without one there is no such function."""


@at("MUL", "DIV")
def recognize_hard_swish(graph: Graph, op: Op) -> bool:
    """Read x * relu6(x + 3) / 6, in any order of its factors.

    y = MUL(MUL(x, RELU6(ADD(x, 3))), 1/6)   ->   y = HARD_SWISH(x)
    """
    return _recognize(graph, op, HARD_SWISH)


@at("MUL", "DIV")
def recognize_functions(graph: Graph, op: Op) -> bool:
    """Read hard swish, and x times the normal distribution function, exact or by its tanh.

    y = MUL(MUL(0.5, x), ADD(1, TANH(...)))   ->   y = GELU(x) {approximate=true}
    y = MUL(x, ADD(1, TANH(...)))   ->   y = MUL(GELU(x) {approximate=true}, 2)

    Simplifiers of ONNX move the half into the weights behind, into which the 2 goes then. Where a
    number may still follow, nothing is doubled.
    """
    half_follows = any(_is_scalar_function(use.op) for use in op.output.uses)
    return _recognize(graph, op, (*HARD_SWISH, *GELU, *(() if half_follows else TWICE_GELU)))


def _recognize(graph: Graph, op: Op, kernels: Sequence[Kernel]) -> bool:
    """Replace a spelling by the first of the kernels that computes the same."""
    if op.output.dtype != FLOAT32 or has_activation(op):
        return False
    for x in _candidates(op):
        spelling = _between(x, op)
        kernel = None if spelling is None else _computed_by(spelling, x, kernels)
        if spelling is None or kernel is None:
            continue
        source = op.source.joined(*(part.source for part in spelling))
        name = f"{op.output.name}/{kernel.type.lower()}"
        y = emit(graph, kernel.type, x, name=name, source=source, **dict(kernel.options))
        if kernel.factor != 1:
            factor = np.array(kernel.factor, FLOAT32)
            y = emit(graph, "MUL", y, factor, name=f"{op.output.name}/mul", source=source)
        graph.replace(op.output, y)
        return True
    return False


def _candidates(op: Op) -> list[Tensor]:
    """Return the tensors near a product that it depends on more than once, the nearest first.

    None where sums and products alone are near; `LARGEST` operators are looked at.
    """
    found: list[Tensor] = []
    seen = {id(op)}
    waiting = deque([op])
    bends = False
    while waiting:
        current = waiting.popleft()
        bends = bends or _bends(current)
        for tensor in current.inputs:
            if tensor is None or tensor.data is not None or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if len(tensor.uses) > 1 and tensor.shape == op.output.shape:
                found.append(tensor)
            producer = tensor.producer
            if producer is not None and id(producer) not in seen and len(seen) < 2 * LARGEST:
                seen.add(id(producer))
                if _is_scalar_function(producer):
                    waiting.append(producer)
    return found[:MOST_CANDIDATES] if bends else []


def _bends(op: Op) -> bool:
    return op.type in BENDS or has_activation(op)


def _between(x: Tensor, op: Op) -> list[Op] | None:
    """Return the operators from `x` to `op`, in order, if they read `x` and numbers only.

    None also where they are too many, or cannot be a kernel's function.
    """
    order: list[Op] = []
    seen: set[int] = set()
    bends = 0
    stack = [(op, False)]
    while stack:
        current, ready = stack.pop()
        if ready:
            order.append(current)
            continue
        if id(current) in seen:
            continue
        seen.add(id(current))
        bends += _bends(current)
        if len(seen) > LARGEST or bends > MOST_BENDS or not _is_scalar_function(current):
            return None
        stack.append((current, True))
        for tensor in current.inputs:
            if tensor is None or tensor is x or tensor.data is not None:
                continue
            if tensor.producer is None:
                return None
            stack.append((tensor.producer, False))
    return order if bends else None


def _is_scalar_function(op: Op) -> bool:
    """Whether an operator works element by element and its constants are single numbers."""
    if op.type not in SCALAR or len(op.outputs) != 1 or op.outputs[0].dtype != FLOAT32:
        return False
    return all(t is None or t.data is None or t.data.size == 1 for t in op.inputs)


def _computed_by(spelling: list[Op], x: Tensor, kernels: Sequence[Kernel]) -> Kernel | None:
    """Return the kernel that makes of all points what a spelling makes of them."""
    for few in (True, False):
        points = FEW if few else POINTS
        with np.errstate(all="ignore"):
            made = _evaluate(spelling, x, points)
        if made is None or not np.all(np.isfinite(made)):
            return None
        bound = TOLERANCE * np.maximum(1, np.abs(points))
        kernels = [
            k for k in kernels if np.all(np.abs(made - _wanted(k, few=few)) <= k.factor * bound)
        ]
        if not kernels:
            return None
    return kernels[0]


def _evaluate(spelling: list[Op], x: Tensor, points: NDArray[Any]) -> NDArray[Any] | None:
    """Return what a spelling makes of the points, by the folds of the operator table."""
    values = {id(x): points}
    for op in spelling:
        inputs = tuple(
            t if t is None or t.is_constant else _constant(values[id(t)]) for t in op.inputs
        )
        fold = spec(op.type).fold
        assert fold is not None
        result = fold(Op(op.type, inputs, (), op.options))
        if not isinstance(result, np.ndarray) or result.shape != points.shape:
            return None
        values[id(op.output)] = result
    return values[id(spelling[-1].output)]


def _constant(array: NDArray[Any]) -> Tensor:
    return Tensor("points", tuple(array.shape), array.dtype, array)


class Kernel(NamedTuple):
    """An operator of one tensor, with its options by name, and by what its result is multiplied."""

    type: str
    options: tuple[tuple[str, Any], ...] = ()
    factor: float = 1


HARD_SWISH = (Kernel("HARD_SWISH"),)
GELU = tuple(Kernel("GELU", (("approximate", like_tanh),)) for like_tanh in (True, False))
TWICE_GELU = tuple(kernel._replace(factor=2) for kernel in GELU)


@cache
def _wanted(kernel: Kernel, *, few: bool) -> NDArray[Any]:
    """Return what a kernel makes of the points, by its fold."""
    fold = spec(kernel.type).fold
    assert fold is not None
    x = _constant(FEW if few else POINTS)
    made = fold(Op(kernel.type, (x,), (), dict(kernel.options)))
    return np.asarray(made) * np.float32(kernel.factor)
