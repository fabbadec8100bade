"""Attention: scaled products of queries and keys choose among values."""

from __future__ import annotations

import math

import numpy as np

from tqconv.compose.activations import softmax
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.products import product
from tqconv.compose.sizes import operand, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

HIDDEN = np.array(-1e9, np.float32)
"""The score of what a mask hides: a finite one leaves rows that are hidden altogether even, where
infinite ones would make them NaN. Keras' Softmax layer has the same."""


def attention(
    b: Builder,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    softcap: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Return softmax(queries keysᵀ * scale + mask) values: [n, h, t, v], and the scores before it.

    queries: [n, h, t, d], keys: [n, g, s, d], values: [n, g, s, v]; each of g heads serves h / g
    queries' heads. `mask` broadcasts to [n, h, t, s]: numbers are added, booleans say what is seen.
    `causal`: query i sees keys up to i. `scale`: 1 / sqrt(d) by default. `softcap`: if positive,
    scores go through cap * tanh(score / cap).
    """
    heads = static_size(queries, 1)
    keys, values = (repeated_heads(b, t, heads) for t in (keys, values))
    factor = 1 / math.sqrt(static_size(queries, -1)) if scale is None else scale
    if factor != 1:
        queries = b("MUL", queries, np.array(factor, np.float32))
    scores = product(b, queries, keys, adj_w=True)
    if softcap > 0:
        cap = np.array(softcap, np.float32)
        scores = b("MUL", b("TANH", b("DIV", scores, cap)), cap)
    if mask is not None:
        scores = masked(b, scores, mask)
    if causal:
        scores = masked(b, scores, causal_mask(b, scores))
    return product(b, softmax(b, scores), values), scores


def masked(b: Builder, scores: Tensor, mask: Tensor) -> Tensor:
    """Add a mask of numbers, or hide what a mask of booleans does not show."""
    if mask.dtype == np.bool_:
        return b("SELECT_V2", mask, scores, HIDDEN)
    return b("ADD", scores, mask)


def causal_mask(b: Builder, scores: Tensor) -> Tensor:
    """Return which keys each query may see, the first ones up to its own number: [t, s]."""
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    rows, columns = (b("RANGE", zero, operand(size_of(b, scores, axis)), one) for axis in (-2, -1))
    return b("GREATER_EQUAL", b("EXPAND_DIMS", rows, np.array(1, np.int32)), columns)


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
