"""Operations of Keras 3 that multiply and sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import attention as attending
from tqconv.compose import einsum as sums
from tqconv.compose import products
from tqconv.compose.sizes import reshaped, sizes_of
from tqconv.importers.keras.layers.operations import INT32, THEIRS, operands
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor


@handles("ops.Matmul", "ops.Dot")
def matmul(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Multiply matrices; leading axes broadcast."""
    dots = b.layer.op == "ops.Dot"
    x, y = operands(b, xs, args, numbers=INT32 if dots else THEIRS)
    x, y = (x, y) if dots else _factors(b, [x, y])
    if 0 in (x.rank, y.rank):
        return b("MUL", x, y)
    if x.rank < 2 or y.rank < 2 or (b.layer.op == "ops.Dot" and y.rank > 2):
        if y.rank == 1 and x.rank >= 2:
            column = b("EXPAND_DIMS", y, np.array(1, np.int32))
            made = products.product(b, x, column)
            return reshaped(b, made, sizes_of(b, made)[:-1])
        return tensordot(b, x, y, axes=[[x.rank - 1], [max(y.rank - 2, 0)]])
    return products.product(b, x, y)


@handles("ops.Tensordot")
def tensordot(b: KerasBuilder, *xs: Tensor, axes: Any = 2, args: Any = None) -> Tensor:
    """Multiply and sum along axes of either operand."""
    x, y = operands(b, xs, args)
    pair: list[list[int]]
    if isinstance(axes, int):
        pair = [list(range(x.rank - axes, x.rank)), list(range(axes))]
    else:
        pair = [[a] if isinstance(a, int) else list(a) for a in axes]
    names = "abcdefghijklmnopqrstuvwxyz"
    left = list(names[: x.rank])
    right = list(names[x.rank : x.rank + y.rank])
    for one, other in zip(*pair, strict=True):
        right[other] = left[one]
    out = [n for n in left if n not in right] + [n for n in right if n not in left]
    return sums.einsum(b, f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)


@handles("ops.Einsum")
def einsum(b: KerasBuilder, *xs: Tensor, subscripts: str, args: Any = None) -> Tensor:
    """Multiply and sum as the subscripts say."""
    return sums.einsum(b, subscripts, *_factors(b, operands(b, xs, args)))


def _factors(b: KerasBuilder, xs: list[Tensor]) -> list[Tensor]:
    """Return factors in the type of their sums: bytes add up to int32."""
    return [b.cast(x, np.int32) if x.dtype == np.int8 else x for x in xs]


@handles("ops.DotProductAttention")
def dot_product_attention(
    b: KerasBuilder,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """Attend with heads behind the steps: [n, t, h, d]."""
    q, k, v = (b.transpose(b.real(t), (0, 2, 1, 3)) for t in (query, key, value))
    seen = None if bias is None else b.real(tensor(b, bias, what="bias"))
    if mask is not None:
        shown = b.cast(tensor(b, mask, what="mask"), np.bool_)
        seen = shown if seen is None else b("SELECT_V2", shown, seen, attending.HIDDEN)
    made = attending.attention(
        b,
        q,
        k,
        v,
        seen,
        scale=scale,
        softcap=attn_logits_soft_cap or 0.0,
        view=attending.CAUSAL if is_causal else None,
    )
    return b.transpose(made.result, (0, 2, 1, 3))
