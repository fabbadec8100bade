"""ConvLSTM: an LSTM whose products are convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import conv, over_time, recurrent, variables
from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, inserted, reshaped, sizes_of, vector
from tqconv.compose.windows import SAME, Window, windows_over
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.activation import named
from tqconv.importers.keras.layers.convolution import FIRST, windows_of
from tqconv.importers.keras.layers.recurrent import (
    TIME,
    Run,
    listed,
    result_of,
    time_first,
)
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor


@handles("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm(
    b: KerasBuilder,
    x: Tensor,
    *states: Tensor,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = "tanh",
    recurrent_activation: Any = "hard_sigmoid",
    use_bias: bool = True,
    initial_state: Any = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    training: bool | None = False,
) -> Sequence[Tensor]:
    """Repeat a cell of convolutions over the steps of x: [n, t, …, c].

    zero_output_for_mask: Keras 2 writes it and leaves it at that.
    """
    first = data_format == FIRST
    hides = zero_output_for_mask and b.major >= 3
    run = Run(return_sequences, return_state, go_backwards, stateful, hides)
    x = b.real(x)
    x = time_first(b, b.transpose(x, (0, 1, *range(3, x.rank), 2)) if first else x)
    given = [*states, *listed(initial_state)]
    mask = b.mask_beside(given)
    b.mask = b.masks[0] if b.masks and return_sequences else None
    rows = [x] if mask is None else [x, time_first(b, b.cast(mask, np.bool_))]
    rows = [b("REVERSE_V2", row, TIME) for row in rows] if go_backwards else rows
    windows = windows_of(b.weight("kernel").shape[:-2], strides, dilation_rate, padding)
    part = _of_input(b, rows[0], windows, use_bias)
    given = [b.to_channels_last(t) if first else t for t in given]
    kept, begin = _begin(b, [*sizes_of(b, part)[1:-1], filters], given, stateful)
    gate, squash = named(b, recurrent_activation), named(b, activation)
    step = _step(gate, squash, part.rank - 2, hides)
    like, fixed = [over_time.zeros_like(b, x, begin[0])], [b.weight("recurrent")]
    (y,), after = over_time.over_time(b, [part, *rows[1:]], begin, fixed, like, step)
    for variable, value in zip(kept, after, strict=False):
        variables.assign(b, variable, value)
    hidden = rows[1] if len(rows) > 1 else None
    result = result_of(b, y, after[0], hidden, run, bool(kept or given))
    return _shown(b, result, after, run, first)


def _of_input(b: KerasBuilder, x: Tensor, windows: Sequence[Window], use_bias: bool) -> Tensor:
    """Return what x: [t, n, …, c] adds to the gates of each step: [t, n, …, 4 filters]."""
    steps, count, *inner = sizes_of(b, x)
    flat = reshaped(b, x, [calculate(b, "MUL", steps, count), *inner])
    part = conv.conv(b, flat, b.weight("kernel"), windows)
    part = b("ADD", part, b.weight("bias")) if use_bias else part
    return reshaped(b, part, [steps, count, *sizes_of(b, part)[1:]])


def _begin(
    b: KerasBuilder, sizes: Sequence[Size], given: list[Tensor], stateful: bool
) -> tuple[list[variables.Variable], list[Tensor]]:
    """Return the variables that hold the states, if any do, and the states to begin with."""
    if given:
        if len(given) != 2:
            raise UnsupportedError(f"{len(given)} initial states for 2")
        return [], given
    if not stateful:
        zero = b("FILL", vector(b, sizes), np.array(0, np.float32))
        return [], [zero, zero]
    numbers = tuple(size for size in sizes if isinstance(size, int))
    if len(numbers) < len(sizes):
        raise UnsupportedError(
            "a stateful layer needs to know how large its input is",
            hint="give the inputs a shape with --input_shapes",
        )
    kept = [variables.zero(b, f"{b.name}/state{number}", numbers) for number in (0, 1)]
    return kept, [variable.read for variable in kept]


def _shown(
    b: KerasBuilder, made: Tensor, after: Sequence[Tensor], run: Run, first: bool
) -> Sequence[Tensor]:
    """Return the results of all steps, or of the last one, and the states, in the data format."""

    def shown(t: Tensor, lead: int) -> Tensor:
        return b.transpose(t, (*range(lead), t.rank - 1, *range(lead, t.rank - 1))) if first else t

    result = shown(time_first(b, made), 2) if run.return_sequences else shown(made, 1)
    return [result, *(shown(t, 1) for t in after)] if run.return_state else [result]


def _step(
    gate: recurrent.Activation, squash: recurrent.Activation, last: int, hides: bool
) -> over_time.Step:
    """Return what a step does; `last`: the axis of the channels.

    A step that a mask hides keeps the states; its result is the one before it, or 0 if it `hides`.
    """
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
        if len(now) == 1:
            return [h, c], [h]
        counts = inserted(here, now[1], *range(1, h.rank))
        after = [here("SELECT_V2", counts, *pair) for pair in zip((h, c), states, strict=True)]
        zero = np.array(0, np.float32)
        return after, [here("SELECT_V2", counts, h, zero) if hides else after[0]]

    return step
