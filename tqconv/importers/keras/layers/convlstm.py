"""ConvLSTM: an LSTM whose products are convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import conv, recurrent
from tqconv.compose.builder import Builder
from tqconv.compose.sizes import calculate, reshaped, size_of, sizes_of, vector
from tqconv.compose.windows import SAME, windows_over
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.activation import named
from tqconv.importers.keras.layers.convolution import FIRST, windows_of
from tqconv.importers.keras.layers.recurrent import TIME, time_first
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor


@handles("ConvLSTM1D", "ConvLSTM2D")
def conv_lstm(
    b: KerasBuilder,
    x: Tensor,
    *,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = "tanh",
    recurrent_activation: Any = "hard_sigmoid",
    use_bias: bool = True,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    zero_output_for_mask: bool = False,
    training: bool | None = False,
) -> Sequence[Tensor]:
    """Repeat a cell of convolutions over the steps of x: [n, t, …, c]."""
    if stateful or any(mask is not None for mask in b.masks):
        raise UnsupportedError(f"{b.layer.op} that is stateful or gets a mask")
    first = data_format == FIRST
    x = b.real(x)
    if first:
        x = b.transpose(x, (0, 1, *range(3, x.rank), 2))
    x = time_first(b, x)
    if go_backwards:
        x = b("REVERSE_V2", x, TIME)
    w = b.weight("kernel")
    steps, rows, *inner = sizes_of(b, x)
    flat = reshaped(b, x, [calculate(b, "MUL", steps, rows), *inner])
    part = conv.conv(b, flat, w, windows_of(w.shape[:-2], strides, dilation_rate, padding))
    part = b("ADD", part, b.weight("bias")) if use_bias else part
    places = sizes_of(b, part)[1:-1]
    part = reshaped(b, part, [steps, rows, *places, size_of(b, part, -1)])
    zero = b("FILL", vector(b, [rows, *places, filters]), np.array(0, np.float32))
    step = _step(named(b, recurrent_activation), named(b, activation), part.rank - 2)
    like = [recurrent.zeros_like(b, x, zero)]
    made, after = recurrent.over_time(b, [part], [zero, zero], [b.weight("recurrent")], like, step)

    def shown(t: Tensor, lead: int) -> Tensor:
        return b.transpose(t, (*range(lead), t.rank - 1, *range(lead, t.rank - 1))) if first else t

    result = shown(time_first(b, made[0]), 2) if return_sequences else shown(after[0], 1)
    return [result, *(shown(t, 1) for t in after)] if return_state else [result]


def _step(gate: recurrent.Activation, squash: recurrent.Activation, last: int) -> recurrent.Step:
    """Return what a step does; `last`: the axis of the channels."""
    axis = np.array(last, np.int32)

    def step(
        here: Builder, now: list[Tensor], states: list[Tensor], fixed: list[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        h, c = states
        windows = windows_over(fixed[0].shape[:-2], padding=SAME)
        total = here("ADD", now[0], conv.conv(here, h, fixed[0], windows))
        i, f, g, o = here("SPLIT", axis, total, num_splits=4)
        kept = here("MUL", gate(here, f), c)
        c = here("ADD", kept, here("MUL", gate(here, i), squash(here, g)))
        h = here("MUL", gate(here, o), squash(here, c))
        return [h, c], [h]

    return step
