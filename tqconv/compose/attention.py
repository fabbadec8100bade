"""Attention: scaled products of queries and keys choose among values."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.activations import softmax
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.products import product
from tqconv.compose.rearrange import joined
from tqconv.compose.sizes import Size, calculate, operand, reshaped, size_of, sizes_of, vector
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32
HIDDEN = np.array(-1e9, F)
"""The score of what a mask hides: a finite one leaves rows that are hidden altogether even, where
infinite ones would make them NaN. Keras' Softmax layer has the same."""
LOWEST = np.array(np.finfo(F).min, F)


@dataclass(frozen=True)
class View:
    """Which keys a query sees, by where both stand: query i stands at place i + offset.

    `left`, `right`: how many keys before and behind its place, None for all of them. `offset`: a
    number, or one for each image: [n]. `count`: [n], how many keys there are; the others are fill.
    """

    left: int | None = None
    right: int | None = None
    offset: Size = 0
    count: Tensor | None = None


class Attended(NamedTuple):
    """What attention computes: [n, h, t, v]; the others: [n, h, t, s]."""

    result: Tensor
    products: Tensor
    """Scaled products of queries and keys."""
    capped: Tensor
    """The same behind the soft cap."""
    scores: Tensor
    """With the mask's numbers added; what is hidden is HIDDEN."""
    weights: Tensor
    """The softmax of the scores."""
    seen: Tensor | None
    """Broadcasts to [n, h, t, s]: what is not hidden. None where nothing is."""


CAUSAL = View(right=0)


def attention(
    b: Builder,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    *,
    scale: float | None = None,
    softcap: float = 0.0,
    view: View | None = None,
    infinite: bool = False,
) -> Attended:
    """Return softmax(queries keysᵀ * scale + mask) values: [n, h, t, v], and what comes before it.

    queries: [n, h, t, d], keys: [n, g, s, d], values: [n, g, s, v]; each of g heads serves h / g
    queries' heads. `mask` broadcasts to [n, h, t, s]: numbers are added, booleans say what is seen.
    `scale`: 1 / sqrt(d) by default. `softcap`: if positive, scores go through
    cap * tanh(score / cap). `infinite`: a mask's -inf hides, too, and what a query that sees
    nothing makes is zeros; else -inf has no place in a mask, and such a query sees all alike.
    """
    heads = static_size(queries, 1)
    keys, values = (repeated_heads(b, t, heads) for t in (keys, values))
    factor = 1 / math.sqrt(static_size(queries, -1)) if scale is None else scale
    if factor != 1:
        queries = b("MUL", queries, np.array(factor, F))
    products = product(b, queries, keys, adj_w=True)
    capped = products
    if softcap > 0:
        cap = np.array(softcap, F)
        capped = b("MUL", b("TANH", b("DIV", products, cap)), cap)
    added, seen = _read(b, mask, infinite)
    seen = both(b, seen, None if view is None else in_view(b, products, view))
    scores = capped if added is None else b("ADD", capped, added)
    if seen is not None:
        scores = b("SELECT_V2", seen, scores, HIDDEN)
    weights = softmax(b, scores)
    if infinite and seen is not None:
        weights = _zero_where_nothing(b, weights, seen)
    return Attended(product(b, weights, values), products, capped, scores, weights, seen)


def _read(b: Builder, mask: Tensor | None, infinite: bool) -> tuple[Tensor | None, Tensor | None]:
    """Return a mask as numbers that are added, and as booleans."""
    if mask is None or mask.dtype == np.bool_:
        return None, mask
    if not infinite:
        return mask, None
    if mask.data is not None:
        shown = np.isfinite(mask.data)
        numbers = np.where(shown, mask.data, 0).astype(F)
        added = b.const(numbers, what="mask") if numbers.any() else None
        return added, None if shown.all() else b.const(shown, what="seen")
    # The ends of float32 are finite for the kernel: ADD clamps to them.
    return b("MAXIMUM", mask, LOWEST), b("GREATER", mask, np.array(-np.inf, F))


