"""Recurrent cells that are one operator in TensorFlow, and layers of them: plain operators.

The layers become loops, like those that are written out in the graph; a pass recognises what has an
operator of its own in TensorFlow Lite.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.over_time import over_time, zeros_like
from tqconv.compose.recurrent import Lstm, dense
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor

OUTPUTS = ("i", "cs", "f", "o", "ci", "co", "h")
STATES = (OUTPUTS.index("cs"), OUTPUTS.index("h"))


@handles("LSTMBlockCell")
def lstm_cell(
    b: Builder,
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
    cell = Lstm("icfo", forget_bias, cell_clip)
    peepholes = [wci, wcf, wco] if use_peephole else []
    return _step(b, cell, x, cs_prev, h_prev, [w, bias, *peepholes])


@handles("BlockLSTM")
def block_lstm(
    b: Builder,
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
    cell = Lstm("icfo", forget_bias, cell_clip)
    peepholes = [wci, wcf, wco] if use_peephole else []
    return _layer(b, cell, seq_len_max, x, [cs_prev, h_prev], [w, bias, *peepholes])


@handles("BlockLSTMV2")
def block_lstm_v2(
    b: Builder,
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
    cell = Lstm("ifco", 0.0, cell_clip)
    peepholes = [wci, wcf, wco] if use_peephole else []
    return _layer(b, cell, seq_len_max, x, [cs_prev, h_prev], [w, bias, *peepholes])


@handles("GRUBlockCell")
def gru_cell(
    b: Builder, x: Tensor, h_prev: Tensor, w_ru: Tensor, w_c: Tensor, b_ru: Tensor, b_c: Tensor
) -> list[Tensor]:
    """One step; x: [n, inputs], w_ru: [inputs + cells, 2 * cells]. Returns r, u, c, h."""
    gates = b("LOGISTIC", dense(b, b("CONCATENATION", x, h_prev, axis=1), w_ru, b_ru))
    r, u = b("SPLIT", np.array(1, np.int32), gates, num_splits=2)
    joined = b("CONCATENATION", x, b("MUL", h_prev, r), axis=1)
    c = b("TANH", dense(b, joined, w_c, b_c))
    kept = b("MUL", b("SUB", np.array(1, np.float32), u), c)
    return [r, u, c, b("ADD", b("MUL", u, h_prev), kept)]


def _step(
    b: Builder, cell: Lstm, x: Tensor, cs: Tensor, h: Tensor, weights: Sequence[Tensor]
) -> list[Tensor]:
    """Return the seven outputs of one step; weights: w, bias and the three peepholes, if any."""
    w, bias, *peepholes = weights
    named = dict(zip(("p_i", "p_f", "p_o"), peepholes, strict=False))
    total = dense(b, b("CONCATENATION", x, h, axis=1), w, bias)
    return list(cell.of_total(b, total, cs, named))


def _layer(
    b: Builder,
    cell: Lstm,
    length: Tensor,
    x: Tensor,
    states: list[Tensor],
    weights: list[Tensor],
) -> list[Tensor]:
    """Return the outputs of all steps."""
    if any(w.data is None for w in weights[:2]):
        raise UnsupportedError("the weights of the layer are not constants")

    def step(
        here: Builder, rows: list[Tensor], states: list[Tensor], weights: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        cs, h = states
        made = _step(here, cell, rows[0], cs, h, weights)
        return [made[i] for i in STATES], made

    collected = [zeros_like(b, x, states[0]) for _ in OUTPUTS]
    return over_time(b, [x], states, weights, collected, step, length)[0]
