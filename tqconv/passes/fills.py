"""Tensors that hold one number everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.dims import Dim, Origins, dim_origin
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, values_of
from tqconv.ops.emit import emit, infer
from tqconv.ops.spec import ELEMENTWISE
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import at, exact

Number = NDArray[Any]
STEPS = 8
"""Operators between a FILL and what it is read as; what layers write has up to four."""
WHOLE = 2**24
"""Up to here each whole number is one of float32, so that a sum of them is exact in any order."""


@exact
def uniform_as_scalar(graph: Graph) -> int:
    """Read the number itself where operands beside it have the shape already.

    z = SELECT_V2(c, x, FILL(SHAPE(x), 0))   ->   z = SELECT_V2(c, x, 0)

    Also of a RESHAPE of a FILL, the sum of one, or a step by a number.
    """
    origins: Origins = {}  # no rewrite of this page changes any
    filled = [op for op in graph.ops if len(op.outputs) == 1 and _uniform(op) is not None]
    return sum(graph.attempt(lambda _, op: _as_scalar(graph, op, origins), op) for op in filled)


def _as_scalar(graph: Graph, op: Op, origins: Origins) -> bool:
    value = _uniform(op) if op.output.uses else None
    if value is None:
        return False
    scalar = None
    for reader, index in list(op.output.uses):
        if not _is_spare(reader, op.output, op.output, origins):
            continue
        scalar = scalar or graph.constant(f"{op.output.name}/value", value)
        inputs = tuple(scalar if t is op.output else t for t in reader.inputs)
        if _keeps_types(reader, inputs):
            graph.set_input(reader, index, scalar)
    return scalar is not None and bool(scalar.uses)


def _uniform(op: Op | None, steps: int = STEPS) -> Number | None:
    """Return the number that all elements of a result are, or None."""
    if op is None or steps == 0 or len(op.outputs) != 1 or op.output.quant is not None:
        return None
    if op.type == "FILL":
        value = op.input(1).data
        return None if value is None else value.reshape(())
    if op.type == "RESHAPE":
        return _uniform(op.input(0).producer, steps - 1)
    if op.type in ("ADD", "MUL") and not has_activation(op):
        return _combined(op, steps - 1)
    if op.type != "SUM" or op.output.dtype != np.float32:
        return None
    axes, x = values_of(op.inputs[1]), op.input(0)
    if axes is None:
        return None
    sizes = [x.shape[axis] for axis in {axis % x.rank for axis in axes}]
    value = None if None in sizes else _uniform(x.producer, steps - 1)
    if value is None:
        return None
    total = value * math.prod(size or 0 for size in sizes)
    exact_sum = float(value).is_integer() and abs(total) < WHOLE
    return np.asarray(total, np.float32) if exact_sum else None


def _combined(op: Op, steps: int) -> Number | None:
    """Return what a sum or product of numbers that fill tensors fills its own with, or None."""
    sides = []
    for tensor in op.inputs:
        data = None if tensor is None else tensor.data
        single = data is not None and data.size == 1
        value = data.reshape(()) if data is not None and single else None
        if value is None and tensor is not None and data is None:
            value = _uniform(tensor.producer, steps)
        if value is None or value.dtype != np.float32:
            return None
        sides.append(value)
    first, second = sides
    return np.asarray(first + second if op.type == "ADD" else first * second, np.float32)


def _is_spare(reader: Op, operand: Tensor, filled: Tensor, origins: Origins) -> bool:
    """Whether an operator works element by element on something of the shape of what is filled.

    operand: what of it is made of that.
    """
    if not known(reader.type) or spec(reader.type).layout is not ELEMENTWISE:
        return False
    others = [t for t in reader.inputs if t is not None and t is not operand]
    return any(not t.is_constant and _has_shape_of(t, filled, origins) for t in others)


def _has_shape_of(tensor: Tensor, filled: Tensor, origins: Origins) -> bool:
    if tensor.shape != filled.shape:
        return False
    return all(
        size is not None
        or dim_origin(Dim(filled, axis), origins) == dim_origin(Dim(tensor, axis), origins)
        for axis, size in enumerate(tensor.shape)
    )


def _keeps_types(reader: Op, inputs: tuple[Tensor | None, ...]) -> bool:
    """Whether what an operator makes of other operands looks the same; raises if it takes none."""
    made = infer(Op(reader.type, inputs, reader.outputs, reader.options, reader.source))
    own = [(t.shape, t.dtype) for t in reader.outputs]
    return [(tuple(shape), np.dtype(dtype)) for shape, dtype in made] == own


@exact
@at("ADD", "MUL")
def fill_at_once(graph: Graph, op: Op) -> bool:
    """Fill with what a number makes of the number that fills.

    y = MUL(FILL(s, 1), 0)   ->   y = FILL(s, 0)
    """
    fill = made_by(op.inputs[0], "FILL") or made_by(op.inputs[1], "FILL")
    value = _uniform(op)
    if fill is None or value is None or fill.output.shape != op.output.shape:
        return False
    if not all(t is fill.output or (t is not None and t.size == 1) for t in op.inputs):
        return False
    name = f"{op.output.name}/filled"
    graph.replace(op.output, emit(graph, "FILL", fill.input(0), value, name=name, source=op.source))
    return True


@exact
def drop_widening(graph: Graph) -> int:
    """Leave out what only widens an operand, where another has its shape already.

    m = LOGICAL_AND(FILL(SHAPE(x), true), b); y = SELECT_V2(m, x, c)   ->   y = SELECT_V2(b, x, c)
    """
    origins: Origins = {}
    idle = [op for op in graph.ops if _neutral(op) is not None]
    return sum(graph.attempt(lambda _, op: _narrowed(graph, op, origins), op) for op in idle)


def _neutral(op: Op) -> float | None:
    return spec(op.type).neutral if known(op.type) and len(op.inputs) == 2 else None


def _narrowed(graph: Graph, op: Op, origins: Origins) -> bool:
    if has_activation(op) or not op.outputs or op.output.producer is not op:
        return False
    changed = False
    for place in (0, 1) if spec(op.type).commutes else (1,):
        value, other = _uniform(op.input(place).producer), op.input(1 - place)
        if value is None or value != _neutral(op) or other.dtype != op.output.dtype:
            continue
        for reader, index in list(op.output.uses):
            if not _is_spare(reader, op.output, op.input(place), origins):
                continue
            inputs = tuple(other if t is op.output else t for t in reader.inputs)
            if _keeps_types(reader, inputs):
                graph.set_input(reader, index, other)
                changed = True
    return changed


@exact
@at("SELECT_V2")
def choose_known(graph: Graph, op: Op) -> bool:
    """Take what a condition chooses that is the same everywhere and known.

    y = SELECT_V2(EQUAL(FILL(s, 64), 0), 0, x)   ->   y = x
    """
    flags = _known(op.input(0))
    if flags is None or flags.size == 0 or flags.any() != flags.all():
        return False
    chosen = op.input(1 if flags.any() else 2)
    if chosen.shape != op.output.shape or chosen.is_constant or op.output in graph.outputs:
        return False
    others = [t for t in op.inputs if t is not None and t is not chosen and None in t.shape]
    origins: Origins = {}
    if None in chosen.shape and not all(_has_shape_of(t, chosen, origins) for t in others):
        return False
    graph.replace(op.output, chosen)
    return True


def _known(flags: Tensor) -> Number | None:
    """Return booleans that a constant holds, or the comparison of a number that fills a tensor."""
    if flags.data is not None:
        return flags.data
    equal = made_by(flags, "EQUAL")
    if equal is None:
        return None
    sides = [_uniform(t.producer) if t.data is None else t.data for t in map(equal.input, (0, 1))]
    first, second = sides
    return None if first is None or second is None else np.asarray(first == second)


@at("DIV")
def average(graph: Graph, op: Op) -> bool:
    """Divide a sum by the number of its terms as MEAN does.

    y = DIV(SUM(x: [2,64], [1]), 64)   ->   y = MEAN(x, [1])
    """
    total, count = made_by(op.inputs[0], "SUM"), op.input(1).data
    if total is None or count is None or count.size != 1 or has_activation(op):
        return False
    axes, x = values_of(total.inputs[1]), total.input(0)
    sizes = None if axes is None else [x.shape[axis] for axis in {axis % x.rank for axis in axes}]
    if not sizes or None in sizes or x.dtype != np.float32:
        return False
    if op.output.shape != total.output.shape or len(total.output.uses) != 1:
        return False
    if math.prod(size or 0 for size in sizes) != float(count.reshape(-1)[0]):
        return False
    name, source = f"{op.output.name}/mean", op.source.joined(total.source)
    y = emit(graph, "MEAN", x, total.input(1), name=name, source=source, **total.options)
    graph.replace(op.output, y)
    return True
