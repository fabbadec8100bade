"""Sink TRANSPOSEs towards the outputs until they meet their inverses and vanish."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, sole_reader
from tqconv.ir.types import Shape
from tqconv.ops.emit import emit
from tqconv.ops.table import known, spec
from tqconv.passes.layout.groups import groups
from tqconv.passes.layout.through import (
    Perm,
    data_operands,
    identity,
    passed,
    permutation,
    put_behind,
    transposed,
)
from tqconv.passes.reshape import is_elementwise, reshaped
from tqconv.passes.rewrite import at, exact


@exact
@at("TRANSPOSE")
def compose_transposes(graph: Graph, op: Op) -> bool:
    """Join two permutations into one, and drop one that changes nothing.

    y = TRANSPOSE(x, p); z = TRANSPOSE(y, q)   ->   z = TRANSPOSE(x, p[q])
    """
    return _compose(graph, op)


def _compose(graph: Graph, op: Op) -> bool:
    outer = permutation(op)
    if outer is None:
        return False
    if not identity(outer) and permutation(made_by(op.inputs[0], "TRANSPOSE")) is None:
        return False
    graph.replace(op.output, transposed(graph, op.input(0), outer, op))
    return True


@exact
@at("SHAPE")
def shape_before_transpose(graph: Graph, op: Op) -> bool:
    """Read the sizes in the other order, where nothing else reads what is permuted.

    y = TRANSPOSE(x, p); s = SHAPE(y)   ->   t = SHAPE(x); s = GATHER(t, p)
    """
    before = made_by(op.inputs[0], "TRANSPOSE")
    perm = permutation(before)
    if before is None or perm is None or before.output in graph.outputs:
        return False
    if any(use.op.type != "SHAPE" for use in before.output.uses):
        return False
    names = (f"{op.output.name}/shape", f"{op.output.name}/gather")
    sizes = emit(graph, "SHAPE", before.input(0), name=names[0], source=op.source, **op.options)
    order = np.array(perm, np.int32)
    found = emit(graph, "GATHER", sizes, order, axis=0, name=names[1], source=op.source)
    graph.replace(op.output, found)
    return True


@exact
@at("TRANSPOSE")
def transpose_to_reshape(graph: Graph, op: Op) -> bool:
    """Reshape where only dimensions of size 1 move.

    y = TRANSPOSE(x: [1,1,1,8], [0,3,1,2])   ->   y = RESHAPE(x, [1,8,1,1])
    """
    perm, x = permutation(op), op.input(0)
    if perm is None or x.shape.count(None) > 1 or identity(perm):
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
    perm = _common_permutation(graph, op)
    way = passed(op, perm) if perm is not None else None
    if perm is None or way is None:
        return False
    put_behind(graph, op, perm, way)
    return True


@at("BATCH_MATMUL")
def transpose_in_product(graph: Graph, op: Op) -> bool:
    """Let the product read its second matrices across, where that is all, or all but a RESHAPE.

    t = TRANSPOSE(w: [2,3,4], [0,2,1]); y = BATCH_MATMUL(x, t)
    ->   y = BATCH_MATMUL(x, w) {adj_y=true}
    """
    before = made_by(op.inputs[1], "TRANSPOSE")
    perm = permutation(before)
    if before is None or perm is None or len(perm) < 2:
        return False
    w, across = before.input(0), (*perm[:-2], perm[-1], perm[-2])
    kept = [k for k in across if w.shape[k] != 1]
    if kept != sorted(kept) or op.input(1).is_constant:
        return False
    if not identity(across):
        if w.shape.count(None) > 1:
            return False
        sizes, name = [w.shape[k] for k in across], f"{before.output.name}/across"
        w = reshaped(graph, w, sizes, name, before.source)
    graph.set_input(op, 1, w)
    op.options["adj_y"] = not op.options.get("adj_y", False)
    op.source = op.source.joined(before.source)
    return True


def _common_permutation(graph: Graph, op: Op) -> Perm | None:
    """Return the permutation through which the data inputs come.

    An input that comes straight joins if transposing it costs fewer bytes than what the others
    save.
    """
    straight, permuted = [], []
    for index in data_operands(op):
        tensor = op.input(index)
        perm = permutation(made_by(tensor, "TRANSPOSE"))
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


@at("FULLY_CONNECTED")
def transpose_in_dense(graph: Graph, op: Op) -> bool:
    """Order the columns of constant weights as the elements come without the permutation.

    y = RESHAPE(TRANSPOSE(x: [1,2,3,8], [0,3,1,2]), [1,48]); z = FULLY_CONNECTED(y, w: [5,48])
    ->   z = FULLY_CONNECTED(RESHAPE(x, [1,48]), w')
    """
    y, w = op.input(0), op.input(1)
    flat = made_by(y, "RESHAPE")
    before = made_by(flat.input(0), "TRANSPOSE") if flat is not None else None
    perm = permutation(before)
    if flat is None or before is None or perm is None or w.data is None or w.quant is not None:
        return False
    found = groups(before.output.shape, y.shape)
    if not found or found[-1][1][:1] != [y.rank - 1] or w.rank != 2:
        return False
    joined = found[-1][0]
    moved = [perm[k] for k in joined]
    stays = [k for k in range(len(perm)) if k not in joined and before.output.shape[k] != 1]
    sizes = [before.output.shape[k] or 0 for k in joined]
    apart = not stays or max([perm[k] for k in stays]) < min(moved)
    in_order = [perm[k] for k in stays] == sorted(perm[k] for k in stays)
    if 0 in sizes or not apart or not in_order or w.shape[1] != y.shape[-1]:
        return False
    order = np.argsort(moved)
    columns = w.data.reshape(-1, *sizes).transpose(0, *(1 + order)).reshape(w.data.shape)
    straight = reshaped(graph, before.input(0), y.shape, f"{y.name}/straight", flat.source)
    graph.set_input(op, 0, straight)
    graph.set_input(op, 1, graph.constant(f"{w.name}/columns", np.ascontiguousarray(columns)))
    op.source = op.source.joined(before.source)
    return True


@at()
def sink_flattened(graph: Graph, op: Op) -> bool:
    """Move permutations and what flattens them behind an operator that reads them alike.

    y = MUL(RESHAPE(TRANSPOSE(a, p), s), RESHAPE(TRANSPOSE(b, p), s))
    ->   y = RESHAPE(TRANSPOSE(MUL(a, b), p), s)
    """
    if not is_elementwise(op) or op.output.shape.count(None) > 1:
        return False
    data = [(i, t) for i, t in enumerate(op.inputs) if t is not None and t.rank > 0]
    moves = [_flattened(t, op.output.shape) for _, t in data]
    first, y = moves[0] if moves else None, op.output
    perm = permutation(first)
    if first is None or perm is None:
        return False
    inputs = list(op.inputs)
    for (index, _), move in zip(data, moves, strict=True):
        if move is None or permutation(move) != perm or move.output.shape != first.output.shape:
            return False
        inputs[index] = move.input(0)
    name = f"{y.name}/{op.type.lower()}"
    sunk = emit(graph, op.type, *inputs, name=name, source=op.source, **op.options)
    sunk.range = y.range
    back = transposed(graph, sunk, perm, op)
    graph.replace(y, reshaped(graph, back, y.shape, f"{y.name}/reshape", op.source))
    return True


def _flattened(tensor: Tensor, shape: Shape) -> Op | None:
    """Return the TRANSPOSE that a RESHAPE to this shape reads, or None."""
    flat = made_by(tensor, "RESHAPE")
    return made_by(flat.input(0), "TRANSPOSE") if flat and flat.output.shape == shape else None
