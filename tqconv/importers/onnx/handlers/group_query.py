"""GroupQueryAttention, as ONNX Runtime's builders of language models write it."""

from __future__ import annotations

import numpy as np

from tqconv.compose import attention as compose
from tqconv.compose import scatter
from tqconv.compose.attention import View
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import resized, split_by_sizes
from tqconv.compose.sizes import Size, calculate, inserted, operand, reshaped, size_of
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("com.microsoft:GroupQueryAttention")
def group_query_attention(
    b: ONNXBuilder,
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    total: Tensor | None = None,
    cosines: Tensor | None = None,
    sines: Tensor | None = None,
    places: Tensor | None = None,
    added: Tensor | None = None,
    *,
    num_heads: int,
    kv_num_heads: int,
    do_rotary: int = 0,
    local_window_size: int = -1,
    rotary_interleaved: int = 0,
    scale: float = 0.0,
    smooth_softmax: int = 0,
    softcap: float = 0.0,
) -> list[Tensor]:
    """Attend causally; groups of queries share keys, in front of which those of the past stand.

    lengths: [n], how many keys an image has, less one.
    """
    if lengths is None or smooth_softmax > 0 or b.wants(3):
        raise UnsupportedError("a GroupQueryAttention without lengths, or with a smooth softmax")
    queries, keys, values = _groups(b, query, key, value, num_heads, kv_num_heads)
    steps = size_of(b, queries, 2)
    ends = b("ADD", reshaped(b, b.cast(lengths, np.int32), [-1]), np.array(1, np.int32))
    before = b("MAXIMUM", b("SUB", ends, operand(steps)), np.array(0, np.int32))
    if do_rotary:
        at, near = _places(b, places, before, steps), bool(rotary_interleaved)
        queries, keys = (_turned(b, t, at, cosines, sines, near) for t in (queries, keys))
    count = None
    if past_key is not None and past_value is not None and past_key.shape[2] != 0:
        count = ends
        room = _room(b, past_key, steps, total)
        keys, values = (
            scatter.with_rows_from(b, _widened(b, old, room), new, before, 2, circular=False)
            for old, new in ((past_key, keys), (past_value, values))
        )
    view = View(local_window_size - 1 if local_window_size > 0 else None, 0, before, count)
    factor = scale or None
    made = compose.attention(
        b, queries, keys, values, added, scale=factor, softcap=softcap, view=view
    )
    return [compose.joined_heads(b, made.result), keys, values]


def _groups(
    b: ONNXBuilder, query: Tensor, key: Tensor | None, value: Tensor | None, heads: int, own: int
) -> list[Tensor]:
    if key is None or value is None:
        width = static_size(query, 2) // (heads + 2 * own)
        sizes = b.const(np.array([heads * width, own * width, own * width], np.int32))
        query, key, value = split_by_sizes(b, query, sizes, 2, 3)
    counts = ((query, heads), (key, own), (value, own))
    return [compose.split_heads(b, t, count) for t, count in counts]


def _places(b: ONNXBuilder, places: Tensor | None, before: Tensor, steps: Size) -> Tensor:
    """Return the place of each query, from the start of its image: [n, t]."""
    if places is not None:
        return places
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    return b("ADD", inserted(b, before, 1), b("RANGE", zero, operand(steps), one))


def _turned(
    b: ONNXBuilder,
    x: Tensor,
    places: Tensor,
    cosines: Tensor | None,
    sines: Tensor | None,
    interleaved: bool,
) -> Tensor:
    if cosines is None or sines is None:
        raise UnsupportedError("do_rotary without a cache of cosines and sines")
    angles = [inserted(b, b("GATHER", t, places, axis=0), 1) for t in (cosines, sines)]
    return compose.rotated(b, x, angles[0], angles[1], interleaved=interleaved)


def _room(b: ONNXBuilder, past: Tensor, steps: Size, total: Tensor | None) -> Size:
    """Return how many keys the present has room for: as the past, or as many as there are."""
    room = size_of(b, past, 2)
    if not isinstance(room, int):
        return calculate(b, "ADD", room, steps)
    if total is None:
        return room
    wanted = b.reshape(b.cast(total, np.int32), ())
    return calculate(b, "MAXIMUM", room, wanted if wanted.data is None else int(wanted.data))


def _widened(b: ONNXBuilder, past: Tensor, room: Size) -> Tensor:
    """Return a past with zeros behind its keys, up to the room of the present."""
    more = calculate(b, "SUB", room, size_of(b, past, 2))
    return resized(b, past, [(0, 0), (0, 0), (0, more), (0, 0)])
