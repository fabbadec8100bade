"""Sizes that a graph divides out of others, which RESHAPE finds by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.dims import Origins, described_dim, dim_origin, rest_of, source_element
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import Size, element, vector
from tqconv.importers.onnx.registry import ONNXBuilder
from tqconv.ir.graph import Tensor

MOST = 64
"""So many operators and factors are looked at: a division of int64 takes 25."""


def simplified(b: ONNXBuilder, x: Tensor, shape: Tensor) -> Tensor | NDArray[Any]:
    """Return a shape for `x` with -1 for a size that is a quotient by all others that are open.

    PyTorch computes so what -1 stands for: elements / (sizes beside it). None of those can be 0
    then, which would leave the kernel in doubt. Where a -1 stands for a number, that is written.
    """
    known = b.known(shape)
    if known is None:
        return int32_of(b, shape)
    origins = b.shared.translation.origins
    if -1 in known:
        rest = rest_of(x, shape, known, origins)
        if rest is None:
            return int32_of(b, shape)
        return vector(
            b,
            [
                rest if d == -1 else _size(b, shape, i) if d is None else d
                for i, d in enumerate(known)
            ],
        )
    places = [i for i, size in enumerate(known) if size is None]
    for place in places:
        others = {_source(shape, i, origins) for i in places if i != place}
        divisor = _divisor(source_element(shape, place)[0])
        if divisor is not None and others <= set(_factors(divisor, origins)):
            sizes = [_size(b, shape, i) if size is None else size for i, size in enumerate(known)]
            return vector(b, [*sizes[:place], -1, *sizes[place + 1 :]])
    return int32_of(b, shape)


def _source(vector: Tensor, index: int, origins: Origins) -> tuple[Tensor, int]:
    """Return what stands for an element wherever it is read: the same for one size."""
    dim = described_dim(vector, index)
    return source_element(vector, index) if dim is None else dim_origin(dim, origins)


def _size(b: ONNXBuilder, shape: Tensor, index: int) -> Size:
    """Return an element of a shape from where it comes, past what only the shape needs."""
    source, place = source_element(shape, index)
    return element(b, source, place) if source.rank else b.cast(source, np.int32)


def _divisor(quotient: Tensor) -> Tensor | None:
    """Return by what a Div node divides, from what it became."""
    if quotient.producer is None or quotient.producer.source.op_type != "Div":
        return None
    node, waiting = quotient.producer.source, [quotient.producer]
    for op in _up_to(MOST, waiting):
        if op.type == "DIV":
            return _behind_casts(op.input(1))
        made_by = (t.producer for t in op.inputs if t is not None)
        waiting += [before for before in made_by if before is not None and before.source == node]
    return None


def _factors(product: Tensor, origins: Origins) -> Iterator[tuple[Tensor, int]]:
    """Yield what stands for the factors of a product of single numbers."""
    waiting = [product]
    for factor in _up_to(MOST, waiting):
        factor = _behind_casts(factor)
        if factor.producer is not None and factor.producer.type == "MUL":
            waiting += [factor.producer.input(0), factor.producer.input(1)]
        elif factor.size == 1:
            yield _source(factor, 0, origins)


def _up_to(count: int, waiting: list[Any]) -> Iterator[Any]:
    """Yield what waits, first come first served; more may be appended meanwhile."""
    for number in range(count):
        if number == len(waiting):
            return
        yield waiting[number]


def _behind_casts(tensor: Tensor) -> Tensor:
    while tensor.producer is not None and tensor.producer.type == "CAST":
        tensor = tensor.producer.input(0)
    return tensor
