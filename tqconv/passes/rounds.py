"""What loops keep twice, keep for the last round alone, or compute anew in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    has_constant_rest,
    is_read,
    made_by,
    sole_reader,
    with_constant,
)
from tqconv.ops.emit import emit
from tqconv.ops.table import known, spec
from tqconv.passes.cleanup import identity_of, meaning_of
from tqconv.passes.recurrent.loops import is_increment, trip_count
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at, exact


@exact
@at("WHILE")
def share_variables(graph: Graph, op: Op) -> bool:
    """Keep once what two variables of a loop hold in every round.

    i, j, y = WHILE(0, 0, a) {i < n & j < n; i+1, j+1, f(y, x[j])}
    ->   i, y = WHILE(0, a) {i < n; i+1, f(y, x[i])}

    Variables are taken for equal that begin equal, until a round makes them differ.
    """
    condition, body = op.graphs
    classes = _numbered([identity_of(t) for t in op.inputs])
    while True:
        numbers = _values(body, classes)
        finer = _numbered(list(zip(classes, numbers, strict=True)))
        if finer == classes:
            break
        classes = finer
    changed = False
    first: dict[int, int] = {}
    for i, number in enumerate(classes):
        kept = first.setdefault(number, i)
        if kept == i or op.outputs[i].dtype != op.outputs[kept].dtype:
            continue
        for part in (condition, body):
            changed |= _read_instead(part, part.inputs[i], part.inputs[kept])
        changed |= _read_instead(graph, op.outputs[i], op.outputs[kept])
    return changed


def _numbered(keys: Sequence[Any]) -> list[int]:
    """Return for each key the place of the first that equals it."""
    first: dict[Any, int] = {}
    return [first.setdefault(key, i) for i, key in enumerate(keys)]


def _values(body: Graph, classes: Sequence[int]) -> list[object]:
    """Return what tells the values that a round leaves in variables apart."""
    interned: dict[object, int] = {}
    values: dict[int, object] = {id(t): ("variable", classes[i]) for i, t in enumerate(body.inputs)}

    def value(tensor: Tensor | None) -> object:
        return None if tensor is None else values.get(id(tensor), identity_of(tensor))

    body.sort()
    for op in body.ops:
        if not known(op.type) or not spec(op.type).pure or op.graphs:
            continue
        made = tuple(meaning_of(t) for t in op.outputs)
        key = (op.type, tuple(map(value, op.inputs)), made, repr(sorted(op.options.items())))
        number = interned.setdefault(key, len(interned))
        for place, tensor in enumerate(op.outputs):
            values[id(tensor)] = ("result", number, place)
    return [value(t) for t in body.outputs]


def _read_instead(graph: Graph, old: Tensor, new: Tensor) -> bool:
    uses = list(old.uses)
    for reader, index in uses:
        graph.set_input(reader, index, new)
    return bool(uses)


@exact
@at("WHILE")
def take_last_round(graph: Graph, op: Op) -> bool:
    """Make of another variable, behind the loop, what the loop only writes.

    h, y = WHILE(a, b) {h' = f(h); y' = RESHAPE(h')}   ->   h = WHILE(a) {f(h)}; y = RESHAPE(h)
    """
    rounds = trip_count(op)
    if rounds is None or rounds < 1:
        return False
    body = op.graphs[1]
    for i, before in enumerate(body.inputs):
        if before.uses or any(t is before for t in op.graphs[1].outputs):
            continue
        if op.graphs[0].inputs[i].uses or not is_read(graph, op.outputs[i]):
            continue
        reshape = made_by(body.outputs[i], "RESHAPE", "EXPAND_DIMS")
        if reshape is None or not reshape.input(1).is_constant:
            continue
        k = next((k for k, t in enumerate(body.outputs) if t is reshape.input(0)), None)
        if k is None or k == i:
            continue
        y = op.outputs[i]
        name, operand = f"{y.name}/last", reshape.input(1).data
        made = emit(graph, reshape.type, op.outputs[k], operand, name=name, source=op.source)
        if made.shape != y.shape:
            return False
        graph.replace(y, made)
        return True
    return False


@at("WHILE")
def project_before_loop(graph: Graph, op: Op) -> bool:
    """Let a layer see all rows at once that a loop would give it one by one.

    y = WHILE(0, x: [t,n,8], …) {FULLY_CONNECTED(GATHER(x, i), w)}
    ->   y = WHILE(0, FULLY_CONNECTED(x, w): [t,n,5], …) {GATHER(x, i)}      (also CONV_2D)
    """
    body = op.graphs[1]
    for i, rows in enumerate(body.inputs):
        if [k for k, t in enumerate(body.outputs) if t is rows] != [i]:
            continue
        if len(rows.uses) != 1 or rows.rank not in (3, 5):
            continue
        gather = rows.uses[0].op
        if gather.type != "GATHER" or gather.inputs[0] is not rows or not _one_by_one(op, gather):
            continue
        dense = sole_reader(body, gather.output)
        wanted = "FULLY_CONNECTED" if rows.rank == 3 else "CONV_2D"
        if dense is None or dense.type != wanted or dense.inputs[0] is not gather.output:
            continue
        if has_activation(dense) or not has_constant_rest(dense):
            continue
        if op.graphs[0].inputs[i].uses or is_read(graph, op.outputs[i]):
            continue
        if _is_shifted(body, dense.output):
            continue
        return _project(graph, op, i, gather, dense)
    return False


def _is_shifted(body: Graph, made: Tensor) -> bool:
    """Whether a bias is still to be folded into what makes a tensor, or a sum with it."""
    for _ in range(2):
        reader = sole_reader(body, made)
        if reader is None or reader.type != "ADD":
            return False
        if with_constant(reader) is not None:
            return True
        made = reader.output
    return False


def _one_by_one(op: Op, gather: Op) -> bool:
    """Whether a GATHER takes the row whose number a variable of the loop counts."""
    if gather.options.get("axis", 0) or gather.options.get("batch_dims", 0):
        return False
    index, body = gather.input(1), op.graphs[1]
    i = next((i for i, t in enumerate(body.inputs) if t is index), None)
    return i is not None and index.rank == 0 and is_increment(body.outputs[i], index)


def _project(graph: Graph, op: Op, i: int, gather: Op, dense: Op) -> bool:
    condition, body = op.graphs
    x, name = op.input(i), dense.output.name
    constants = [None if t is None else t.data for t in dense.inputs[1:]]
    if dense.type == "CONV_2D":
        count = x.shape[1]
        flat = [None if count is None else count * (x.shape[0] or 0), *x.shape[2:]]
        x = reshaped(graph, x, flat, f"{name}/pictures", dense.source)
        options = dense.options
    else:
        options = {**dense.options, "keep_num_dims": True}
    y = emit(graph, dense.type, x, *constants, name=f"{name}/rows", source=dense.source, **options)
    if dense.type == "CONV_2D":
        lead = op.input(i).shape[:2]
        y = reshaped(graph, y, [*lead, *y.shape[1:]], f"{name}/steps", dense.source)
    if y.shape[:2] != op.input(i).shape[:2]:
        return False
    graph.set_input(op, i, y)
    for part in (condition, body):
        part.inputs[i].shape = y.shape
    op.outputs[i].shape = y.shape
    made = emit(
        body,
        "GATHER",
        body.inputs[i],
        gather.input(1),
        name=f"{name}/row",
        source=gather.source,
        **gather.options,
    )
    body.replace(dense.output, made)
    return True
