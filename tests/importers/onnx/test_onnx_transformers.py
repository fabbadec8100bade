"""What ONNX Runtime's optimizer writes for transformers, against numpy.

The same models, with other numbers, agree with ONNX Runtime 1.32 to 4e-7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Array, assert_like_reference, load, network, node

from tqconv.errors import UnsupportedError

F = np.float32
RNG = np.random.default_rng(9)
MS = "com.microsoft"
N, T, HEADS, WIDTH = 2, 5, 3, 4


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(F)


def apart(x: Array, heads: int) -> Array:
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attended(q: Array, k: Array, v: Array, added: Any = 0, scale: float | None = None) -> Array:
    """Return softmax(q kᵀ scale + added) v, the heads side by side."""
    k, v = (np.repeat(t, q.shape[1] // t.shape[1], 1) for t in (k, v))
    scores = q @ k.swapaxes(2, 3) * (scale or q.shape[-1] ** -0.5) + added
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = weights / weights.sum(-1, keepdims=True) @ v
    return y.transpose(0, 2, 1, 3).reshape(*y.shape[:1], y.shape[2], -1)


def causal(rows: int, columns: int, offset: int = 0) -> Array:
    return np.where(np.arange(columns) <= np.arange(rows)[:, None] + offset, 0, -1e9)


def check(folder: Path, one: Any, feeds: Any, constants: Any, *want: Array) -> None:
    outputs = [name for name in one.output if name]
    assert_like_reference(network([one], feeds, outputs, constants), folder, feeds, want)


MASKS: dict[str, Array] = {
    "none": np.zeros(0, np.int32),
    "rows": np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32),
    # Every query sees the first key: float32 tells scores of -10000 apart by a thousandth only.
    "images": np.maximum(np.random.default_rng(1).integers(0, 2, (N, T, T)), np.arange(T) == 0),
    "ends": np.array([3, 5], np.int32),
    "both": np.array([3, 5, 1, 0], np.int32),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("ahead", [0, 1])
def test_attention(tmp_path: Path, mask: str, ahead: int) -> None:
    constants = {"w": normal(8, 36), "b": normal(36)}
    feeds = {"x": normal(N, T, 8), **({} if mask == "none" else {"m": MASKS[mask]})}
    at = np.arange(T)
    shown = {
        "none": lambda: np.ones((1, 1, 1, T)),
        "rows": lambda: MASKS["rows"][:, None, None],
        "images": lambda: MASKS["images"][:, None],
        "ends": lambda: (at < MASKS["ends"][:, None])[:, None, None],
        "both": lambda: ((at < np.array([[3], [5]])) & (at >= np.array([[1], [0]])))[:, None, None],
    }[mask]()
    added = np.where(shown, 0, -10000.0) + (causal(T, T) if ahead else 0)
    one = node(
        "Attention",
        f"x w b {'_' if mask == 'none' else 'm'}",
        "y",
        MS,
        num_heads=HEADS,
        unidirectional=ahead,
    )
    y = feeds["x"] @ constants["w"] + constants["b"]
    q, k, v = (apart(part, HEADS) for part in np.split(y, 3, 2))
    check(tmp_path, one, feeds, constants, attended(q, k, v, added))


def test_attention_with_a_past(tmp_path: Path) -> None:
    constants = {"w": normal(8, 36), "b": normal(36)}
    feeds = {"x": normal(N, T, 8), "p": normal(2, N, HEADS, 3, WIDTH)}
    one = node("Attention", "x w b _ p", "y present", MS, num_heads=HEADS, unidirectional=1)
    y = feeds["x"] @ constants["w"] + constants["b"]
    q, k, v = (apart(part, HEADS) for part in np.split(y, 3, 2))
    k, v = (np.concatenate([old, new], 2) for old, new in zip(feeds["p"], (k, v), strict=True))
    check(tmp_path, one, feeds, constants, attended(q, k, v, causal(T, 8, 3)), np.stack([k, v]))


def test_multi_head_attention(tmp_path: Path) -> None:
    feeds = {"q": normal(N, T, 12), "k": normal(N, 6, 12), "v": normal(N, 6, 9)}
    mask, added = np.array([[1, 1, 1, 0, 0, 0], [1] * 6], np.int32), normal(N, HEADS, T, 6)
    constants = {"b": normal(33)}
    one = node("MultiHeadAttention", "q k v b m a", "y", MS, num_heads=HEADS, scale=0.3)
    parts = np.split(constants["b"], [12, 24])
    q, k, v = (apart(t + p, HEADS) for t, p in zip(feeds.values(), parts, strict=True))
    scores = added + np.where(mask[:, None, None], 0, -10000.0)
    feeds |= {"m": mask, "a": added}
    check(tmp_path, one, feeds, constants, attended(q, k, v, scores, 0.3))


@pytest.mark.parametrize("packed", ["qkv", "kv", "heads"])
def test_packed_operands(tmp_path: Path, packed: str) -> None:
    q, k, v = (normal(N, T, HEADS, WIDTH) for _ in range(3))
    side = q.reshape(N, T, -1)
    feeds = {
        "qkv": {"q": np.stack([q, k, v], 3)},
        "kv": {"q": side, "k": np.stack([k, v], 3)},
        "heads": {"q": side, "k": k.transpose(0, 2, 1, 3), "v": v.transpose(0, 2, 1, 3)},
    }[packed]
    one = node("MultiHeadAttention", " ".join(feeds), "y", MS, num_heads=HEADS)
    want = attended(*(t.transpose(0, 2, 1, 3) for t in (q, k, v)))
    check(tmp_path, one, feeds, {}, want)


def turned(x: Array, places: Array, angles: Array, near: int) -> Array:
    cosines, sines = (f(angles)[places][:, None] for f in (np.cos, np.sin))
    half = angles.shape[1]
    if near:
        first, second = x[..., : 2 * half : 2], x[..., 1 : 2 * half : 2]
    else:
        first, second = x[..., :half], x[..., half : 2 * half]
    parts = (first * cosines - second * sines, first * sines + second * cosines)
    y = np.stack(parts, -1).reshape(*x.shape[:3], -1) if near else np.concatenate(parts, -1)
    return np.concatenate([y, x[..., 2 * half :]], -1)


@pytest.mark.parametrize("near", [0, 1])
@pytest.mark.parametrize("form", ["heads", "side by side", "first place"])
def test_rotary_embedding(tmp_path: Path, near: int, form: str) -> None:
    angles = RNG.uniform(0, 6, (20, 2)).astype(F)
    constants = {"c": np.cos(angles), "s": np.sin(angles)}
    x = normal(N, HEADS, T, WIDTH if form != "side by side" else 6)
    places = RNG.integers(0, 20, (N, T)) if form != "first place" else np.arange(T)[None] + 2
    given = places if form != "first place" else np.array([2])
    side = form == "side by side"
    feeds = {"x": x.transpose(0, 2, 1, 3).reshape(N, T, -1) if side else x, "p": given}
    told = {"num_heads": HEADS, "rotary_embedding_dim": 4} if side else {}
    one = node("RotaryEmbedding", "x p c s", "y", MS, interleaved=near, **told)
    want = turned(x, places, angles, near)
    want = want.transpose(0, 2, 1, 3).reshape(N, T, -1) if side else want
    check(tmp_path, one, feeds, constants, want)


@pytest.mark.parametrize("rotary", [0, 1])
@pytest.mark.parametrize("past", [0, 6, 9])
@pytest.mark.parametrize("window", [-1, 3])
@pytest.mark.parametrize("known", [True, False])
def test_group_query_attention(
    tmp_path: Path, rotary: int, past: int, window: int, known: bool
) -> None:
    steps, before = (5, 0) if past == 0 else (2, 6)
    angles = RNG.uniform(0, 6, (20, 4)).astype(F)
    total = before + steps
    constants = {"t": np.array(total, np.int32), "c": np.cos(angles), "s": np.sin(angles)}
    q, k, v = normal(N, steps, 4 * 8), normal(N, steps, 2 * 8), normal(N, steps, 2 * 8)
    old = {"pk": normal(N, 2, past, 8), "pv": normal(N, 2, past, 8)} if past else {}
    feeds = {"q": q, "k": k, "v": v, **old, "l": np.full(N, total - 1, np.int32)}
    reads = f"q k v {'pk pv' if past else '_ _'} l t{' c s' if rotary else ''}"
    told = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": rotary, "local_window_size": window}
    one = node("GroupQueryAttention", reads, "y k2 v2", MS, **told)
    queries, keys, values = apart(q, 4), apart(k, 2), apart(v, 2)
    if rotary:
        places = np.tile(np.arange(before, total), (N, 1))
        queries, keys = (turned(t, places, angles, 0) for t in (queries, keys))
    presents = []
    for name, new in (("pk", keys), ("pv", values)):
        room = np.zeros((N, 2, max(past, total), 8), F)
        room[:, :, :past] = old.get(name, room[:, :, :0])
        room[:, :, before:total] = new
        presents.append(room)
    seen = causal(steps, total, before)
    if window > 0:
        near = np.arange(total) > np.arange(steps)[:, None] + before - window
        seen = np.where(near, seen, -1e9)
    want = attended(queries, *(t[:, :, :total] for t in presents), seen)
    used = {n: a for n, a in constants.items() if rotary or n == "t"}
    if not known:
        feeds["t"] = used.pop("t")
    check(tmp_path, one, feeds, used, want, *presents)


def normalized(x: Array, scale: Array, offset: Any = 0, centered: bool = True) -> Array:
    y = x - x.mean(-1, keepdims=True) if centered else x
    return y / np.sqrt((y**2).mean(-1, keepdims=True) + 1e-5) * scale + offset


@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_skips(tmp_path: Path, op: str) -> None:
    feeds = {"x": normal(N, T, 8), "k": normal(N, T, 8)}
    constants = {"g": normal(8), "b": normal(8), "c": normal(8)}
    plain = op == "SkipLayerNormalization"
    one = node(op, "x k g b c" if plain else "x k g c", "y _ _ z", MS, epsilon=1e-5)
    total = feeds["x"] + feeds["k"] + constants["c"]
    want = normalized(total, constants["g"], constants["b"] if plain else 0, plain)
    used = {n: a for n, a in constants.items() if plain or n != "b"}
    check(tmp_path, one, feeds, used, want, total)


@pytest.mark.parametrize("whole", [True, False])
def test_embeddings(tmp_path: Path, whole: bool) -> None:
    ids = RNG.integers(0, 9, (N, T)).astype(np.int32)
    constants = {"w": normal(9, 8), "p": normal(7, 8), "e": normal(2, 8), "g": normal(8)}
    constants["b"] = normal(8)
    feeds = {"i": ids, **({"s": ids % 2, "m": MASKS["rows"]} if whole else {})}
    reads = "i s w p e g b m" if whole else "i _ w p _ g b"
    one = node("EmbedLayerNormalization", reads, "y count", MS, epsilon=1e-5)
    total = constants["w"][ids] + constants["p"][:T]
    total = total + constants["e"][ids % 2] if whole else total
    used = {n: a for n, a in constants.items() if whole or n != "e"}
    count = MASKS["rows"].sum(1) if whole else np.zeros(N)
    want = normalized(total, constants["g"], constants["b"])
    check(tmp_path, one, feeds, used, want, count.astype(np.int32))


def test_what_onnx_runtime_does_otherwise_is_refused(tmp_path: Path) -> None:
    feeds = {"q": normal(N, T, 12), "k": normal(N, 6, 12), "v": normal(N, 6, 12)}
    one = node("MultiHeadAttention", "q k v", "y", MS, num_heads=3, unidirectional=1)
    with pytest.raises(UnsupportedError, match="other keys than queries"):
        load(network([one], feeds, ["y"]), tmp_path)


@pytest.mark.parametrize("axis", [-1, 1])
def test_what_a_norm_without_the_mean_multiplied_by(tmp_path: Path, axis: int) -> None:
    x = normal(N, T, 8)
    scale = normal(*x.shape[axis:])
    axes = tuple(range(axis % 3, 3))
    factor = 1 / np.sqrt(np.square(x).mean(axes, keepdims=True) + 1e-3)
    told: dict[str, Any] = {"axis": axis, "epsilon": 1e-3}
    one = node("SimplifiedLayerNormalization", "x s", "y k2", **told)
    model = network([one], {"x": x}, ["y", "k2"], {"s": scale})
    assert_like_reference(model, tmp_path, {"x": x}, [x * factor * scale, factor])
