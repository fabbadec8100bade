"""Examples of attention."""

from __future__ import annotations

import math
from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example
from networks_keras import Array


@example("Attention", "AdditiveAttention", count=16)
def attention(d: Draw, op: str) -> Example:
    t, s, width, causal = d.number(1, 4), d.number(1, 4), 3, d.flag()
    q, v = d.reals(2, t, width), d.reals(2, s, width)
    k = d.reals(2, s, width) if d.flag() else v
    options: dict[str, Any] = {"use_scale": d.flag(), "dropout": 0.5}
    named: dict[str, Any] = {"use_causal_mask": causal}
    shown, hidden = np.ones((2, t), bool), None  # where queries count
    seen = np.tril(np.ones((2, t, s), bool)) if causal else np.ones((2, t, s), bool)
    how = d.one_of("none", "layer", "keyword")
    if how == "layer":
        hidden = shown = d.shown(2, t)
        q = q * hidden[..., None]
    elif how == "keyword":
        others = d.shown(2, s)
        others[:, 0] = True  # so that each query sees something
        shown, seen = d.shown(2, t), seen & others[:, None]
        named["mask"] = [shown, others]
    scale = d.reals(*(() if op == "Attention" else (width,)))
    factor, weights = (scale, [scale]) if options["use_scale"] else (F(1), [])
    pairs = q[:, :, None] + k[:, None]
    if op == "AdditiveAttention":
        scores = (np.tanh(pairs) * factor).sum(-1)
    elif d.flag():
        options["score_mode"] = "concat"
        weights.append(d.reals())
        scores = np.tanh(pairs * factor).sum(-1) * weights[-1]
    else:
        scores = q @ k.swapaxes(1, 2) * factor
    chosen = ref.softmax(np.where(seen, scores, -1e9))
    ys = [chosen @ v * shown[..., None]]
    if d.flag():
        named["return_attention_scores"] = True
        ys.append(chosen)
    made = Example(options, [q, v] if k is v else [q, v, k], ys, weights, named, [hidden])
    made.carried = shown if hidden is not None else None
    return made


def view(t: int, s: int, causal: bool, window: int | None) -> Array:
    """Return which of s keys each of t queries may look at by their places."""
    apart = np.arange(t)[:, None] - np.arange(s)
    near = np.ones((t, s), bool) if window is None else np.abs(apart) < window
    return near & (apart >= 0) if causal else near


def masks(d: Draw, named: dict[str, Any], seen: Array) -> tuple[Array, Array | None]:
    """Return what queries see behind masks, seen: [n, t, s], and what hides queries in front."""
    n, t, s = seen.shape
    hidden = d.shown(n, t) if d.flag() else None
    if hidden is not None:
        seen = seen & hidden[:, :, None]
    if d.flag():
        named["attention_mask"] = d.flags(n, t, s)
        seen = seen & named["attention_mask"]
    if d.major >= 3:  # its keywords for the masks of values and keys
        for name in ("value_mask", "key_mask"):
            if d.flag():
                named[name] = d.shown(n, s)
                seen = seen & named[name][:, None]
    return seen, hidden


@example("MultiHeadAttention", count=32)
def multi_head(d: Draw, op: str) -> Example:
    return over_axes(d) if d.one_of(False, False, True) else heads(d, op)


def over_axes(d: Draw) -> Example:
    """Attend along some axes of x: [n, r, t, c] to itself; places of another axis are apart."""
    count, width, axes = d.number(1, 2), d.number(2, 3), d.one_of([1], [2], [1, 2], None)
    gate, shows = d.major >= 3 and d.flag(), axes in ([1], [2]) and d.flag()
    x = d.reals(2, 2, 3, 4)
    rows = {"[1]": x.swapaxes(1, 2), "[2]": x}.get(str(axes), x.reshape(2, 1, 6, 4))
    weights, made = [], {}
    for part in ("query", "key", *(["gate"] if gate else []), "value"):
        weights += [d.reals(4, count, width), d.reals(count, width)]
        made[part] = np.einsum("nrtc,chd->nrhtd", rows, weights[-2]) + weights[-1][:, None]
    scores = made["query"] @ made["key"].swapaxes(-1, -2) / math.sqrt(width)
    chosen = ref.softmax(scores)
    y = chosen @ made["value"]
    y = y * ref.sigmoid(made["gate"]) if gate else y
    weights += [d.reals(count, width, 5), d.reals(5)]
    y = np.einsum("nrhtd,hdo->nrto", y, weights[-2]) + weights[-1]
    y = y.swapaxes(1, 2) if axes == [1] else y.reshape(2, 2, 3, 5)
    options: dict[str, Any] = {"num_heads": count, "key_dim": width, "attention_axes": axes}
    options |= {"output_shape": [5], **({"use_gate": True} if gate else {})}
    options |= shapes(d, query=x, value=x, key=x)
    named = {"value": x.copy(), "return_attention_scores": shows}
    return Example(options, [x], [y, chosen] if shows else [y], weights, named)


