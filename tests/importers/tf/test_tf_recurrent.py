"""Recurrent cells and layers against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Array, assert_close, const, graph, node, placeholder, results

RNG = np.random.default_rng(20)
CELLS, INPUTS, BATCH, TIME = 4, 3, 2, 5
W = (RNG.standard_normal((INPUTS + CELLS, 4 * CELLS)) * 0.5).astype(np.float32)
B = RNG.standard_normal(4 * CELLS).astype(np.float32)
PEEPHOLES = RNG.standard_normal((3, CELLS)).astype(np.float32)
C, H = RNG.standard_normal((2, BATCH, CELLS)).astype(np.float32)
X = RNG.standard_normal((TIME, BATCH, INPUTS)).astype(np.float32)
OUTPUTS = ["y", *(f"y:{i}" for i in range(1, 7))]
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
"""float32 of two evaluation orders, values around 1."""


def sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


def lstm_step(
    x: Array, cs: Array, h: Array, order: str, forget: float, clip: float, peephole: bool
) -> list[Array]:
    wci, wcf, wco = PEEPHOLES if peephole else np.zeros_like(PEEPHOLES)
    gate = dict(zip(order, np.split(np.concatenate([x, h], 1) @ W + B, 4, 1), strict=True))
    i = sigmoid(gate["i"] + cs * wci)
    f = sigmoid(gate["f"] + np.float32(forget) + cs * wcf)
    ci = np.tanh(gate["c"])
    now = ci * i + cs * f
    now = np.clip(now, -clip, clip) if clip > 0 else now
    o, co = sigmoid(gate["o"] + now * wco), np.tanh(now)
    return [i, now, f, o, ci, co, co * o]


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("clip", [-1.0, 0.3])
def test_lstm_cell(peephole: bool, clip: float) -> None:
    message = graph(
        placeholder("x", np.float32, (BATCH, INPUTS)),
        placeholder("c", np.float32, (BATCH, CELLS)),
        placeholder("h", np.float32, (BATCH, CELLS)),
        const("w", W),
        *(const(f"p{i}", p) for i, p in enumerate(PEEPHOLES)),
        const("b", B),
        node(
            *("y", "LSTMBlockCell", "x", "c", "h", "w", "p0", "p1", "p2", "b"),
            forget_bias=0.7,
            cell_clip=clip,
            use_peephole=peephole,
        ),
    )
    want = lstm_step(X[0], C, H, "icfo", 0.7, clip, peephole)
    for measured in results(message, {"x": X[0], "c": C, "h": H}, OUTPUTS):
        for have, expected in zip(measured, want, strict=True):
            assert_close(have, expected, **TOLERANCE)


@pytest.mark.parametrize("length", [0, 3, TIME])
@pytest.mark.parametrize("version", ["BlockLSTM", "BlockLSTMV2"])
@pytest.mark.parametrize("peephole", [False, True])
def test_lstm_layer(length: int, version: str, peephole: bool) -> None:
    first = version == "BlockLSTM"
    attrs = {"forget_bias": 1.0} if first else {}
    message = graph(
        placeholder("n", np.int64, ()),
        placeholder("x", np.float32, X.shape),
        placeholder("c", np.float32, (BATCH, CELLS)),
        placeholder("h", np.float32, (BATCH, CELLS)),
        const("w", W),
        *(const(f"p{i}", p) for i, p in enumerate(PEEPHOLES)),
        const("b", B),
        node(
            *("y", version, "n", "x", "c", "h", "w", "p0", "p1", "p2", "b"),
            cell_clip=0.0,
            use_peephole=peephole,
            **attrs,
        ),
    )
    steps, cs, h = [], C, H
    for x in X[:length]:
        steps.append(lstm_step(x, cs, h, "icfo" if first else "ifco", float(first), 0.0, peephole))
        cs, h = steps[-1][1], steps[-1][6]
    want = np.zeros((7, TIME, BATCH, CELLS), np.float32)
    if steps:
        want[:, :length] = np.array(steps).swapaxes(0, 1)
    feeds = {"n": np.array(length, np.int64), "x": X, "c": C, "h": H}
    for measured in results(message, feeds, OUTPUTS):
        for have, expected in zip(measured, want, strict=True):
            assert_close(have, expected, **TOLERANCE)


def test_gru_cell() -> None:
    w_ru, w_c = W[:, : 2 * CELLS], W[:, 3 * CELLS :]
    b_ru, b_c = B[: 2 * CELLS], B[3 * CELLS :]
    message = graph(
        placeholder("x", np.float32, (BATCH, INPUTS)),
        placeholder("h", np.float32, (BATCH, CELLS)),
        *(const(f"w{i}", w) for i, w in enumerate((w_ru, w_c, b_ru, b_c))),
        node("y", "GRUBlockCell", "x", "h", "w0", "w1", "w2", "w3", T=np.float32),
    )
    r, u = np.split(sigmoid(np.concatenate([X[0], H], 1) @ w_ru + b_ru), 2, 1)
    c = np.tanh(np.concatenate([X[0], r * H], 1) @ w_c + b_c)
    for measured in results(message, {"x": X[0], "h": H}, OUTPUTS[:4]):
        for have, expected in zip(measured, [r, u, c, u * H + (1 - u) * c], strict=True):
            assert_close(have, expected, **TOLERANCE)