def both(b: Builder, first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Return where two masks of booleans both show something; None shows all."""
    if first is None or second is None:
        return second if first is None else first
    return b("LOGICAL_AND", first, second)


def _zero_where_nothing(b: Builder, weights: Tensor, seen: Tensor) -> Tensor:
    """Return the weights with zeros in the rows of queries that see nothing."""
    some = b("REDUCE_ANY", seen, np.array([seen.rank - 1], np.int32), keep_dims=True)
    if some.data is not None and some.data.all():
        return weights
    return b("SELECT_V2", some, weights, np.array(0, F))


def in_view(b: Builder, scores: Tensor, view: View) -> Tensor | None:
    """Return which keys each query sees: [t, s], or [n, 1, t, s] where images differ."""
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    rows, columns = (b("RANGE", zero, operand(size_of(b, scores, axis)), one) for axis in (-2, -1))
    seen = None
    if view.left is not None or view.right is not None:
        places = b("EXPAND_DIMS", rows, one)
        if view.offset != 0:
            places = b("ADD", places, _for_images(b, view.offset))
        ahead = b("SUB", columns, places)
        if view.left is not None:
            seen = b("GREATER_EQUAL", ahead, np.array(-view.left, np.int32))
        if view.right is not None:
            seen = both(b, seen, b("LESS_EQUAL", ahead, np.array(view.right, np.int32)))
    if view.count is None:
        return seen
    return both(b, seen, b("LESS", columns, _for_images(b, b.cast(view.count, np.int32))))


def _for_images(b: Builder, numbers: Size) -> Tensor | NDArray[Any]:
    """Return a number as an operand, numbers [n] as [n, 1, 1, 1]."""
    if isinstance(numbers, int) or numbers.rank == 0:
        return operand(numbers)
    return reshaped(b, numbers, [size_of(b, numbers, 0), 1, 1, 1])


def causal_mask(b: Builder, scores: Tensor) -> Tensor:
    """Return which keys each query may see, the first ones up to its own number: [t, s]."""
    seen = in_view(b, scores, CAUSAL)
    assert seen is not None
    return seen


def masked(b: Builder, scores: Tensor, mask: Tensor) -> Tensor:
    """Add a mask of numbers, or hide what a mask of booleans does not show."""
    if mask.dtype == np.bool_:
        return b("SELECT_V2", mask, scores, HIDDEN)
    return b("ADD", scores, mask)


def split_heads(b: Builder, x: Tensor, heads: int) -> Tensor:
    """Return x: [n, t, h * d] as [n, h, t, d]."""
    width = static_size(x, 2)
    if heads < 1 or width % heads:
        raise UnsupportedError(f"{width} channels do not split into {heads} heads")
    n, t, _ = sizes_of(b, x)
    return b.transpose(reshaped(b, x, [n, t, heads, width // heads]), (0, 2, 1, 3))


def joined_heads(b: Builder, x: Tensor) -> Tensor:
    """Return x: [n, h, t, d] as [n, t, h * d]."""
    n, h, t, d = sizes_of(b, x)
    return reshaped(b, b.transpose(x, (0, 2, 1, 3)), [n, t, calculate(b, "MUL", h, d)])


def filled_mask(b: Builder, mask: Tensor, width: Size) -> Tensor:
    """Return a mask of booleans or numbers with what hides behind it, up to a width."""
    own = mask.shape[-1]
    if not isinstance(width, int) or own is None or own >= width:
        return mask
    sizes = [*sizes_of(b, mask)[:-1], width - own]
    hides = np.array(False if mask.dtype == np.bool_ else -np.inf, mask.dtype)
    return joined(b, [mask, b("FILL", vector(b, sizes), hides)], mask.rank - 1)


def repeated_heads(b: Builder, x: Tensor, heads: int) -> Tensor:
    """Return x: [n, g, s, d] with each head repeated, so that there are `heads` of them."""
    own = static_size(x, 1)
    if own == heads:
        return x
    if own == 0 or heads % own:
        raise UnsupportedError(f"{heads} heads of queries share {own} heads of keys and values")
    n, _, s, d = sizes_of(b, x)
    row = reshaped(b, x, [n, own, 1, s, d])
    wide = b("TILE", row, np.array([1, 1, heads // own, 1, 1], np.int32))
    return reshaped(b, wide, [n, heads, s, d])


def rotated(b: Builder, x: Tensor, cosines: Tensor, sines: Tensor, *, interleaved: bool) -> Tensor:
    """Turn pairs of elements of x: [n, h, t, d] by angles; cosines, sines: [n or 1, 1, t, r / 2].

    The first r elements are turned: pairs are neighbours (`interleaved`), or half of r apart.
    """
    width, half = static_size(x, 3), static_size(cosines, 3)
    turned = along(b, x, 3, 0, 2 * half)
    n, h, t, _ = sizes_of(b, x)
    shape = [n, h, t, half, 2] if interleaved else [n, h, t, 2, half]
    pairs = reshaped(b, turned, shape)
    axis = 4 if interleaved else 3
    first, second = (b("GATHER", pairs, np.array(i, np.int32), axis=axis) for i in (0, 1))
    parts = [
        b("SUB", b("MUL", first, cosines), b("MUL", second, sines)),
        b("ADD", b("MUL", first, sines), b("MUL", second, cosines)),
    ]
    y = reshaped(b, b("PACK", *parts, axis=axis, values_count=2), [n, h, t, 2 * half])
    return y if width == 2 * half else joined(b, [y, along(b, x, 3, 2 * half, None)], 3)