def shapes(d: Draw, **operands: Array) -> dict[str, Any]:
    """Return what the configuration of Keras 2 says of the operands."""
    return {f"{name}_shape": x.shape for name, x in operands.items()} if d.major < 3 else {}


@example("GroupQueryAttention", majors=[3], count=24)
def heads(d: Draw, op: str) -> Example:
    """Where Keras 3 takes a softmax, a query that sees nothing finds zeros; else it sees all."""
    grouped = op == "GroupQueryAttention"
    groups, times, width = d.number(1, 2), d.number(1, 2), d.number(2, 3)
    count, wide = groups * times, width if grouped else d.number(2, 3)
    t, s, channels = d.number(1, 4), d.number(1, 4), 4
    q, v = d.reals(2, t, channels), d.reals(2, s, channels if grouped else 5)
    k = d.reals(2, s, 3) if d.flag() else v
    options: dict[str, Any] = {"use_bias": d.flag(), "dropout": d.one_of(0.0, 0.5)}
    sizes = {"num_query_heads": count, "num_key_value_heads": groups, "head_dim": width}
    own = {"num_heads": count, "key_dim": width, "value_dim": wide}
    options |= sizes if grouped else own
    gate, window, outputs = False, None, [channels]
    options |= shapes(d, query=q, value=v, key=k)
    if d.major >= 3:
        gate, window = (wide == width and d.flag()), d.one_of(None, 1, 2)
        options |= {"use_gate": gate, "sliding_window": window}
    if not grouped and d.flag():
        outputs = d.one_of([3], [2, 3])
        options["output_shape"] = outputs
    named: dict[str, Any] = {"value": v, **({} if k is v else {"key": k})}
    causal, shows = d.flag(), d.flag()
    seen, hidden = masks(d, named, np.broadcast_to(view(t, s, causal, window), (2, t, s)))
    q = q if hidden is None else q * hidden[..., None]
    named |= {"use_causal_mask": causal, "return_attention_scores": shows}
    inner = groups if grouped else count
    parts = {"query": (q, count, width), "key": (k, inner, width)}
    parts |= {"gate": (q, count, width)} if gate else {}
    parts |= {"value": (v, inner, wide)}
    weights, made = [], {}
    for name, (x, number, depth) in parts.items():
        weights.append(d.reals(x.shape[-1], number, depth))
        made[name] = np.einsum("ntc,chd->nhtd", x, weights[-1])
        if options["use_bias"]:
            weights.append(d.reals(number, depth))
            made[name] = made[name] + weights[-1][:, None]
    keys, values = (np.repeat(made[name], count // inner, 1) for name in ("key", "value"))
    scores = made["query"] @ keys.swapaxes(-1, -2) / math.sqrt(width)
    seen = seen[:, None]
    chosen = ref.softmax(np.where(seen, scores, -1e9))
    if d.major >= 3 and (shows or options["dropout"] > 0):
        chosen = np.where(seen, chosen, 0)
    found = chosen @ values
    found = found * ref.sigmoid(made["gate"]) if gate else found
    weights.append(d.reals(count, wide, *outputs))
    y = np.tensordot(found.transpose(0, 2, 1, 3), weights[-1], 2)
    if options["use_bias"]:
        weights.append(d.reals(*outputs))
        y = y + weights[-1]
    ys = [y, chosen] if shows else [y]
    return Example(options, [q], ys, weights, named, [hidden], hidden if y.ndim == 3 else None)
