"""Many small tensors of one shape, read as one.

A network of thousands of them, such as the steps of an unrolled loop, takes longer to read than to
run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.tally import SMALL

FEWEST = 8
"""Tensors of a shape that are worth an operator that joins them."""


def sorted_out(tensors: Iterable[Tensor]) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Return tensors that are read alone, and groups of small ones of the same shape."""
    alone: list[Tensor] = []
    groups: dict[tuple[int | None, ...], list[Tensor]] = {}
    for tensor in tensors:
        fits = tensor.rank and tensor.is_static and tensor.producer is not None
        if fits and 0 < math.prod(d or 0 for d in tensor.shape) <= SMALL:
            groups.setdefault(tensor.shape, []).append(tensor)
        else:
            alone.append(tensor)
    for shape in [shape for shape, found in groups.items() if len(found) < FEWEST]:
        alone += groups.pop(shape)
    return alone, list(groups.values())


def joined(number: int, members: Sequence[Tensor]) -> Op:
    """Return the operator that joins a group along its first axis."""
    first, *rest = members[0].shape
    shape = (len(members) * (first or 1), *rest)
    made = Tensor(f"pack {number}", shape, members[0].dtype)
    return Op("CONCATENATION", tuple(members), (made,), options={"axis": 0})
