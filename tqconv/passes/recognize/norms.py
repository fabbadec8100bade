"""Normalizations over statistics of their own, in the spelling that costs least."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.dims import Dim, described_dim, dim_origin
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, values_of
from tqconv.ir.types import Shape
from tqconv.ops.emit import Operand, emit
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at


class Scaled(NamedTuple):
    """y = x * factor + (offset - mean * factor), where mean is one of x."""

    x: Tensor
    mean: Tensor
    factor: Tensor
    offset: Tensor | None


@at("ADD", "SUB")
def center_before_scaling(graph: Graph, op: Op) -> bool:
    """Scale what x has beside its mean, as layers spell it; others shift what batch norm does.

    m = MEAN(x); v = MEAN(SQUARED_DIFFERENCE(x, m)); f = MUL(RSQRT(v), g);
    y = ADD(MUL(x, f), SUB(b, MUL(m, f)))                   (also SUB(MUL(x, f), MUL(m, f)))
    ->   d = SUB(x, m); v = MEAN(SQUARE(d)); y = ADD(MUL(MUL(d, RSQRT(v)), g), b)

    An operator less, g and b may go into what follows, and x - m keeps the digits that x shares
    with its mean. A product f that is smaller than x stays one.
    """
    found = next(_spelled(op), None)
    if found is None or (found.offset is None and has_activation(op)):
        return False
    x, mean, factor, offset = found
    add = _adding(graph, op)
    centered = add("SUB", x, mean)
    for use in list(mean.uses):
        other = use.op
        if other.type == "SQUARED_DIFFERENCE" and {other.input(0), other.input(1)} == {x, mean}:
            graph.replace(other.output, add("SQUARE", centered))
    product = made_by(factor, "MUL")
    apart = None if product is None or product.output.shape != x.shape else _apart(product)
    if apart is None:
        y = add("MUL", centered, factor)
    else:
        y = add("MUL", add("MUL", centered, apart[0]), apart[1])
    y = y if offset is None else add("ADD", y, offset, **op.options)
    if y.shape != op.output.shape:
        return False
    graph.replace(op.output, y)
    return True


def _adding(graph: Graph, op: Op) -> Callable[..., Tensor]:
    """Return what emits operators in the place of another, with its name and its source."""

    def add(type: str, *operands: Operand, **options: object) -> Tensor:
        name = f"{op.output.name}/{type.lower()}"
        made: Tensor = emit(graph, type, *operands, name=name, source=op.source, **options)
        return made

    return add


def _spelled(op: Op) -> Iterator[Scaled]:
    for first, second in _orders(op):
        product, offset, shift = made_by(first, "MUL"), None, made_by(second, "SUB", "MUL")
        if product is None or shift is None or has_activation(product) or has_activation(shift):
            continue
        if op.type == "ADD":
            if shift.type != "SUB":
                continue
            offset, shift = shift.input(0), made_by(shift.input(1), "MUL")
        elif first is not op.inputs[0]:
            continue
        if shift is None or shift.type != "MUL" or has_activation(shift):
            continue
        for x, factor in _orders(product):
            for mean, same in _orders(shift):
                made = made_by(mean, "MEAN")
                if made is None or same is not factor or made.input(0) is not x:
                    continue
                if made.options.get("keep_dims"):
                    yield Scaled(x, mean, factor, offset)


def _apart(product: Op) -> tuple[Tensor, Tensor] | None:
    """Return a factor and the weights that it is multiplied with, or None."""
    if has_activation(product):
        return None
    pairs = [(a, b) for a, b in _orders(product) if b.is_constant and not a.is_constant]
    return pairs[0] if pairs else None


def _orders(op: Op) -> Iterator[tuple[Tensor, Tensor]]:
    yield op.input(0), op.input(1)
    yield op.input(1), op.input(0)


MANY = 4096
"""Elements that one MEAN may add: it loses 3e-6 of their mean at most, of 20,000 6e-6 (measured
with LiteRT 2.3.0)."""


@at("MEAN")
def average_by_axes(graph: Graph, op: Op) -> bool:
    """Take statistics over many elements along one axis at a time.

    m = MEAN(x: [1,120,160,8], [1,2]); d = SUB(x, m)
    ->   m = MEAN(MEAN(x, [2]), [1]); d = SUB(x, m)      (also of SQUARE and SQUARED_DIFFERENCE)

    The kernel adds one element after the other in float32.
    """
    axes, x = values_of(op.inputs[1]), op.input(0)
    if axes is None or not op.options.get("keep_dims") or x.dtype != np.float32:
        return False
    along = sorted({axis % x.rank for axis in axes}, reverse=True)
    sizes = [x.shape[axis] for axis in along]
    count = math.prod(size or MANY + 1 for size in sizes)
    if sum(size != 1 for size in sizes) < 2 or count <= MANY or not _is_statistic(op):
        return False
    y = x
    for axis in along:
        only = np.array([axis], np.int32)
        name = f"{op.output.name}/axis"
        y = emit(graph, "MEAN", y, only, name=name, source=op.source, keep_dims=True)
    graph.replace(op.output, y)
    return True


def _is_statistic(op: Op) -> bool:
    """Whether a mean is taken from what it is the mean of, or is one of squares."""
    if made_by(op.input(0), "SQUARE", "SQUARED_DIFFERENCE") is not None:
        return True
    return any(
        use.op.type in ("SUB", "SQUARED_DIFFERENCE") and op.inputs[0] in use.op.inputs
        for use in op.output.uses
    )


@at("RESHAPE")
def normalize_as_it_stands(graph: Graph, op: Op) -> bool:
    """Normalize the last axes of what was reshaped for a kernel of pictures.

    r = RESHAPE(x: [n,t,8], [1,n*t,8,1]); d = SUB(r, MEAN(r, [0,2,3]))
    y = RESHAPE(MUL(d, RSQRT(ADD(MEAN(SQUARE(d)), e))), [n,t,8])
    ->   d = SUB(x, MEAN(x, [2])); y = MUL(d, RSQRT(ADD(MEAN(SQUARE(d)), e)))

    What was reshaped to x before is so again: of two RESHAPEs in a row one was left.
    """
    found = next(_normalized(op.input(0)), None)
    if found is None:
        return False
    rows, axes, epsilon = found
    reshape = made_by(rows, "RESHAPE")
    if reshape is None:
        return False
    x, y = reshape.input(0), op.output
    again = x.shape != y.shape and y.is_static and x.is_static
    if not again and not _is_back(op, x):
        return False
    along = _last_axes(y.shape, rows, axes)
    if along is None:
        return False
    if again:
        x = reshaped(graph, x, y.shape, f"{y.name}/reshape", op.source)
    add = _adding(graph, op)
    centered = add("SUB", x, add("MEAN", x, along, keep_dims=True))
    spread = add("MEAN", add("SQUARE", centered), along, keep_dims=True)
    root = add("RSQRT", add("ADD", spread, epsilon))
    graph.replace(op.output, add("MUL", centered, root))
    return True


def _normalized(y: Tensor) -> Iterator[tuple[Tensor, list[int], NDArray[Any]]]:
    """Yield what was divided by its deviation, the axes, and the epsilon, a number."""
    product = made_by(y, "MUL")
    if product is None or has_activation(product):
        return
    for centered, factor in _orders(product):
        difference, root = made_by(centered, "SUB"), made_by(factor, "RSQRT")
        total = None if root is None else made_by(root.input(0), "ADD")
        if difference is None or total is None:
            continue
        if has_activation(difference) or has_activation(total):
            continue
        x, first = difference.input(0), made_by(difference.input(1), "MEAN")
        for variance, epsilon in _orders(total):
            second = made_by(variance, "MEAN")
            if first is None or second is None or epsilon.data is None or epsilon.size != 1:
                continue
            axes = [values_of(mean.inputs[1]) for mean in (first, second)]
            kept = all(mean.options.get("keep_dims") for mean in (first, second))
            if not kept or axes[0] is None or axes[0] != axes[1] or first.input(0) is not x:
                continue
            if _is_square_of(second.input(0), centered, difference):
                yield x, [axis % x.rank for axis in axes[0]], epsilon.data.reshape(())


def _is_square_of(square: Tensor, centered: Tensor, difference: Op) -> bool:
    made = made_by(square, "SQUARE", "SQUARED_DIFFERENCE")
    if made is None:
        return False
    wanted = (centered,) if made.type == "SQUARE" else difference.inputs
    return made.inputs == tuple(wanted)


def _is_back(op: Op, x: Tensor) -> bool:
    """Whether a RESHAPE gives back the shape that `x` has."""
    y = op.output
    if x.shape != y.shape:
        return False
    open_axes = [axis for axis, size in enumerate(x.shape) if size is None]
    if len(open_axes) < 2:
        return True
    told = [described_dim(op.input(1), axis) for axis in open_axes]
    return all(
        dim is not None and dim_origin(dim) == dim_origin(Dim(x, axis))
        for dim, axis in zip(told, open_axes, strict=True)
    )


def _last_axes(shape: Shape, rows: Tensor, axes: Sequence[int]) -> NDArray[np.int32] | None:
    """Return the axes of a shape whose elements the last of `rows` hold, if `axes` are these."""
    wide = [axis for axis, size in enumerate(rows.shape) if size != 1]
    along = [axis for axis in wide if axis in axes]
    if not along or along != wide[-len(along) :]:
        return None
    sizes = [rows.shape[axis] for axis in along]
    wanted = None if None in sizes else math.prod(size or 0 for size in sizes)
    count = 1
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        if size is None or wanted is None:
            return None
        count *= size
        if count == wanted:
            return np.arange(axis, len(shape), dtype=np.int32)
    return None
