"""Attention as ONNX has it since opset 23."""

from __future__ import annotations

import numpy as np

from tqconv.compose import attention as compose
from tqconv.compose.rearrange import joined
from tqconv.compose.sizes import Size, operand, size_of
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

OPEN = -1
"""A window that has no end on that side."""


@handles("Attention", since=23)
def attention(
    b: ONNXBuilder,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    past_keys: Tensor | None = None,
    past_values: Tensor | None = None,
    count: Tensor | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = OPEN,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = OPEN,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
) -> list[Tensor]:
    """Attend to keys, in front of which those of the past may stand; the softmax is float32."""
    flat = queries.rank == 3
    if flat:
        heads, own = _told("q_num_heads", q_num_heads), _told("kv_num_heads", kv_num_heads)
        queries = compose.split_heads(b, queries, heads)
        keys, values = (compose.split_heads(b, t, own) for t in (keys, values))
    offset: Size = 0
    if past_keys is not None and past_values is not None:
        offset = size_of(b, past_keys, 2)
        keys, values = joined(b, [past_keys, keys], 2), joined(b, [past_values, values], 2)
    elif count is not None:
        offset = _behind(b, count, size_of(b, queries, 2))
    left, right = (None if n == OPEN else n for n in (left_window_size, right_window_size))
    right = 0 if is_causal else right
    if mask is not None:
        mask = compose.filled_mask(b, mask, size_of(b, keys, 2))
    made = compose.attention(
        b,
        queries,
        keys,
        values,
        mask,
        scale=scale,
        softcap=softcap,
        view=compose.View(left, right, offset, count),
        infinite=True,
    )
    y = compose.joined_heads(b, made.result) if flat else made.result
    return [y, keys, values, *([_inner(b, made, qk_matmul_output_mode)] if b.wants(3) else [])]


def _told(name: str, number: int | None) -> int:
    if number is None:
        raise UnsupportedError(f"operands of rank 3 without `{name}`")
    return number


def _behind(b: ONNXBuilder, count: Tensor, rows: Size) -> Tensor:
    """Return the place of the first query of each image: its queries are the last of its keys."""
    return b("SUB", b.cast(count, np.int32), operand(rows))


def _inner(b: ONNXBuilder, made: compose.Attended, mode: int) -> Tensor:
    """Return what the fourth result is in one of its modes."""
    if mode not in range(4):
        raise UnsupportedError(f"qk_matmul_output_mode {mode}")
    if mode == 2 and made.seen is not None:
        return b("SELECT_V2", made.seen, made.scores, np.array(-np.inf, np.float32))
    return (made.products, made.capped, made.scores, made.weights)[mode]
