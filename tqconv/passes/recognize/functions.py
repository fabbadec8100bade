"""Recognize functions of one tensor by what they compute, however they are spelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation
from tqconv.ops.emit import emit
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import at

FLOAT32 = np.dtype(np.float32)

LARGEST = 32
"""Operators in a spelling; GELU through the error function takes 19."""
POINTS = np.concatenate([np.linspace(-9, 9, 145), [-200, -50, -20, 20, 50, 200]]).astype(np.float32)
"""Where a spelling and a kernel are compared: around zero finely, and far out."""
TOLERANCE = 4e-6
"""Relative to max(1, |x|): the error of long spellings; the two GELUs differ 50 times as much."""


@at("MUL", "DIV")
def recognize_hard_swish(graph: Graph, op: Op) -> bool:
    """Read x * relu6(x + 3) / 6, in any order of its factors.

    y = MUL(MUL(x, RELU6(ADD(x, 3))), 1/6)   ->   y = HARD_SWISH(x)
    """
    return _recognize(graph, op, HARD_SWISH)


@at("MUL", "DIV")
def recognize_gelu(graph: Graph, op: Op) -> bool:
    """Read x times the normal distribution function, exact or by its tanh.

    y = MUL(MUL(0.5, x), ADD(1, TANH(...)))   ->   y = GELU(x) {approximate=true}
    """
    return _recognize(graph, op, GELU)


def _recognize(graph: Graph, op: Op, kernels: Sequence[Kernel]) -> bool:
    """Replace a spelling by the first of the kernels that computes the same."""
    if op.output.dtype != FLOAT32 or has_activation(op):
        return False
    for x in _candidates(op):
        spelling = _between(x, op)
        got = None if spelling is None else _evaluate(spelling, x)
        if spelling is None or got is None:
            continue
        for kernel in kernels:
            if _equal(got, kernel.values):
                source = op.source.joined(*(part.source for part in spelling))
                name = f"{op.output.name}/{kernel.type.lower()}"
                y = emit(graph, kernel.type, x, name=name, source=source, **kernel.options)
                graph.replace(op.output, y)
                return True
    return False


def _candidates(op: Op) -> Iterator[Tensor]:
    """Yield the tensors near a product that it depends on more than once, the nearest first."""
    seen: set[int] = set()
    frontier = [t for t in op.inputs if t is not None and not t.is_constant]
    for _ in range(LARGEST):
        following: list[Tensor] = []
        for tensor in frontier:
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if len(tensor.uses) > 1 and tensor.shape == op.output.shape:
                yield tensor
            if tensor.producer is not None and _is_scalar_function(tensor.producer):
                following += [t for t in tensor.producer.inputs if t is not None]
        frontier = [t for t in following if not t.is_constant]


def _between(x: Tensor, op: Op) -> list[Op] | None:
    """Return the operators from `x` to `op`, in order, if they read `x` and numbers only."""
    order: list[Op] = []
    state: dict[int, bool] = {}
    stack = [(op, False)]
    while stack:
        current, ready = stack.pop()
        if ready:
            order.append(current)
            continue
        if id(current) in state:
            continue
        state[id(current)] = True
        if not _is_scalar_function(current) or len(state) > LARGEST:
            return None
        stack.append((current, True))
        for tensor in current.inputs:
            if tensor is None or tensor is x or tensor.is_constant:
                continue
            if tensor.producer is None:
                return None
            stack.append((tensor.producer, False))
    return order


def _is_scalar_function(op: Op) -> bool:
    """Whether an operator works element by element and its constants are single numbers."""
    if not known(op.type) or len(op.outputs) != 1 or op.output.dtype != FLOAT32:
        return False
    row = spec(op.type)
    numbers = all(t is None or t.data is None or t.size == 1 for t in op.inputs)
    return row.fold is not None and row.layout.kind == "elementwise" and numbers


def _evaluate(spelling: list[Op], x: Tensor) -> NDArray[Any] | None:
    """Return what a spelling makes of the points, by the folds of the operator table."""
    values = {id(x): POINTS}
    for op in spelling:
        inputs = tuple(
            t if t is None or t.is_constant else _constant(values[id(t)]) for t in op.inputs
        )
        fold = spec(op.type).fold
        assert fold is not None
        with np.errstate(all="ignore"):
            result = fold(Op(op.type, inputs, (), op.options))
        if not isinstance(result, np.ndarray) or result.shape != POINTS.shape:
            return None
        values[id(op.output)] = result
    return values[id(spelling[-1].output)]


def _constant(array: NDArray[Any]) -> Tensor:
    return Tensor("points", tuple(array.shape), array.dtype, array)


def _equal(got: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    if got is None or not np.all(np.isfinite(got)):
        return False
    return bool(np.all(np.abs(got - wanted) <= TOLERANCE * np.maximum(1, np.abs(POINTS))))


@dataclass(frozen=True)
class Kernel:
    """An operator of one tensor, and what it makes of the points."""

    type: str
    options: Mapping[str, Any]
    values: NDArray[Any]

    @staticmethod
    def of(type: str, **options: Any) -> Kernel:
        """Evaluate an operator by its fold."""
        fold = spec(type).fold
        assert fold is not None
        made = fold(Op(type, (_constant(POINTS),), (), dict(options)))
        return Kernel(type, options, np.asarray(made))


HARD_SWISH = (Kernel.of("HARD_SWISH"),)
GELU = (Kernel.of("GELU", approximate=True), Kernel.of("GELU", approximate=False))
