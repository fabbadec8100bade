"""Sink TRANSPOSEs towards the outputs until they meet their inverses and vanish.

The layout column of the operator table says how a permutation passes. With y = TRANSPOSE(x, perm),
element k of a per-dimension list for y belongs to dimension perm[k] of x.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, sole_reader, values_of
from tqconv.ops.emit import emit, finish
from tqconv.ops.spec import Layout
from tqconv.ops.table import known, spec
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at, exact

Perm = tuple[int, ...]


@exact
@at("TRANSPOSE")
def compose_transposes(graph: Graph, op: Op) -> bool:
    """Join two permutations into one, and drop one that changes nothing.

    y = TRANSPOSE(x, p); z = TRANSPOSE(y, q)   ->   z = TRANSPOSE(x, p[q])
    """
    return _compose(graph, op)


def _compose(graph: Graph, op: Op) -> bool:
    outer = permutation(op)
    before = made_by(op.inputs[0], "TRANSPOSE")
    inner = permutation(before) if before is not None else None
    if outer is None:
        return False
    if outer == tuple(range(len(outer))):
        graph.replace(op.output, op.input(0))
        return True
    if before is not None and inner is not None:
        joined = tuple(inner[k] for k in outer)
        y = _transposed(graph, before.input(0), joined, op)
        graph.replace(op.output, y)
        return True
    return False


@exact
@at("TRANSPOSE")
def transpose_to_reshape(graph: Graph, op: Op) -> bool:
    """Reshape where only dimensions of size 1 move.

    y = TRANSPOSE(x: [1,1,1,8], [0,3,1,2])   ->   y = RESHAPE(x, [1,8,1,1])
    """
    perm, x = permutation(op), op.input(0)
    if perm is None or x.shape.count(None) > 1 or perm == tuple(range(len(perm))):
        return False
    kept = [k for k in perm if x.shape[k] != 1]
    if kept != sorted(kept):
        return False
    sizes, name = [x.shape[k] for k in perm], f"{op.output.name}/reshape"
    graph.replace(op.output, reshaped(graph, x, sizes, name, op.source))
    return True


@at()
def sink_transposes(graph: Graph, op: Op) -> bool:
    """Move a permutation behind the operator that reads it.

    y = TRANSPOSE(x, p); z = RELU(y)   ->   t = RELU(x); z = TRANSPOSE(t, p)

    One that meets another on the way is composed with it at once: a tower of them is done in one
    walk and not in as many as it has floors.
    """
    if op.type == "TRANSPOSE":
        return _compose(graph, op)
    if not op.outputs or not known(op.type) or spec(op.type).layout.kind == "opaque":
        return False
    layout = spec(op.type).layout
    perm = _common_permutation(graph, op, layout)
    return perm is not None and _sink(graph, op, layout, perm)


@at("RESHAPE")
def sink_below_units(graph: Graph, op: Op) -> bool:
    """Move a permutation behind a RESHAPE that only adds or drops dimensions of 1.

    y = RESHAPE(TRANSPOSE(x: [1,24,10], [0,2,1]), [1,10,1,24])
    ->   y = TRANSPOSE(RESHAPE(x, [1,24,10,1]), [0,2,3,1])
    """
    before = made_by(op.inputs[0], "TRANSPOSE")
    perm = permutation(before) if before is not None else None
    if before is None or perm is None or op.output.shape.count(None) > 1:
        return False
    x, y = before.input(0), op.output
    kept = [k for k in perm if x.shape[k] != 1]
    if [x.shape[k] for k in kept] != [d for d in y.shape if d != 1]:
        return False
    lead = next((i for i, d in enumerate(y.shape) if d != 1), 0)
    order = [*[-1] * lead, *sorted(kept), *[-1] * (y.rank - lead - len(kept))]
    sizes = [1 if k < 0 else x.shape[k] for k in order]
    straight = reshaped(graph, x, sizes, f"{y.name}/reshape", op.source)
    graph.replace(y, _transposed(graph, straight, _with_units(y, kept, order), before))
    return True


def _with_units(y: Tensor, kept: Sequence[int], order: Sequence[int]) -> Perm:
    """Return the permutation from the dimensions in `order`, -1 for a unit, to those of `y`."""
    others, units = iter(kept), (i for i, k in enumerate(order) if k < 0)
    return tuple(next(units) if d == 1 else order.index(next(others)) for d in y.shape)


@at("BATCH_MATMUL")
def transpose_in_product(graph: Graph, op: Op) -> bool:
    """Let the product read its second matrices across.

    t = TRANSPOSE(w: [2,3,4], [0,2,1]); y = BATCH_MATMUL(x, t)
    ->   y = BATCH_MATMUL(x, w) {adj_y=true}
    """
    before = made_by(op.inputs[1], "TRANSPOSE")
    perm = permutation(before) if before is not None else None
    if before is None or perm is None or len(perm) < 2:
        return False
    last = len(perm) - 1
    if perm != (*range(last - 1), last, last - 1) or op.input(1).is_constant:
        return False
    graph.set_input(op, 1, before.input(0))
    op.options["adj_y"] = not op.options.get("adj_y", False)
    op.source = op.source.joined(before.source)
    return True


def permutation(op: Op) -> Perm | None:
    """Return the constant permutation of a TRANSPOSE, or None."""
    values = values_of(op.inputs[1])
    return tuple(values) if values is not None else None


def _inverse(perm: Perm) -> Perm:
    return tuple(perm.index(k) for k in range(len(perm)))


def _transposed(graph: Graph, x: Tensor, perm: Perm, like: Op) -> Tensor:
    if perm == tuple(range(len(perm))):
        return x
    name = f"{like.output.name}/transpose"
    result: Tensor = emit(
        graph, "TRANSPOSE", x, np.array(perm, np.int32), name=name, source=like.source
    )
    return result


def _data_operands(op: Op, layout: Layout) -> list[int]:
    """Return the inputs that carry the layout; the others are axes, amounts or constants."""
    if layout.kind in ("moves_input", "rows_input"):
        return [0]
    return [i for i, t in enumerate(op.inputs) if t is not None and not t.is_constant]


def _common_permutation(graph: Graph, op: Op, layout: Layout) -> Perm | None:
    """Return the permutation through which the data inputs come.

    An input that comes straight joins if transposing it costs fewer bytes than what the others
    save.
    """
    straight, permuted = [], []
    for index in _data_operands(op, layout):
        tensor = op.input(index)
        before = made_by(tensor, "TRANSPOSE")
        perm = permutation(before) if before is not None else None
        if perm is None:
            straight.append(tensor)
        else:
            permuted.append((tensor, perm))
    perms = {perm for _, perm in permuted}
    if len(perms) != 1:
        return None
    perm = perms.pop()
    if any(t.rank != len(perm) and not (t.is_static and t.size == 1) for t in straight):
        return None
    saved = sum(t.size for t, _ in permuted if sole_reader(graph, t) is op)
    if sum(t.size for t in straight) and sum(t.size for t in straight) + _sunk_size(op) > saved:
        return None
    return perm


def _sunk_size(op: Op) -> int:
    """Return the elements that a TRANSPOSE behind `op` moves; 0 if its readers undo it anyway."""
    if all(use.op.type == "TRANSPOSE" for use in op.output.uses) and op.output.uses:
        return 0
    return op.output.size


def _sink(graph: Graph, op: Op, layout: Layout, perm: Perm) -> bool:
    rewritten = _REWRITES[layout.kind](op, layout, perm)
    if rewritten is None:
        return False
    constants, options, out_perm = rewritten
    inputs: list[Any] = []
    data = set(_data_operands(op, layout))
    for index, tensor in enumerate(op.inputs):
        if index in constants:
            inputs.append(
                graph.constant(
                    f"{op.output.name}/{spec(op.type).operands.name(index)}", constants[index]
                )
            )
        elif index in data and tensor is not None and tensor.rank == len(perm):
            inputs.append(_transposed(graph, tensor, _inverse(perm), op))
        else:
            inputs.append(tensor)
    moved = Op(op.type, tuple(inputs), (), options, op.source)
    made = finish(
        graph,
        spec(op.type),
        moved,
        spec(op.type).shape(moved),
        f"{op.output.name}/{op.type.lower()}",
    )
    made = made if isinstance(made, tuple) else (made,)
    for old, new in zip(op.outputs, made, strict=True):
        new.range = old.range
        graph.replace(old, _transposed(graph, new, out_perm, op))
    return True


Rewritten = tuple[dict[int, NDArray[Any]], dict[str, Any], Perm]


def _elementwise(op: Op, layout: Layout, perm: Perm) -> Rewritten | None:
    if any(t.rank != len(perm) for t in op.outputs):
        return None
    constants = {}
    for index, tensor in enumerate(op.inputs):
        if tensor is None or tensor.data is None or tensor.data.size == 1:
            continue
        if tensor.rank > len(perm):
            return None
        full = tensor.data.reshape([1] * (len(perm) - tensor.rank) + list(tensor.data.shape))
        constants[index] = np.ascontiguousarray(full.transpose(_inverse(perm)))
    return constants, dict(op.options), perm


def _moves(op: Op, layout: Layout, perm: Perm) -> Rewritten | None:
    constants = {}
    for index, tensor in enumerate(op.inputs):
        if (
            tensor is not None
            and tensor.data is not None
            and tensor.rank == len(perm)
            and tensor.dtype.kind == "f"
        ):
            constants[index] = np.ascontiguousarray(tensor.data.transpose(_inverse(perm)))
        elif tensor is not None and tensor.data is not None and tensor.rank > 1:
            return None
    if any(t.rank != len(perm) for t in op.outputs):
        return None
    options = dict(op.options)
    for name in layout.where:
        options[str(name)] = perm[options.get(str(name), 0) % len(perm)]
    return constants, options, perm


def _moves_input(op: Op, layout: Layout, perm: Perm) -> Rewritten | None:
    index = int(layout.where[0])
    axes = values_of(op.inputs[index]) if index < len(op.inputs) else None
    if axes is None:
        return None
    axes = [a % len(perm) for a in axes]
    original = op.input(index)
    sizes = [d or 0 for d in original.shape]
    moved = np.array([perm[a] for a in axes], original.dtype).reshape(sizes)
    if op.output.rank == len(perm):
        return {index: moved}, dict(op.options), perm
    left = [perm[k] for k in range(len(perm)) if k not in axes]
    if len(left) != op.output.rank:
        return None
    return {index: moved}, dict(op.options), tuple(sorted(left).index(k) for k in left)


_MASKS = ("begin_mask", "end_mask")


def _rows_input(op: Op, layout: Layout, perm: Perm) -> Rewritten | None:
    if any(op.options.get(name) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")):
        return None
    constants = {}
    for where in layout.where:
        rows = op.inputs[int(where)] if int(where) < len(op.inputs) else None
        if rows is None or rows.data is None or rows.shape[:1] != (len(perm),):
            return None
        moved = np.empty_like(rows.data)
        moved[list(perm)] = rows.data
        constants[int(where)] = moved
    options = dict(op.options)
    for name in _MASKS:
        if options.get(name):
            options[name] = _permuted_bits(options[name], perm)
    return constants, options, perm


def _permuted_bits(mask: int, perm: Sequence[int]) -> int:
    return sum(1 << perm[k] for k in range(len(perm)) if mask >> k & 1)


_REWRITES = {
    "elementwise": _elementwise,
    "moves": _moves,
    "moves_input": _moves_input,
    "rows_input": _rows_input,
}
