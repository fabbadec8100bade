"""Attention layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import attention as compose
from tqconv.compose import products
from tqconv.compose.activations import softmax
from tqconv.compose.sizes import inserted
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


def masks_of(b: KerasBuilder, given: Any, count: int) -> list[Tensor | None]:
    """Return the masks of the first inputs: those of the call, or those handed on."""
    found = list(given) if isinstance(given, list | tuple) else []
    implicit = [*b.masks, *[None] * count][:count]
    found = [*found, *[None] * count][:count]
    return [f if f is not None else i for f, i in zip(found, implicit, strict=True)]


def _attended(
    b: KerasBuilder,
    scores: Tensor,
    value: Tensor,
    masks: Sequence[Tensor | None],
    causal: bool,
    return_scores: bool,
) -> Sequence[Tensor]:
    """Return softmax(scores) value; scores: [n, t, s], value: [n, s, v], masks: [n, t], [n, s]."""
    query_mask, value_mask = masks
    if value_mask is not None:
        scores = compose.masked(b, scores, inserted(b, b.cast(value_mask, np.bool_), 1))
    if causal:
        scores = compose.masked(b, scores, compose.causal_mask(b, scores))
    weights = softmax(b, scores)
    y = products.product(b, weights, value)
    b.mask = query_mask
    if query_mask is not None:
        y = b("MUL", y, b.cast(b("EXPAND_DIMS", query_mask, np.array(2, np.int32)), F))
    return [y, weights] if return_scores else [y]


def _sum_of_tanh(b: KerasBuilder, query: Tensor, key: Tensor, before: Tensor | None) -> Tensor:
    """Return tanh(before * (query + key)) of each pair: [n, t, s, d]."""
    wide_query = b("EXPAND_DIMS", query, np.array(2, np.int32))
    wide_key = b("EXPAND_DIMS", key, np.array(1, np.int32))
    total = b("ADD", wide_query, wide_key)
    return b("TANH", total if before is None else b("MUL", total, before))


LAST_OF_FOUR = np.array([3], np.int32)


@handles("Attention")
def attention(
    b: KerasBuilder,
    query: Tensor,
    value: Tensor,
    key: Tensor | None = None,
    *,
    use_scale: bool = False,
    score_mode: str = "dot",
    use_causal_mask: bool = False,
    causal: bool = False,
    return_attention_scores: bool = False,
    mask: Any = None,
) -> Sequence[Tensor]:
    """Choose among values by products, or sums, of queries and keys."""
    query, value = b.real(query), b.real(value)
    key = value if key is None else b.real(key)
    scale = b.weights.get("scale")
    if score_mode == "concat":
        total = b("SUM", _sum_of_tanh(b, query, key, scale), LAST_OF_FOUR, keep_dims=False)
        scores = b("MUL", total, b.weight("concat_score_weight"))
    else:
        scores = products.product(b, query, key, adj_w=True)
        scores = scores if scale is None else b("MUL", scores, scale)
    masks = masks_of(b, mask, 2)
    return _attended(b, scores, value, masks, use_causal_mask or causal, return_attention_scores)


@handles("AdditiveAttention")
def additive_attention(
    b: KerasBuilder,
    query: Tensor,
    value: Tensor,
    key: Tensor | None = None,
    *,
    use_scale: bool = True,
    use_causal_mask: bool = False,
    causal: bool = False,
    return_attention_scores: bool = False,
    mask: Any = None,
) -> Sequence[Tensor]:
    """Choose among values by the sum of scale * tanh(query + key)."""
    query, value = b.real(query), b.real(value)
    key = value if key is None else b.real(key)
    parts = _sum_of_tanh(b, query, key, None)
    scale = b.weights.get("scale")
    parts = parts if scale is None else b("MUL", parts, scale)
    scores = b("SUM", parts, LAST_OF_FOUR, keep_dims=False)
    masks = masks_of(b, mask, 2)
    return _attended(b, scores, value, masks, use_causal_mask or causal, return_attention_scores)
