"""How a permutation passes an operator.

The layout column of the operator table says it. With y = TRANSPOSE(x, perm), element k of a
per-dimension list for y belongs to dimension perm[k] of x: y is the tensor as the graph has it, x
the straight one behind the permutation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, values_of
from tqconv.ops.emit import emit, finish
from tqconv.ops.operands import data_operand
from tqconv.ops.spec import DROPS, INSERTS, Layout
from tqconv.ops.table import known, spec
from tqconv.passes.layout.groups import open_groups, order_behind, regrouped
from tqconv.records import dataclass

Perm = tuple[int, ...]
RANKS = 6
"""Dimensions that LiteRT's TRANSPOSE takes."""
READERS = 16
"""Operators that are asked whether one of them makes the same permutation; `share_equal_ops` sees
what is behind."""


@dataclass(frozen=True)
class Passed:
    """An operator that reads the straight tensors.

    constants: operands that change, by position; rows: computed ones whose rows change places, and
    which stands where; perm: from its results to those of the operator as it was.
    """

    perm: Perm
    options: dict[str, Any]
    constants: dict[int, NDArray[Any]] = field(default_factory=dict)
    rows: dict[int, Perm] = field(default_factory=dict)


def permutation(op: Op | None) -> Perm | None:
    """Return the constant permutation of a TRANSPOSE, or None; axes may be counted from the end."""
    values = values_of(op.inputs[1]) if op is not None and op.type == "TRANSPOSE" else None
    return None if values is None else tuple(axis % len(values) for axis in values)


def inverse(perm: Sequence[int]) -> Perm:
    """Return the permutation that undoes another."""
    return tuple(perm.index(k) for k in range(len(perm)))


def identity(perm: Perm) -> bool:
    """Whether nothing moves."""
    return perm == tuple(range(len(perm)))


def same_order(tensor: Tensor, one: Perm, other: Perm) -> bool:
    """Whether two permutations differ in the places of dimensions of size 1 alone."""
    return straight_order(tensor, one) == straight_order(tensor, other)


def straight_order(tensor: Tensor, perm: Perm) -> list[int]:
    """Return the dimensions of the tensor, but those of 1, in the straight order."""
    return [k for k in inverse(perm) if tensor.shape[k] != 1]


def transposed(graph: Graph, x: Tensor, perm: Perm, like: Op) -> Tensor:
    """Return TRANSPOSE(x, perm), joined with the one that makes x."""
    before = made_by(x, "TRANSPOSE")
    inner = permutation(before)
    if before is not None and inner is not None:
        x, perm = before.input(0), tuple(inner[k] for k in perm)
    if identity(perm):
        return x
    name, order = f"{like.output.name}/transpose", np.array(perm, np.int32)
    result: Tensor = emit(graph, "TRANSPOSE", x, order, name=name, source=like.source)
    return result


def data_operands(op: Op) -> list[int]:
    """Return the inputs that carry the layout; the others are axes, amounts or constants.

    None of an operator of which nothing is known.
    """
    if not known(op.type):
        return []
    row = spec(op.type)
    if row.layout.kind in _SINGLE:
        return [data_operand(row)]
    return [i for i, t in enumerate(op.inputs) if t is not None and not t.is_constant]


def passed(op: Op, perm: Perm) -> Passed | None:
    """Return the operator behind which the permutation comes out, or None where it may not pass."""
    if not op.outputs or not known(op.type):
        return None
    layout = spec(op.type).layout
    rewrite = _REWRITES.get(layout.kind)
    return None if rewrite is None else rewrite(op, layout, perm)


