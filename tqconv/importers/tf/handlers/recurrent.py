"""Recurrent cells that are one operator in TensorFlow, and layers of them: plain operators.

The layers become loops, like those that are written out in the graph; a pass recognises what has an
operator of its own in TensorFlow Lite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tqconv.compose import lists
from tqconv.compose.control import loop, within
from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Graph, Tensor

OUTPUTS = ("i", "cs", "f", "o", "ci", "co", "h")
STATES = (OUTPUTS.index("cs"), OUTPUTS.index("h"))


@dataclass(frozen=True)
class _Cell:
    """An LSTM cell without its weights. `order`: the gates in the columns of the weights."""

    order: str
    forget_bias: float
    clip: float
    peephole: bool


@handles("LSTMBlockCell")
def lstm_cell(
    b: TFBuilder,
    x: Tensor,
    cs_prev: Tensor,
    h_prev: Tensor,
    w: Tensor,
    wci: Tensor,
    wcf: Tensor,
    wco: Tensor,
    bias: Tensor,
    *,
    forget_bias: float = 1.0,
    cell_clip: float = 3.0,
    use_peephole: bool = False,
) -> list[Tensor]:
    """One step; x: [n, inputs], w: [inputs + cells, 4 * cells]."""
    cell = _Cell("icfo", forget_bias, cell_clip, use_peephole)
    return _step(b, cell, x, cs_prev, h_prev, [w, bias, wci, wcf, wco])


@handles("BlockLSTM")
def block_lstm(
    b: TFBuilder,
    seq_len_max: Tensor,
    x: Tensor,
    cs_prev: Tensor,
    h_prev: Tensor,
    w: Tensor,
    wci: Tensor,
    wcf: Tensor,
    wco: Tensor,
    bias: Tensor,
    *,
    forget_bias: float = 1.0,
    cell_clip: float = 3.0,
    use_peephole: bool = False,
) -> list[Tensor]:
    """A layer; x: [time, n, inputs], outputs: [time, n, cells], zero from `seq_len_max` on."""
    cell = _Cell("icfo", forget_bias, cell_clip, use_peephole)
    return _layer(b, cell, seq_len_max, x, [cs_prev, h_prev], [w, bias, wci, wcf, wco])


@handles("BlockLSTMV2")
def block_lstm_v2(
    b: TFBuilder,
    seq_len_max: Tensor,
    x: Tensor,
    cs_prev: Tensor,
    h_prev: Tensor,
    w: Tensor,
    wci: Tensor,
    wcf: Tensor,
    wco: Tensor,
    bias: Tensor,
    *,
    cell_clip: float = 0.0,
    use_peephole: bool = False,
) -> list[Tensor]:
    """Like BlockLSTM with the gates in another order and the forget bias in `bias`."""
    cell = _Cell("ifco", 0.0, cell_clip, use_peephole)
    return _layer(b, cell, seq_len_max, x, [cs_prev, h_prev], [w, bias, wci, wcf, wco])


@handles("GRUBlockCell")
def gru_cell(
    b: TFBuilder, x: Tensor, h_prev: Tensor, w_ru: Tensor, w_c: Tensor, b_ru: Tensor, b_c: Tensor
) -> list[Tensor]:
    """One step; x: [n, inputs], w_ru: [inputs + cells, 2 * cells]. Returns r, u, c, h."""
    gates = b("LOGISTIC", _dense(b, b("CONCATENATION", x, h_prev, axis=1), w_ru, b_ru))
    r, u = b("SPLIT", np.array(1, np.int32), gates, num_splits=2)
    joined = b("CONCATENATION", x, b("MUL", h_prev, r), axis=1)
    c = b("TANH", _dense(b, joined, w_c, b_c))
    kept = b("MUL", b("SUB", np.array(1, np.float32), u), c)
    return [r, u, c, b("ADD", b("MUL", u, h_prev), kept)]


def _step(
    b: TFBuilder, cell: _Cell, x: Tensor, cs: Tensor, h: Tensor, weights: Sequence[Tensor]
) -> list[Tensor]:
    """Return the seven outputs of one step; weights: w, bias and the three peepholes."""
    w, bias, wci, wcf, wco = weights
    joined = b("CONCATENATION", x, h, axis=1)
    parts = b("SPLIT", np.array(1, np.int32), _dense(b, joined, w, bias), num_splits=4)
    gate = dict(zip(cell.order, parts, strict=True))
    if cell.forget_bias:
        gate["f"] = b("ADD", gate["f"], np.array(cell.forget_bias, np.float32))
    if cell.peephole:
        gate["i"] = b("ADD", gate["i"], b("MUL", cs, wci))
        gate["f"] = b("ADD", gate["f"], b("MUL", cs, wcf))
    i, f, ci = b("LOGISTIC", gate["i"]), b("LOGISTIC", gate["f"]), b("TANH", gate["c"])
    now = b("ADD", b("MUL", ci, i), b("MUL", cs, f))
    if cell.clip > 0:
        limit = np.array(cell.clip, np.float32)
        now = b("MINIMUM", b("MAXIMUM", now, -limit), limit)
    if cell.peephole:
        gate["o"] = b("ADD", gate["o"], b("MUL", now, wco))
    o, co = b("LOGISTIC", gate["o"]), b("TANH", now)
    return [i, now, f, o, ci, co, b("MUL", co, o)]


def _dense(b: TFBuilder, x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    """Return x @ w + bias."""
    made: Tensor = b("FULLY_CONNECTED", x, b.transpose(w, (1, 0)), bias)
    return made


def _layer(
    b: TFBuilder,
    cell: _Cell,
    length: Tensor,
    x: Tensor,
    states: list[Tensor],
    weights: list[Tensor],
) -> list[Tensor]:
    """Return the outputs of all steps."""
    if any(w.data is None for w in weights[:2]):
        raise Unsupported("the weights of the layer are not constants")
    steps = b("MINIMUM", b.cast(length, np.int32), lists.length(b, x))
    rows = [_zeros_like(b, x, states[0]) for _ in OUTPUTS]
    fixed = [b.reshape(steps, ()), x, *weights]
    moving = [b.const(np.array(0, np.int32), what="time"), *states, *rows]

    def goes_on(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        return [within(b, graph)("LESS", inside[0], inside[len(moving)])]

    def next_round(graph: Graph, inside: list[Tensor]) -> list[Tensor]:
        here = within(b, graph)
        time, cs, h, *collected = inside[: len(moving)]
        _, sequence, *parameters = inside[len(moving) :]
        made = _step(here, cell, lists.read(here, sequence, time), cs, h, parameters)
        written = [
            lists.write(here, old, time, new) for old, new in zip(collected, made, strict=True)
        ]
        following = here("ADD", time, np.array(1, np.int32))
        return [following, *(made[i] for i in STATES), *written, *inside[len(moving) :]]

    invariant = range(len(moving), len(moving) + len(fixed))
    results = loop(b, [*moving, *fixed], goes_on, next_round, _no_lists, invariant)
    return results[3 : 3 + len(OUTPUTS)]


def _zeros_like(b: TFBuilder, x: Tensor, state: Tensor) -> Tensor:
    """Return zeros [time, n, cells]."""
    return lists.zeros(
        b,
        x.dtype,
        b.reshape(lists.length(b, x), (1,)),
        state.shape,
        b("EXPAND_DIMS", state, np.array(0, np.int32)),
    )


def _no_lists(*arguments: object) -> Tensor:
    raise Unsupported("a layer has no lists of unknown shape")
