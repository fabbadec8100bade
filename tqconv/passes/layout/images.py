"""Inputs and outputs that are images, channels last."""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Source
from tqconv.passes.layout.settle import Region, reached
from tqconv.passes.layout.through import Perm, inverse, permutation, same_order, transposed

FIRST: Perm = (0, 3, 1, 2)
"""From [n, h, w, c] to [n, c, h, w]."""


def channels_last_images(graph: Graph) -> list[Tensor]:
    """Let the graph take and return [n, h, w, c] where it computes with [n, c, h, w] in that order.

    x: [1,3,8,8] -> y; y = CONV_2D(TRANSPOSE(x, [0,2,3,1]))   ->   x: [1,8,8,3] -> y; y = CONV_2D(x)

    An input is an image where a permutation to channels last reads it, or what operators without
    an order of their own make of it; an output likewise. Returns what is channels last now.
    """
    inputs = [x for x in graph.inputs if x.rank == len(FIRST) and _is_image(x)]
    outputs = [y for y in graph.outputs if y.rank == len(FIRST) and y.producer and _is_image(y)]
    turned = [_turned_input(graph, x) for x in inputs]
    for place, y in enumerate(graph.outputs):
        if y in outputs:
            turned.append(_turned_output(graph, place, y))
    return turned


def _is_image(tensor: Tensor) -> bool:
    region = reached(tensor, FIRST)
    return any(_permuted(region, t, perm) for t, perm in region.perms.items())


def _permuted(region: Region, tensor: Tensor, perm: Perm) -> bool:
    """Whether a permutation makes a tensor of the straight one, or the straight one of it."""
    maker = permutation(tensor.producer)
    if maker is not None and same_order(tensor, maker, perm):
        return True
    readers = [permutation(use.op) for use in tensor.uses]
    return any(own is not None and same_order(tensor, inverse(own), perm) for own in readers)


def _turned_input(graph: Graph, x: Tensor) -> Tensor:
    shape = tuple(x.shape[FIRST.index(k)] for k in range(len(FIRST)))
    straight = Tensor(x.name, shape, x.dtype, range=x.range)
    place = graph.inputs.index(x)
    graph.inputs[place] = straight
    like = Op("TRANSPOSE", (straight,), (x,), {}, Source("", x.name, "input"))
    y = transposed(graph, straight, FIRST, like)
    for op, index in list(x.uses):
        graph.set_input(op, index, y)
    graph.outputs[:] = [y if t is x else t for t in graph.outputs]
    return straight


def _turned_output(graph: Graph, place: int, y: Tensor) -> Tensor:
    like = y.producer
    assert like is not None
    name = y.name
    straight = transposed(graph, y, inverse(FIRST), like)
    graph.outputs[place] = straight
    graph.rename(straight, name)
    return straight
