"""Collapse dimensions that an operator leaves alone, where its kernel takes fewer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import of_type
from tqconv.ir.types import Shape
from tqconv.ops.emit import emit
from tqconv.passes.layout.groups import together
from tqconv.passes.reshape import reshaped
from tqconv.targets.target import LITERT


def collapse_padded(graph: Graph) -> int:
    """Pad in fewer dimensions, and in two steps where too many are padded.

    y = PAD(x: [2,1,3,4,5,6], …)   ->   y = RESHAPE(PAD(RESHAPE(x, [2,1,3,120]), …), …)
    """
    count = 0
    for op in of_type(graph, "PAD", "PADV2"):
        limit = LITERT.ranks(op)
        if limit is None or LITERT.refused_rank(op) is None:
            continue
        amounts = op.input(1).data
        if amounts is None:
            raise _too_many(op, limit, "what to pad is not a constant")
        graph.replace(op.output, _padded(graph, op, np.asarray(amounts), limit))
        count += 1
    return count


def _padded(graph: Graph, op: Op, amounts: NDArray[np.int32], limit: int) -> Tensor:
    """Pad all axes at once where that takes few dimensions, else one half after the other."""
    name, y = f"{op.output.name}/part", op.input(0)
    axes = [axis for axis in range(y.rank) if amounts[axis].any()]
    middle = len(axes) // 2
    halves = [axes] if len(_groups(y.rank, axes)) <= limit else [axes[:middle], axes[middle:]]
    for half in halves:
        groups = _groups(y.rank, half)
        more = [int(sum(amounts[i])) if i in half else 0 for i in range(y.rank)]
        shape = [None if d is None else d + extra for d, extra in zip(y.shape, more, strict=True)]
        flat = _reshaped(graph, op, y, [_size(y.shape, group) for group in groups], name)
        rows = np.array([amounts[g[0]] if g[0] in half else (0, 0) for g in groups], np.int32)
        padded = emit(graph, op.type, flat, rows, *op.inputs[2:], name=name, source=op.source)
        y = _reshaped(graph, op, padded, shape, name)
    return y


def _groups(rank: int, alone: Sequence[int]) -> list[list[int]]:
    """Return the axes in runs: those in `alone` by themselves, their neighbours together."""
    groups: list[list[int]] = []
    for axis in range(rank):
        if groups and axis not in alone and groups[-1][0] not in alone:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def collapse_joined(graph: Graph) -> int:
    """Join and split in three dimensions where there are more than the delegate takes.

    y = CONCATENATION(a: [2,3,1,2,2,3,2], …) {axis=1}   ->   the same with [2,3,24] and a RESHAPE
    """
    count = 0
    for op in of_type(graph, "CONCATENATION", "SPLIT", "SPLIT_V"):
        operands = {"CONCATENATION": range(len(op.inputs)), "SPLIT": (1,), "SPLIT_V": (0,)}[op.type]
        rank = op.input(operands[0]).rank
        if LITERT.refused_rank(op) is None:
            continue
        _join_flat(graph, op, list(operands), _joined_axis(op, rank))
        count += 1
    return count


def _joined_axis(op: Op, rank: int) -> int:
    if op.type == "CONCATENATION":
        return int(op.options.get("axis", 0)) % rank
    axis = op.input(0 if op.type == "SPLIT" else 2).data
    if axis is None:
        raise UnsupportedError(f"the axis of {op.type} is not a constant", where=op.source)
    return int(axis.reshape(-1)[0]) % rank


def _join_flat(graph: Graph, op: Op, operands: list[int], axis: int) -> None:
    name = op.outputs[0].name
    rank = op.input(operands[0]).rank
    groups = [g for g in (list(range(axis)), [axis], list(range(axis + 1, rank))) if g]
    place = groups.index([axis])
    inputs: list[Tensor | NDArray[np.int32] | None] = list(op.inputs)
    for index in operands:
        x = op.input(index)
        inputs[index] = _reshaped(graph, op, x, [_size(x.shape, g) for g in groups], f"{name}/flat")
    options = dict(op.options)
    if op.type == "CONCATENATION":
        options["axis"] = place
    else:
        inputs[0 if op.type == "SPLIT" else 2] = np.array(place, np.int32)
    made = emit(graph, op.type, *inputs, name=f"{name}/joined", source=op.source, **options)
    for old, new in zip(op.outputs, made if isinstance(made, tuple) else (made,), strict=True):
        graph.replace(old, _reshaped(graph, op, new, list(old.shape), name))


def collapse_reduced(graph: Graph) -> int:
    """Reduce runs of dimensions that are all reduced, or all kept, as one; a few after others.

    y = SUM(x: [2,3,1,2,2,3,2], [1,2])   ->   y = RESHAPE(SUM(RESHAPE(x, [2,3,24]), [1]), …)
    """
    count = 0
    for op in of_type(graph, "SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN"):
        x, axes = op.input(0), op.input(1).data
        if axes is None or x.quant is not None or LITERT.refused_rank(op) is None:
            continue
        left = {int(axis) % x.rank for axis in axes.reshape(-1)}
        limit = LITERT.ranks(op) or 0
        if x.dtype.kind != "f" and len(_runs(x.rank, left)) > limit:
            continue  # integers are the builtin kernel's, which takes them all
        y, shape = x, list(x.shape)
        for part in _parts(x.rank, left, limit):
            y = _over(graph, op, y, shape, part, keep=False)
            shape = [1 if axis in part else d for axis, d in enumerate(shape)]
        graph.replace(op.output, _reshaped(graph, op, y, list(op.output.shape), op.output.name))
        count += 1
    return count


def collapse_reversed(graph: Graph) -> int:
    """Reverse the dimensions, which lie beside each other, as one, and keep the others as two.

    y = REVERSE_V2(x: [2,1,2,2,2,1,2,2,3], [2,3])   ->   the same with [2,4,24] and a RESHAPE
    """
    count = 0
    for op in of_type(graph, "REVERSE_V2"):
        x, axes = op.input(0), op.input(1).data
        if axes is None or x.quant is not None or LITERT.refused_rank(op) is None:
            continue
        chosen = {int(axis) % x.rank for axis in axes.reshape(-1)}
        y = _over(graph, op, x, x.shape, chosen, keep=True)
        graph.replace(op.output, _reshaped(graph, op, y, list(x.shape), op.output.name))
        count += 1
    return count


def _over(
    graph: Graph, op: Op, y: Tensor, shape: Sequence[int | None], axes: Set[int], *, keep: bool
) -> Tensor:
    """Apply an operator to some axes of `y`, which has the elements of a tensor of this shape."""
    groups, name = _runs(len(shape), axes), op.output.name
    flat = _reshaped(graph, op, y, [_size(tuple(shape), group) for group in groups], f"{name}/flat")
    places = np.array([i for i, g in enumerate(groups) if g[0] in axes], np.int32)
    options = {k: v for k, v in op.options.items() if keep or k != "keep_dims"}
    made: Tensor = emit(
        graph, op.type, flat, places, name=f"{name}/part", source=op.source, **options
    )
    return made


def _parts(rank: int, axes: Set[int], limit: int) -> Iterator[Set[int]]:
    """Yield the axes in parts, the last first; each and what is between takes few dimensions."""
    left = set(axes)
    while left:
        groups = _runs(rank, left)
        chosen = [group for group in groups if group[0] in left]
        if len(groups) > limit:
            chosen = chosen[-(limit // 2 - 1) :]  # and what is kept before, between and behind
        part = {axis for group in chosen for axis in group}
        yield part
        left -= part


def collapse_permuted(graph: Graph) -> int:
    """Permute runs of dimensions that stay together as one; a few after others.

    y = TRANSPOSE(x: [2,1,2,2,2,1,2,2,3], [6,7,8,0,…])   ->   the same with [16,12] and a RESHAPE
    """
    count = 0
    for op in of_type(graph, "TRANSPOSE"):
        x, perm = op.input(0), op.input(1).data
        limit = LITERT.ranks(op) or 0
        if x.quant is not None or LITERT.refused_rank(op) is None:
            continue
        if perm is None:
            raise _too_many(op, limit, "their order is not a constant")
        wanted = [int(axis) for axis in perm if x.shape[int(axis)] != 1]
        now, y = sorted(wanted), x
        while now != wanted:
            following = wanted
            if len(together(now, wanted)) > limit:
                following = _nearer(now, wanted, limit // 2 - 1)
            y = _permuted(graph, op, y, now, following)
            now = following
        graph.replace(op.output, _reshaped(graph, op, y, list(op.output.shape), op.output.name))
        count += 1
    return count


def _nearer(now: Sequence[int], wanted: Sequence[int], several: int) -> list[int]:
    """Return an order with more of the last axes in their places than `now`, by moving a few."""
    done = 0
    while wanted[-done - 1 :] == list(now[-done - 1 :]):
        done += 1
    end = len(wanted) - done
    moved = list(wanted[max(end - several, 0) : end])
    return [axis for axis in now[:end] if axis not in moved] + moved + list(now[end:])


def _permuted(graph: Graph, op: Op, y: Tensor, now: Sequence[int], wanted: Sequence[int]) -> Tensor:
    """Bring the axes of the operand, which `y` has in the order `now`, into another order."""
    groups, name = together(now, wanted), f"{op.output.name}/part"
    flat = _reshaped(graph, op, y, [_size(op.input(0).shape, g) for g in groups], name)
    places = {group[0]: place for place, group in enumerate(groups)}
    perm = np.array([places[axis] for axis in wanted if axis in places], np.int32)
    made: Tensor = emit(graph, "TRANSPOSE", flat, perm, name=name, source=op.source)
    return made


def _too_many(op: Op, limit: int, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"{op.type} takes at most {limit} dimensions, and {why}", where=op.source
    )


def _runs(rank: int, chosen: Set[int]) -> list[list[int]]:
    """Return the axes in runs, of those that are chosen and of the others."""
    groups: list[list[int]] = []
    for axis in range(rank):
        if groups and (groups[-1][0] in chosen) == (axis in chosen):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def collapse_rows(graph: Graph) -> int:
    """Let operators that look at the last dimension alone see rows.

    y = SOFTMAX(x: [2,3,1,2,2,3,2])   ->   y = RESHAPE(SOFTMAX(RESHAPE(x, [72,2])), …)
    """
    count = 0
    for op in of_type(graph, "SOFTMAX", "FULLY_CONNECTED"):
        x = op.input(0)
        if not x.rank or x.quant is not None or LITERT.refused_rank(op) is None:
            continue
        name, last = op.output.name, x.rank - 1
        rows = [_size(x.shape, range(last)), x.shape[last]]
        flat = _reshaped(graph, op, x, rows, f"{name}/flat")
        options = {k: v for k, v in op.options.items() if k != "keep_num_dims"}
        made = emit(
            graph, op.type, flat, *op.inputs[1:], name=f"{name}/rows", source=op.source, **options
        )
        graph.replace(op.output, _reshaped(graph, op, made, list(op.output.shape), name))
        count += 1
    return count


def _size(shape: Shape, axes: Sequence[int]) -> int | None:
    sizes = [shape[axis] for axis in axes]
    return None if None in sizes else math.prod(d or 0 for d in sizes)


def _reshaped(graph: Graph, op: Op, x: Tensor, shape: Sequence[int | None], name: str) -> Tensor:
    if list(shape).count(None) > 1:
        raise UnsupportedError(
            f"{op.type} has too many dimensions, and the sizes {shaped(x.shape)} are not known",
            where=op.source,
            hint="give the inputs a shape with --input_shapes",
        )
    return reshaped(graph, x, shape, name, op.source)
