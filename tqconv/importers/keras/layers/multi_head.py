"""Attention of several heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import attention as compose
from tqconv.compose import einsum as sums
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import Size, calculate, inserted, reshaped, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.attention import masks_of
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of
from tqconv.records import dataclass


@dataclass(frozen=True)
class Layout:
    """How a tensor stands as [n, t, c]: the axes of n, those of t, and their sizes."""

    batch: list[int]
    steps: list[int]
    sizes: list[Size]

    @property
    def order(self) -> list[int]:
        """The axes, those of n first."""
        return [*self.batch, *self.steps, len(self.sizes) - 1]

    @property
    def is_plain(self) -> bool:
        """Whether the tensor is [n, t, c] already."""
        return self.order == [0, 1, 2]


def _layout(b: KerasBuilder, x: Tensor, axes: Any) -> Layout:
    """Return how to see a tensor; axes None: all between the first and the last are steps."""
    if axes is None:
        steps = list(range(1, x.rank - 1))
    else:
        steps = [axis_of(a, x.rank) for a in ([axes] if isinstance(axes, int) else axes)]
    if not steps or 0 in steps or x.rank - 1 in steps:
        raise UnsupportedError(f"attention over the axes {axes} of a tensor of rank {x.rank}")
    batch = [axis for axis in range(x.rank - 1) if axis not in steps]
    return Layout(batch, steps, sizes_of(b, x))


def _flat(b: KerasBuilder, x: Tensor, layout: Layout) -> Tensor:
    """Return a tensor as [n, t, c]."""
    if layout.is_plain:
        return x
    parts = [[layout.sizes[axis] for axis in axes] for axes in (layout.batch, layout.steps)]
    counts = [calculate(b, "MUL", 1, *part) for part in parts]
    return reshaped(b, b.transpose(x, layout.order), [*counts, layout.sizes[-1]])


def _wide(b: KerasBuilder, y: Tensor, layout: Layout, last: Sequence[int]) -> Tensor:
    """Return [n, t, c] in the layout that its query had; `last`: the sizes that c stands for."""
    if layout.is_plain and len(last) == 1:
        return y
    sizes = [layout.sizes[axis] for axis in (*layout.batch, *layout.steps)]
    y = reshaped(b, y, [*sizes, *last])
    order = layout.order[:-1]
    back = [order.index(axis) for axis in range(len(order))]
    return b.transpose(y, (*back, *range(len(order), y.rank)))


@handles("MultiHeadAttention", "GroupQueryAttention")
def multi_head(
    b: KerasBuilder,
    query: Tensor,
    value: Tensor,
    key: Tensor | None = None,
    *,
    num_heads: int | None = None,
    key_dim: int | None = None,
    value_dim: int | None = None,
    head_dim: int | None = None,
    num_query_heads: int | None = None,
    num_key_value_heads: int | None = None,
    use_bias: bool = True,
    output_shape: Any = None,
    attention_axes: Any = None,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
    attention_mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    value_mask: Tensor | None = None,
    key_mask: Tensor | None = None,
    use_gate: bool = False,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    mask: Any = None,
) -> Sequence[Tensor]:
    """Project queries, keys and values to heads, attend in each, and project back.

    attention_axes: those along which queries look for keys; of others each place is on its own.
    use_gate: what is found is multiplied by a sigmoid of the query. sliding_window: a query sees
    keys less than so many places away. Keras 3 has two ways to compute it: where scores are asked
    for, or dropped, a query that sees nothing finds zeros; else it sees all alike.
    """
    layout = _layout(b, query, attention_axes)
    key = value if key is None else key
    flat = [_flat(b, b.real(t), _layout(b, t, attention_axes)) for t in (query, key, value)]
    implicit = masks_of(b, mask, 3)
    masks = _masks(b, (query_mask, value_mask, key_mask), implicit)
    seen = _seen(b, masks[0], masks[1:], attention_mask)
    if query.rank != 3 and (seen is not None or use_causal_mask):
        raise UnsupportedError(f"{b.layer.op} with a mask over a tensor of rank {query.rank}")
    b.mask = implicit[0]
    q, k, v = (_heads(b, t, name) for t, name in zip(flat, ("query", "key", "value"), strict=True))
    view = _view(use_causal_mask, sliding_window)
    by_softmax = b.major >= 3 and (return_attention_scores or dropout > 0 or query.rank != 3)
    attended = compose.attention(b, q, k, v, seen, view=view, infinite=by_softmax)
    gate = _heads(b, flat[0], "gate") if use_gate else None
    found = attended.result if gate is None else b("MUL", attended.result, b("LOGISTIC", gate))
    y = _joined(b, found, layout)
    return [y, _scores(b, attended.weights, layout)] if return_attention_scores else [y]


def _masks(
    b: KerasBuilder, explicit: Sequence[Tensor | None], implicit: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Return the masks of query, value and key: those that the call names, or those handed on.

    Keras 3 looks at the mask that the query carries, whatever `query_mask` says.
    """
    named = [None, *explicit[1:]] if b.major >= 3 else explicit
    return [i if e is None else e for e, i in zip(named, implicit, strict=True)]


def _view(is_causal: bool, window: int | None) -> compose.View | None:
    if window is None:
        return compose.CAUSAL if is_causal else None
    return compose.View(left=window - 1, right=0 if is_causal else window - 1)


def _joined(b: KerasBuilder, found: Tensor, layout: Layout) -> Tensor:
    """Return what all heads, [n, h, t, d], project to, where the query's places stand."""
    kernel, bias = b.weight("output_kernel"), b.weights.get("output_bias")
    last = [static_size(kernel, axis) for axis in range(2, kernel.rank)]
    count = math.prod(last)
    y = sums.einsum(b, "bhtd,hdo->bto", found, b.reshape(kernel, [*kernel.shape[:2], count]))
    y = y if bias is None else b("ADD", y, b.reshape(bias, [count]))
    return _wide(b, y, layout, last)


def _scores(b: KerasBuilder, weights: Tensor, layout: Layout) -> Tensor:
    """Return the weights [n, h, t, s] with the axes of n and t apart; keys stand as queries do."""
    if layout.is_plain:
        return weights
    if len(layout.steps) > 1:
        raise UnsupportedError("the scores of attention over several axes")
    batch = [layout.sizes[axis] for axis in layout.batch]
    return reshaped(b, weights, [*batch, *sizes_of(b, weights)[1:]])


def _heads(b: KerasBuilder, x: Tensor, name: str) -> Tensor:
    """Return x: [n, t, c] projected to [n, heads, t, d]."""
    y = sums.einsum(b, "btc,chd->bthd", x, b.weight(f"{name}_kernel"))
    bias = b.weights.get(f"{name}_bias")
    y = y if bias is None else b("ADD", y, bias)
    return b.transpose(y, (0, 2, 1, 3))


def _seen(
    b: KerasBuilder,
    query_mask: Tensor | None,
    others: Sequence[Tensor | None],
    attention_mask: Tensor | None,
) -> Tensor | None:
    """Return which keys each query sees: [n, 1, t, s], all masks together."""
    parts = []
    if query_mask is not None:
        parts.append(inserted(b, b.cast(query_mask, np.bool_), 1, 3))
    parts += [inserted(b, b.cast(m, np.bool_), 1, 2) for m in others if m is not None]
    if attention_mask is not None:
        flags = b.cast(attention_mask, np.bool_)
        parts.append(inserted(b, flags, 1) if flags.rank == 3 else flags)
    if not parts:
        return None
    seen = parts[0]
    for part in parts[1:]:
        seen = b("LOGICAL_AND", seen, part)
    return seen