def put_behind(graph: Graph, op: Op, perm: Perm, way: Passed) -> list[Tensor]:
    """Replace an operator by one that reads straight tensors, and permutations behind it.

    Returns its results as they are read now.
    """
    inputs: list[Any] = []
    data = set(data_operands(op))
    for index, tensor in enumerate(op.inputs):
        if index in way.constants:
            name = f"{op.output.name}/{spec(op.type).operands.name(index)}"
            inputs.append(graph.constant(name, way.constants[index]))
        elif tensor is not None and index in way.rows:
            inputs.append(_permuted_rows(graph, tensor, way.rows[index], op))
        elif index in data and tensor is not None and tensor.rank == len(perm):
            inputs.append(_straight(graph, tensor, inverse(perm), op))
        else:
            inputs.append(tensor)
    moved = Op(op.type, tuple(inputs), (), way.options, op.source)
    shapes = spec(op.type).shape(moved)
    made = finish(graph, spec(op.type), moved, shapes, f"{op.output.name}/{op.type.lower()}")
    results = []
    for old, new in zip(op.outputs, made if isinstance(made, tuple) else (made,), strict=True):
        new.range = old.range
        results.append(transposed(graph, new, way.perm, op))
        graph.replace(old, results[-1])
    return results


def _straight(graph: Graph, x: Tensor, perm: Perm, like: Op) -> Tensor:
    """Return TRANSPOSE(x, perm), also one that is there already."""
    for use in islice(x.uses, READERS):
        if permutation(use.op) == perm:
            return use.op.output
    return transposed(graph, x, perm, like)


def _permuted_rows(graph: Graph, rows: Tensor, order: Perm, like: Op) -> Tensor:
    """Return computed amounts for each dimension in another order."""
    pack = made_by(rows, "PACK")
    name = f"{like.output.name}/rows"
    if pack is not None and pack.input(0).rank == 0:
        operands, options = [pack.input(k) for k in order], pack.options
        made: Tensor = emit(graph, "PACK", *operands, name=name, source=like.source, **options)
        return made
    places = np.array(order, np.int32)
    made = emit(graph, "GATHER", rows, places, axis=0, name=name, source=like.source)
    return made


