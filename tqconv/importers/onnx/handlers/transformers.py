"""Attention as ONNX Runtime's optimizer and exporters for it write it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose import attention as compose
from tqconv.compose import products
from tqconv.compose.attention import View
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import joined, split_by_sizes, stacked
from tqconv.compose.sizes import Size, calculate, inserted, operand, reshaped, size_of, sizes_of
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError, shaped
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.stored import Params, decoded
from tqconv.ir.graph import Tensor

F = np.float32


def hidden(b: ONNXBuilder, shown: Tensor, value: float) -> Tensor:
    """Return what is added to scores: the value where a mask shows nothing, else 0."""
    return b("SELECT_V2", shown, np.array(0, F), np.array(value, F))


def _padding(b: ONNXBuilder, mask: Tensor, count: Size, images: Size) -> Tensor:
    """Return where a mask of integers shows keys: [n, 1, t or 1, s].

    mask: [n, s], [n, t, s], or, for each image, where its keys end: [n], and begin: [2 n].
    """
    if mask.rank in (2, 3):
        shown = b("GREATER", mask, np.array(0, mask.dtype))
        return inserted(b, shown, 1, 2) if mask.rank == 2 else inserted(b, shown, 1)
    if mask.rank != 1 or not isinstance(images, int):
        raise UnsupportedError(f"a mask of shape {shaped(mask.shape)}")
    if mask.shape[0] not in (images, 2 * images):
        raise UnsupportedError(f"a mask of {mask.shape[0]} numbers for {images} images")
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    places = b("RANGE", zero, operand(count), one)
    ends = reshaped(b, along(b, mask, 0, 0, images), [images, 1, 1, 1])
    shown = b("LESS", places, ends)
    if mask.shape[0] == images:
        return shown
    begins = reshaped(b, along(b, mask, 0, images, None), [images, 1, 1, 1])
    return b("LOGICAL_AND", shown, b("GREATER_EQUAL", places, begins))


def _added(
    b: ONNXBuilder, mask: Tensor | None, bias: Tensor | None, keys: Tensor, value: float
) -> Tensor | None:
    """Return a mask of integers and a bias as one mask of numbers."""
    if mask is None:
        return bias
    numbers = hidden(b, _padding(b, mask, size_of(b, keys, 2), size_of(b, keys, 0)), value)
    return numbers if bias is None else b("ADD", numbers, bias)


@handles("com.microsoft:Attention")
def attention(
    b: ONNXBuilder,
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    past: Tensor | None = None,
    added: Tensor | None = None,
    past_length: Tensor | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: Sequence[int] = (),
    rotary_embedding_dim: int = 0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> list[Tensor]:
    """Project x: [n, t, c] to queries, keys and values at once, and attend."""
    if do_rotary or past_present_share_buffer or past_length is not None:
        raise UnsupportedError("an Attention that turns its keys or shares a buffer with its past")
    y = products.product(b, x, weights)
    y = y if bias is None else b("ADD", y, bias)
    total = static_size(weights, 1)
    widths = list(qkv_hidden_sizes) or [total // 3] * 3
    parts = split_by_sizes(b, y, b.const(np.array(widths, np.int32)), 2, 3)
    queries, keys, values = (compose.split_heads(b, part, num_heads) for part in parts)
    offset: Size = 0
    if past is not None:
        offset = size_of(b, past, 3)
        old = [b("GATHER", past, np.array(i, np.int32), axis=0) for i in (0, 1)]
        keys, values = joined(b, [old[0], keys], 2), joined(b, [old[1], values], 2)
    made = compose.attention(
        b,
        queries,
        keys,
        values,
        _added(b, mask, added, keys, mask_filter_value),
        scale=scale or None,
        view=View(right=0, offset=offset) if unidirectional else None,
    )
    out = compose.joined_heads(b, made.result)
    return [out, stacked(b, [keys, values])] if b.wants(1) else [out]


@handles("com.microsoft:QAttention")
def quantized_attention(
    b: ONNXBuilder,
    x: Tensor,
    weights: Tensor,
    bias: Tensor,
    x_scale: Tensor,
    weights_scale: Tensor,
    mask: Tensor | None = None,
    x_zero: Tensor | None = None,
    weights_zero: Tensor | None = None,
    past: Tensor | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    past_present_share_buffer: int = 0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> list[Tensor]:
    """The same of integers that stand for reals; weights may have a scale for each column."""
    return attention(
        b,
        decoded(b, x, Params(x_scale, x_zero)),
        decoded(b, weights, Params(weights_scale, weights_zero)),
        bias,
        mask,
        past,
        num_heads=num_heads,
        do_rotary=do_rotary,
        mask_filter_value=mask_filter_value,
        past_present_share_buffer=past_present_share_buffer,
        scale=scale,
        unidirectional=unidirectional,
    )


@handles("com.microsoft:MultiHeadAttention")
def multi_head_attention(
    b: ONNXBuilder,
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    added: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    *,
    num_heads: int,
    mask_filter_value: float = -10000.0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> list[Tensor]:
    """Attend with operands that are projected already: [n, t, c], packed, or heads apart."""
    if b.wants(3):
        raise UnsupportedError("the products of a MultiHeadAttention")
    queries, keys, values = _heads(b, query, key, value, bias, num_heads)
    if unidirectional and keys.shape[2] != queries.shape[2]:
        # ONNX Runtime lets the last query see all keys then, and each other one its own number.
        raise UnsupportedError("a unidirectional MultiHeadAttention with other keys than queries")
    offset: Size = 0
    if past_key is not None and past_value is not None:
        offset = size_of(b, past_key, 2)
        keys, values = joined(b, [past_key, keys], 2), joined(b, [past_value, values], 2)
    made = compose.attention(
        b,
        queries,
        keys,
        values,
        _added(b, mask, added, keys, mask_filter_value),
        scale=scale or None,
        view=View(right=0, offset=offset) if unidirectional else None,
    )
    return [compose.joined_heads(b, made.result), keys, values]


def _heads(
    b: ONNXBuilder,
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    bias: Tensor | None,
    heads: int,
) -> list[Tensor]:
    """Return queries, keys and values: [n, heads, t, d]."""
    if query.rank == 5:
        flat = _unpacked(b, query, 3)
    elif key is None:
        raise UnsupportedError("a MultiHeadAttention without keys")
    elif key.rank == 5:
        flat = [query, *_unpacked(b, key, 2)]
    elif value is None:
        raise UnsupportedError("a MultiHeadAttention without values")
    else:
        flat = [query, key, value]
    if bias is not None:
        if any(t.rank != 3 for t in flat):
            raise UnsupportedError("a bias for keys whose heads are apart")
        widths = b.const(np.array([static_size(t, 2) for t in flat], np.int32))
        parts = split_by_sizes(b, bias, widths, 0, 3)
        flat = [b("ADD", t, part) for t, part in zip(flat, parts, strict=True)]
    return [compose.split_heads(b, t, heads) if t.rank == 3 else t for t in flat]


def _unpacked(b: ONNXBuilder, x: Tensor, count: int) -> list[Tensor]:
    """Return the parts of x: [n, t, heads, count, d] as [n, t, heads * d]."""
    n, t, heads, _, width = sizes_of(b, x)
    parts = (b("GATHER", x, np.array(i, np.int32), axis=3) for i in range(count))
    return [reshaped(b, part, [n, t, calculate(b, "MUL", heads, width)]) for part in parts]


@handles("com.microsoft:RotaryEmbedding")
def rotary_of_optimizer(
    b: ONNXBuilder,
    x: Tensor,
    places: Tensor,
    cosines: Tensor,
    sines: Tensor,
    *,
    interleaved: int = 0,
    is_packed_batching: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Tensor:
    """Turn pairs of elements by the angles of their places, or of the first place and on."""
    if is_packed_batching or scale != 1:
        raise UnsupportedError("a RotaryEmbedding of packed images, or with a scale")
    if places.rank == 1:
        zero, one = np.array(0, np.int32), np.array(1, np.int32)
        steps = b("RANGE", zero, operand(size_of(b, x, x.rank - 2)), one)
        places = b("ADD", inserted(b, steps, 0), inserted(b, b.cast(places, np.int32), 0))
    angles = [b("GATHER", t, places, axis=0) for t in (cosines, sines)]
    heads = num_heads
    if x.rank == 3 and not heads:
        heads = static_size(x, 2) // (2 * static_size(cosines, 1))
    return _turned(b, x, angles, heads, bool(interleaved))


@handles("RotaryEmbedding", since=23)
def rotary(
    b: ONNXBuilder,
    x: Tensor,
    cosines: Tensor,
    sines: Tensor,
    places: Tensor | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Tensor:
    """Turn pairs of elements by the angles of their places, or by angles that are given."""
    angles = [cosines, sines]
    if places is not None:
        angles = [b("GATHER", t, places, axis=0) for t in angles]
    return _turned(b, x, angles, num_heads, bool(interleaved))


def _turned(
    b: ONNXBuilder, x: Tensor, angles: Sequence[Tensor], heads: int, interleaved: bool
) -> Tensor:
    """Return x: [n, t, c] or [n, heads, t, d], turned by [n or 1, t, r / 2] cosines and sines."""
    cosines, sines = (inserted(b, t, 1) for t in angles)
    if x.rank == 4:
        return compose.rotated(b, x, cosines, sines, interleaved=interleaved)
    y = compose.split_heads(b, x, heads)
    return compose.joined_heads(b, compose.rotated(b, y, cosines, sines, interleaved=interleaved))
