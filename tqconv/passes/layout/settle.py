"""Leave the permutations that stay where they move the fewest elements.

Sinking looks at one operator and at what reads it. What meets a straight operand on its way (the
input of the model in a residual sum, a state that comes from elsewhere) stops there, though all
operators behind it may want the other order. Here a region of operators that a permutation passes
is looked at as a whole: each computes in one of two orders, each tensor between two orders is
permuted, and the cheapest choice is a minimum cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import is_read
from tqconv.passes.layout.cut import Cut
from tqconv.passes.layout.groups import regrouped
from tqconv.passes.layout.through import (
    Passed,
    Perm,
    before_ones,
    data_operands,
    inverse,
    passed,
    permutation,
    put_behind,
    same_order,
    straight_order,
    transposed,
)
from tqconv.passes.rewrite import at
from tqconv.records import dataclass

OPERATOR = 64
"""Elements that an operator more is worth: what LiteRT spends on calling one."""
COPY = 64
"""Elements that a RESHAPE copies while a TRANSPOSE moves one; it often copies none at all."""
REGION = 2000
"""Operators of a region; what is behind stays as it is."""


@dataclass
class Region:
    """Operators that could read straight tensors, and the permutations of their tensors.

    With perm = perms[t]: t = TRANSPOSE(straight t, perm).
    """

    ways: dict[Op, tuple[Perm, Passed]] = field(default_factory=dict)
    perms: dict[Tensor, Perm] = field(default_factory=dict)


@at("TRANSPOSE")
def settle_layout(graph: Graph, op: Op) -> bool:
    """Compute in the order in which the fewest elements are moved.

    y = ADD(x, TRANSPOSE(CONV(…), p)); z = CONV(TRANSPOSE(y, q)); w = ADD(y, TRANSPOSE(z, p)); …
    ->   the ADDs read TRANSPOSE(x, q) and need no others
    """
    perm = permutation(op)
    if perm is None or 0 in op.output.shape or not is_read(graph, op.output):
        return False
    for start, own in ((op.output, perm), (op.input(0), inverse(perm))):
        region = reached(start, own)
        chosen = _chosen(graph, region)
        if not chosen:
            continue  # most ask in vain, and each would look at the whole graph
        for member in [o for o in graph.ops if o in chosen]:
            for made in put_behind(graph, member, *region.ways[member]):
                _undo_behind(graph, made)
        graph.prune()  # the next one is not to reckon with what nobody reads any more
        return True
    return False


def _undo_behind(graph: Graph, tensor: Tensor) -> None:
    """Join the permutations that read a permuted tensor with the one that makes it."""
    for use in list(tensor.uses):
        perm = permutation(use.op)
        if perm is not None:
            graph.replace(use.op.output, transposed(graph, tensor, perm, use.op))


def reached(start: Tensor, perm: Perm) -> Region:
    """Return what is reached from a tensor through operators that the permutation passes."""
    region = Region(perms={start: perm})
    waiting = [start]
    while waiting and len(region.ways) < REGION:
        tensor = waiting.pop()
        own = region.perms[tensor]
        for op, way in _neighbours(tensor, own):
            if op in region.ways:
                continue
            ends = _ends(op, way)
            known = [(t, p) for t, p in ends if t in region.perms]
            if any(not same_order(t, p, region.perms[t]) for t, p in known):
                continue
            region.ways[op] = way
            fresh = [(t, p) for t, p in ends if t not in region.perms]
            region.perms.update(fresh)
            waiting += [t for t, _ in fresh]
    return region


def _neighbours(tensor: Tensor, perm: Perm) -> Iterator[tuple[Op, tuple[Perm, Passed]]]:
    """Yield the operators around a tensor that its permutation passes, and how."""
    for use in tensor.uses:
        if use.op.type != "TRANSPOSE" and use.index in _carriers(use.op):
            way = passed(use.op, perm)
            if way is not None and _alike(use.op, perm):
                yield use.op, (perm, way)
    maker = tensor.producer
    if maker is None or maker.type == "TRANSPOSE":
        return
    before = _before(maker, perm)
    way = passed(maker, before) if before is not None else None
    if before is None or way is None or not _alike(maker, before):
        return
    if same_order(tensor, way.perm, perm):
        yield maker, (before, way)


def _carriers(op: Op) -> list[int]:
    """Return the operands that carry the layout; a number beside them has none."""
    return [i for i in data_operands(op) if op.input(i).rank]


def _alike(op: Op, perm: Perm) -> bool:
    """Whether all operands that carry the layout have as many dimensions as the permutation."""
    return all(op.input(i).rank == len(perm) for i in _carriers(op))


def _before(op: Op, perm: Perm) -> Perm | None:
    """Return the permutation of the operands that comes out as this one."""
    x = op.input(_carriers(op)[0]) if op.inputs and _carriers(op) else None
    if x is None:
        return None
    if op.type == "RESHAPE":
        found = regrouped(op.output.shape, x.shape, perm)
        return None if found is None else found[1]
    return before_ones(op, perm) if x.rank != len(perm) else perm


def _ends(op: Op, way: tuple[Perm, Passed]) -> list[tuple[Tensor, Perm]]:
    """Return the operands and results that carry the layout, with their permutations."""
    operands = [(op.input(i), way[0]) for i in _carriers(op)]
    return operands + [(t, way[1].perm) for t in op.outputs if t.rank]


def _cost(tensor: Tensor, perm: Perm) -> int:
    """Return what permuting a tensor costs; moving dimensions of size 1 alone is a RESHAPE."""
    order = straight_order(tensor, perm)
    if order == sorted(order):
        return OPERATOR * COPY // 8 + tensor.size  # it often meets another
    return COPY * (OPERATOR + tensor.size)


def _chosen(graph: Graph, region: Region) -> set[Op]:
    """Return the operators that had better read straight tensors; none where nothing is won."""
    cut = Cut()
    before = 0
    for tensor, perm in region.perms.items():
        cost = _cost(tensor, perm)
        maker, readers = _maker(region, tensor, perm), _readers(graph, region, tensor, perm)
        if maker is None:
            continue
        straight = [r for r in readers if r is True]
        # As it is: every operator of the region in the order of the graph.
        if (maker is True and len(straight) < len(readers)) or (maker is not True and straight):
            before += cost
        cut.differ(maker, readers, cost)
    worth, side = cut.solve()
    return {op for op in side if isinstance(op, Op)} if worth < before else set()


def _maker(region: Region, tensor: Tensor, perm: Perm) -> Op | bool | None:
    """Return who decides in which order a tensor is made: True straight, False as it is.

    None: it is permuted in another way in any case.
    """
    op = tensor.producer
    if op is None:
        return None if tensor.is_constant else False
    if op in region.ways:
        return op
    if op.type == "TRANSPOSE":
        own = permutation(op)
        return True if own is not None and same_order(tensor, own, perm) else None
    return False


def _readers(graph: Graph, region: Region, tensor: Tensor, perm: Perm) -> list[Op | bool]:
    """Return who decides in which order a tensor is read."""
    found: list[Op | bool] = [False] if tensor in graph.outputs else []
    for use in tensor.uses:
        if use.op in region.ways:
            found.append(use.op)
        elif use.op.type == "TRANSPOSE":
            own = permutation(use.op)
            if own is None:
                found.append(False)
            elif same_order(tensor, inverse(own), perm):
                found.append(True)
        else:
            found.append(False)
    return found