def _elementwise(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    if any(t.rank != len(perm) for t in op.outputs):
        return None
    constants = {}
    for index, tensor in enumerate(op.inputs):
        if tensor is None or tensor.data is None or tensor.data.size == 1:
            continue
        if tensor.rank > len(perm):
            return None
        full = tensor.data.reshape([1] * (len(perm) - tensor.rank) + list(tensor.data.shape))
        constants[index] = np.ascontiguousarray(full.transpose(inverse(perm)))
    return Passed(perm, dict(op.options), constants)


def _last(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    """What works along the last dimension does not see the others move."""
    return Passed(perm, dict(op.options)) if perm[-1:] == (len(perm) - 1,) else None


def _moves(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    constants = {}
    for index, tensor in enumerate(op.inputs):
        if tensor is None or tensor.data is None:
            continue
        if tensor.rank == len(perm) and tensor.dtype.kind == "f":
            constants[index] = np.ascontiguousarray(tensor.data.transpose(inverse(perm)))
        elif tensor.rank > 1:
            return None
    if any(t.rank != len(perm) for t in op.outputs):
        return None
    options = dict(op.options)
    for name in layout.where:
        options[str(name)] = perm[options.get(str(name), 0) % len(perm)]
    return Passed(perm, options, constants)


def _moves_input(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    index = int(layout.where[0])
    axes = values_of(op.inputs[index]) if index < len(op.inputs) else None
    if axes is None:
        return None
    axes = [a % len(perm) for a in axes]
    original = op.input(index)
    sizes = [d or 0 for d in original.shape]
    moved = np.array([perm[a] for a in axes], original.dtype).reshape(sizes)
    out = perm if op.output.rank == len(perm) else _without(perm, axes)
    return None if len(out) != op.output.rank else Passed(out, dict(op.options), {index: moved})


def _without(perm: Perm, axes: Sequence[int]) -> Perm:
    """Return what is left of a permutation when these dimensions of its result are gone."""
    left = [perm[k] for k in range(len(perm)) if k not in axes]
    return tuple(sorted(left).index(k) for k in left)


_MASKS = ("begin_mask", "end_mask", "shrink_axis_mask")


def _rows_input(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    if op.options.get("ellipsis_mask") or op.options.get("new_axis_mask"):
        return None
    constants, computed = {}, {}
    for where in map(int, layout.where):
        rows = op.inputs[where] if where < len(op.inputs) else None
        if rows is None or rows.shape[:1] != (len(perm),):
            return None
        if rows.data is None:
            computed[where] = inverse(perm)
        else:
            constants[where] = rows.data[list(inverse(perm))]
    options = dict(op.options)
    shrunk = options.get("shrink_axis_mask", 0)
    for name in _MASKS:
        if options.get(name):
            options[name] = _permuted_bits(options[name], perm)
    out = _without(perm, [k for k in range(len(perm)) if shrunk >> k & 1])
    if len(out) != op.output.rank:
        return None
    return Passed(out, options, constants, computed)


def _permuted_bits(mask: int, perm: Sequence[int]) -> int:
    return sum(1 << perm[k] for k in range(len(perm)) if mask >> k & 1)


def _gathers(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    """The dimensions of the indices stand where the axis was, in both orders."""
    if op.options.get("batch_dims", 0) or op.input(0).rank != len(perm):
        return None
    axis = op.options.get("axis", 0) % len(perm)
    rank = op.input(1).rank
    labels: list[tuple[int, int]] = []
    for k in range(len(perm)):
        labels += [(perm[k], i) for i in range(rank)] if k == axis else [(perm[k], 0)]
    straight = sorted(labels)
    options = {**op.options, "axis": perm[axis]}
    return Passed(tuple(straight.index(label) for label in labels), options)


def _regroups(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    """A RESHAPE whose groups of dimensions are together in both orders, or split known ones."""
    x, y = op.input(0), op.output
    if x.rank != len(perm) or y.rank > RANKS or not op.inputs[1:]:
        return None
    found = regrouped(x.shape, y.shape, perm)
    if found is None:
        parts = open_groups(x, y, op.inputs[1])
        order = None if parts is None else order_behind(parts, perm, y.rank)
        return None if order is None else Passed(inverse(order), {}, rows={1: tuple(order)})
    sizes, out = found
    target = np.array([-1 if d is None else d for d in sizes], np.int32)
    return Passed(out, {}, {1: target})


def _inserts(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    """A dimension of 1 comes first in the straight order, as those of a batch do."""
    where = int(layout.where[0])
    axes = values_of(op.inputs[where])
    if axes is None or op.input(0).rank != len(perm) or op.output.rank > RANKS:
        return None
    axis = axes[0] % op.output.rank
    out = [k + 1 for k in perm]
    out.insert(axis, 0)
    first = np.array(0, op.input(where).dtype).reshape([1] * op.input(where).rank)
    return Passed(tuple(out), dict(op.options), {where: first})


def _drops(op: Op, layout: Layout, perm: Perm) -> Passed | None:
    name, axes = str(layout.where[0]), _ones(op)
    if op.input(0).rank != len(perm) or op.output.rank != len(perm) - len(axes):
        return None
    options = {**op.options, name: sorted(perm[axis] for axis in axes)}
    return Passed(_without(perm, axes), options)


def _ones(op: Op) -> list[int]:
    """Return which dimensions of 1 an operator inserts or drops; none where it is another."""
    layout = spec(op.type).layout
    if layout == DROPS:
        return sorted({a % op.input(0).rank for a in op.options.get(str(layout.where[0]), ())})
    axes = values_of(op.inputs[int(layout.where[0])]) if layout == INSERTS else None
    return [] if axes is None else [axes[0] % op.output.rank]


def before_ones(op: Op, perm: Perm) -> Perm | None:
    """Return the permutation that comes out of an operator that inserts or drops ones as this."""
    x, axes = op.input(0), _ones(op)
    if x.rank == len(perm) - len(axes):
        return _without(perm, axes)
    if not axes or x.rank != len(perm) + len(axes):
        return None
    rest = iter(k + len(axes) for k in perm)
    return tuple(axes.index(k) if k in axes else next(rest) for k in range(x.rank))


_REWRITES = {
    "drops": _drops,
    "elementwise": _elementwise,
    "gathers": _gathers,
    "inserts": _inserts,
    "last": _last,
    "moves": _moves,
    "moves_input": _moves_input,
    "regroups": _regroups,
    "rows_input": _rows_input,
}
_SINGLE = frozenset(
    {"drops", "gathers", "inserts", "last", "moves_input", "regroups", "rows_input"}
)
"""Ways in which one operand carries the layout."""
