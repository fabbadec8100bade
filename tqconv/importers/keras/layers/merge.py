"""Layers that combine several tensors."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from tqconv.compose import arithmetic, norm, products, rearrange
from tqconv.compose.einsum import einsum
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.masks import concatenated
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of


def aligned(b: KerasBuilder, xs: tuple[Tensor, ...]) -> list[Tensor]:
    """Return tensors of one rank: lower ones get axes of size 1 behind the batch."""
    rank = max(x.rank for x in xs)
    found = []
    for x in xs:
        for _ in range(rank - x.rank):
            x = b("EXPAND_DIMS", x, np.array(1, np.int32))
        found.append(x)
    kinds = {x.dtype for x in found}
    return found if len(kinds) == 1 else [b.real(x) for x in found]


@handles(Add="ADD", Subtract="SUB", Multiply="MUL", Maximum="MAXIMUM", Minimum="MINIMUM")
def combine(b: KerasBuilder, type: str, *xs: Tensor) -> Tensor:
    """Combine all tensors from the left; with Keras 3, some leave out what masks hide."""
    extreme = type in ("MAXIMUM", "MINIMUM")
    if b.major >= 3 and any(mask is not None for mask in b.masks):
        if type == "MUL":
            return _masked_product(b, xs)
        if extreme:
            return _masked_extreme(b, type, xs)
    make = arithmetic.extreme if extreme else arithmetic.combine
    return reduce(lambda x, y: make(b, type, x, y), aligned(b, xs))


def _shown(b: KerasBuilder, mask: Tensor) -> Tensor:
    """Return a mask [n, t] as it stands beside [n, t, c]."""
    return b("EXPAND_DIMS", b.cast(mask, np.bool_), np.array(mask.rank, np.int32))


def _masked_extreme(b: KerasBuilder, type: str, xs: tuple[Tensor, ...]) -> Tensor:
    """Return the extreme of what masks show: what is hidden takes the value it is compared with.

    Keras shows a result from then on only where it has had masks of all tensors before.
    """
    parts = list(zip(aligned(b, xs), b.masks, strict=True))
    y, mask = parts[0]
    shown = None if mask is None else _shown(b, mask)
    for x, mask in parts[1:]:
        also = None if mask is None else _shown(b, mask)
        x = x if also is None else b("SELECT_V2", also, x, y)
        y = y if shown is None else b("SELECT_V2", shown, y, x)
        both = shown is not None and also is not None
        shown = b("LOGICAL_OR", shown, also) if both else None
        y = arithmetic.extreme(b, type, y, x)
    return y


def _masked_product(b: KerasBuilder, xs: tuple[Tensor, ...]) -> Tensor:
    """Multiply what masks show; what all masks hide is 0."""
    one, zero = np.array(1, np.float32), np.array(0, np.float32)
    parts = []
    shown: list[Tensor] = []
    for x, mask in zip(aligned(b, tuple(b.real(x) for x in xs)), b.masks, strict=True):
        if mask is None:
            parts.append(x)
            continue
        shown.append(_shown(b, mask))
        parts.append(b("SELECT_V2", shown[-1], x, one))
    y = reduce(lambda x, y: b("MUL", x, y), parts)
    if len(shown) < len(xs):
        return y
    return b("SELECT_V2", reduce(lambda x, y: b("LOGICAL_OR", x, y), shown), y, zero)


@handles("Average")
def average(b: KerasBuilder, *xs: Tensor) -> Tensor:
    """The mean of all tensors."""
    total = reduce(lambda x, y: b("ADD", x, y), aligned(b, tuple(b.real(x) for x in xs)))
    return b("MUL", total, np.array(1 / len(xs), np.float32))


@handles("Concatenate")
def concatenate(b: KerasBuilder, *xs: Tensor, axis: int = -1) -> Tensor:
    """Put tensors one behind the other."""
    parts = list(xs) if len({x.dtype for x in xs}) == 1 else [b.real(x) for x in xs]
    along = axis_of(axis, xs[0].rank)
    b.mask = concatenated(b, parts, along)
    return rearrange.joined(b, parts, along)


@handles("Dot")
def dot(b: KerasBuilder, x: Tensor, y: Tensor, *, axes: Any, normalize: bool = False) -> Tensor:
    """Multiply and sum along one axis of each tensor, batch by batch."""
    pair = [axes, axes] if isinstance(axes, int) else list(axes)
    x, y = b.real(x), b.real(y)
    first, second = axis_of(pair[0], x.rank), axis_of(pair[1], y.rank)
    if 0 in (first, second):
        raise UnsupportedError("Dot along the batch")
    if normalize:
        x, y = norm.unit_norm(b, x, [first], 1e-12), norm.unit_norm(b, y, [second], 1e-12)
    if x.rank == y.rank == 2:
        total = b("SUM", b("MUL", x, y), np.array([1], np.int32), keep_dims=True)
        return total
    return _product(b, x, y, first, second)


def _product(b: KerasBuilder, x: Tensor, y: Tensor, first: int, second: int) -> Tensor:
    """Return [batch, rest of x, rest of y]."""
    names = "bcdefghijklmnopqrstuvw"
    left = ["a", *names[: x.rank - 1]]
    right = ["a", *names[x.rank - 1 : x.rank + y.rank - 2]]
    left[first] = right[second] = "z"
    out = [n for n in left if n != "z"] + [n for n in right[1:] if n != "z"]
    if x.rank == y.rank == 3:
        return products.product(b, x, y, adj_x=first == 1, adj_w=second == 2)
    return einsum(b, f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)
