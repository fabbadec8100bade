"""The ends of large tensors, which the model finds itself while they lie in the processor's cache.

To read them from outside takes a fifth of the time of a run, and to keep them all until then as
much again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.tally import SMALL
from tqconv.ops.spec import DELEGATED
from tqconv.runtime.litert import Array

NAME = "ends"


def is_large(tensor: Tensor) -> bool:
    """Whether a tensor is made by the model, and larger than those that are looked at together."""
    known = math.prod(d for d in tensor.shape if d is not None)
    return tensor.producer is not None and known > SMALL and tensor.rank <= DELEGATED


def finding(tensors: Sequence[Tensor]) -> list[Op]:
    """Return operators that find the ends of these tensors; see `found`.

    The sum says so where something is no number: the others do not.
    """
    if not tensors:
        return []
    kinds = ("REDUCE_MIN", "REDUCE_MAX", "SUM")
    axes = {rank: _axes(rank) for rank in {t.rank for t in tensors}}
    ops = [_reduction(kind, tensor, axes[tensor.rank]) for kind in kinds for tensor in tensors]
    parts = tuple(op.output for op in ops)
    together = Tensor(NAME, (len(parts),), parts[0].dtype)
    options = {"axis": 0, "values_count": len(parts)}
    return [*ops, Op("PACK", parts, (together,), options)]


def _axes(rank: int) -> Tensor:
    axes = np.arange(rank, dtype=np.int32)
    return Tensor(f"{NAME}/axes/{rank}", axes.shape, axes.dtype, data=axes)


def _reduction(kind: str, tensor: Tensor, axes: Tensor) -> Op:
    made = Tensor(f"{NAME}/{kind}/{tensor.name}", (), tensor.dtype)
    return Op(kind, (tensor, axes), (made,), {"keep_dims": False})


def found(names: Sequence[str], read: Callable[[str], Array]) -> Mapping[str, tuple[float, float]]:
    """Return the ends of those tensors, in the order of `finding`, whose elements are all finite.

    A tensor without elements has none; that of a sum beyond what float32 holds has not either.
    """
    if not names:
        return {}
    low, high, total = read(NAME).reshape(3, -1)
    fine = np.isfinite(low) & np.isfinite(high) & np.isfinite(total) & (low <= high)
    places = zip(names, fine.tolist(), low.tolist(), high.tolist(), strict=True)
    return {name: (least, most) for name, known, least, most in places if known}
