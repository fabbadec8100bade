"""Recurrent layers, their cells, and the wrappers that apply a layer over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tqconv.compose import recurrent, variables
from tqconv.compose.sizes import calculate, inserted, reshaped, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.activation import named
from tqconv.importers.keras.model import Layer
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

TIME = np.array([0], np.int32)
SEQUENCE = np.array([1], np.int32)


def time_first(b: KerasBuilder, x: Tensor) -> Tensor:
    """[n, t, …] -> [t, n, …], and back."""
    return b.transpose(x, (1, 0, *range(2, x.rank)))


def cell_of(b: KerasBuilder, layer: Layer) -> tuple[recurrent.Cell, recurrent.Weights]:
    """Return what a recurrent layer, or a cell, repeats, and its weights."""
    config = layer.config
    weights = b.weights_of(layer)
    found = {"w": weights["kernel"], "r": weights["recurrent"]}
    if "bias" in weights:
        found["bias"] = weights["bias"]
    squash = named(b, config.get("activation", "tanh"))
    # The operators keep a state of their own; that of a stateful layer is a variable.
    usual = not b.layer.config.get("stateful")
    kind = layer.op.removesuffix("Cell")
    if kind == "SimpleRNN":
        return recurrent.Simple(activation=squash, has_operator=usual), found
    gate_name = config.get("recurrent_activation", "sigmoid")
    gate, usual = named(b, gate_name), usual and gate_name == "sigmoid"
    if kind == "LSTM":
        lstm = recurrent.Lstm("ifco", gate=gate, candidate=squash, squash=squash)
        return replace(lstm, has_operator=usual), found
    reset_after = bool(config.get("reset_after", False))
    if reset_after and "bias" in found:
        rows = b("UNPACK", found["bias"], num=2, axis=0)
        found["bias"], found["r_bias"] = rows
    return recurrent.Gru("zrh", reset_after, gate=gate, candidate=squash), found


@dataclass(frozen=True)
class Run:
    """How a layer goes over the steps, and what it returns of them."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    zero_output_for_mask: bool
    unroll: bool = False


def state_count(layer: Layer) -> int:
    """Return how many states a cell has."""
    return 2 if layer.op.startswith("LSTM") else 1


@handles("SimpleRNN", "LSTM", "GRU")
def layer_of_cells(
    b: KerasBuilder,
    x: Tensor,
    *states: Tensor,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = None,
    use_bias: bool = True,
    reset_after: bool = False,
    initial_state: Any = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
    training: bool | None = False,
) -> Sequence[Tensor]:
    """Repeat a cell over the steps of x: [n, t, inputs]."""
    run = Run(return_sequences, return_state, go_backwards, stateful, zero_output_for_mask, unroll)
    return repeated(b, [b.layer], x, [*states, *listed(initial_state)], run)


@handles("RNN")
def rnn(
    b: KerasBuilder,
    x: Tensor,
    *states: Tensor,
    cell: Any,
    initial_state: Any = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
    training: bool | None = False,
) -> Sequence[Tensor]:
    """Repeat a cell, or several stacked ones, over the steps of x: [n, t, inputs]."""
    inner = b.layer.inside["cell"]
    cells = list(inner.inside.values()) if inner.op == "StackedRNNCells" else [inner]
    for each in cells:
        if not each.op.endswith("Cell") or each.op.removesuffix("Cell") not in KINDS:
            raise UnsupportedError(f"RNN repeats the cell `{each.op}`, which is not one of Keras")
    run = Run(return_sequences, return_state, go_backwards, stateful, zero_output_for_mask, unroll)
    return repeated(b, cells, x, [*states, *listed(initial_state)], run)


@handles("SimpleRNNCell", "LSTMCell", "GRUCell")
def cell(
    b: KerasBuilder,
    x: Tensor,
    *before: Tensor,
    units: int,
    states: Any = None,
    training: bool | None = False,
    activation: Any = "tanh",
    recurrent_activation: Any = None,
    use_bias: bool = True,
    reset_after: bool = False,
) -> Sequence[Tensor]:
    """Take one step; the result is the first of the states, too."""
    found = [*before, *listed(states)]
    if len(found) != state_count(b.layer):
        raise UnsupportedError(f"{b.layer.op} with {len(found)} states")
    kind, weights = cell_of(b, b.layer)
    part = recurrent.dense(b, b.real(x), weights["w"], weights.get("bias"))
    made = kind.step(b, part, [b.real(state) for state in found], weights)
    return [made[0], *made]


KINDS = frozenset({"SimpleRNN", "LSTM", "GRU"})


def listed(value: Any) -> list[Tensor]:
    """Return the tensors in nested lists."""
    if value is None:
        return []
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in listed(item)]


def repeated(
    b: KerasBuilder, cells: Sequence[Layer], x: Tensor, first: list[Tensor], run: Run
) -> Sequence[Tensor]:
    """Return the results of stacked cells, [n, t, cells] or the last one, and the last states.

    Backward, the results stand in the order in which they are computed. A step that a mask hides
    repeats the result before it, or is zero where that is asked for.
    """
    mask = b.mask_beside(first)
    b.mask = b.masks[0] if b.masks and run.return_sequences else None
    x = time_first(b, b.real(x))
    mask = None if mask is None else time_first(b, mask)
    if run.go_backwards:
        x = b("REVERSE_V2", x, TIME)
        mask = None if mask is None else b("REVERSE_V2", mask, TIME)
    counts = [state_count(cell) for cell in cells]
    kept = _variables(b, cells, x) if run.stateful and not first else []
    first = [variable.read for variable in kept] or first
    if first and len(first) != sum(counts):
        raise UnsupportedError(f"{len(first)} initial states for {sum(counts)}")
    after: list[Tensor] = []
    given = x
    for cell, count in zip(cells, counts, strict=True):
        kind, weights = cell_of(b, cell)
        own = first[len(after) : len(after) + count]
        own = own or [recurrent.zero_state(b, given, int(cell.config["units"]))] * count
        x, last = recurrent.layer(
            b,
            kind,
            x,
            own,
            weights,
            mask=mask,
            keeps_last=not run.zero_output_for_mask,
            unrolled=run.unroll,
        )
        after += last
    for variable, value in zip(kept, after, strict=False):
        variables.assign(b, variable, value)
    result = result_of(b, x, last[0], mask, run, bool(first))
    result = time_first(b, result) if run.return_sequences else result
    return [result, *after] if run.return_state else [result]


def result_of(
    b: KerasBuilder, y: Tensor, last: Tensor, mask: Tensor | None, run: Run, is_carried: bool
) -> Tensor:
    """Return the results of all steps, y: [t, n, …], or the one of the last step.

    last: the state after it, which is its result unless the mask [t, n] hides the step. A hidden
    step repeats the result before it, which is 0 in front of the first one that is shown, whatever
    the states begin with (`is_carried`: not with zeros); or it is 0 where that is asked for.
    """
    zeros = run.zero_output_for_mask
    if mask is not None and is_carried and not zeros:
        shown = b("CUMSUM", b.cast(mask, np.int32), np.array(0, np.int32))
        begun = inserted(b, b("GREATER", shown, np.array(0, np.int32)), *range(2, y.rank))
        y = b("SELECT_V2", begun, y, np.array(0, np.float32))
    if run.return_sequences:
        return y
    if mask is None or not (is_carried or zeros):
        return last
    return b("GATHER", b("REVERSE_V2", y, TIME), np.array(0, np.int32), axis=0)


def _variables(b: KerasBuilder, cells: Sequence[Layer], x: Tensor) -> list[variables.Variable]:
    """Return the states that the model itself keeps from run to run."""
    batch = x.shape[1]
    if batch is None:
        raise UnsupportedError(
            "a stateful layer needs to know how many rows a batch has",
            hint="give the inputs a shape with --input_shapes",
        )
    return [
        variables.zero(b, f"{b.name}/state{number}_{index}", (batch, int(cell.config["units"])))
        for number, cell in enumerate(cells)
        for index in range(state_count(cell))
    ]


@handles("Bidirectional")
def bidirectional(
    b: KerasBuilder,
    x: Tensor,
    *states: Tensor,
    layer: Any,
    merge_mode: str | None = "concat",
    backward_layer: Any = None,
    initial_state: Any = None,
    weights: Any = None,
    training: bool | None = False,
) -> Sequence[Tensor]:
    """Run a layer forward and one backward, and merge their results."""
    ahead, back = b.layer.inside["layer"], b.layer.inside["backward_layer"]
    first = [*states, *listed(initial_state)]
    half = len(first) // 2
    mask = b.mask_beside(first)
    sequences = bool(ahead.config.get("return_sequences"))
    named: dict[str, Any] = {} if mask is None else {"mask": mask}
    if sequences and mask is not None:
        named["zero_output_for_mask"] = True
    one = b.inner(ahead, [x, *first[:half]], [mask], "forward", named)
    other = b.inner(back, [x, *first[half:]], [mask], "backward", named)
    b.mask = b.masks[0] if b.masks and sequences else None
    y, z = one[0], other[0]
    if sequences:
        z = b("REVERSE_V2", z, SEQUENCE)
    after = [*one[1:], *other[1:]]
    if merge_mode is None:
        return [y, z, *after]
    if merge_mode == "concat":
        return [b("CONCATENATION", y, z, axis=y.rank - 1), *after]
    if merge_mode not in MERGES:
        raise UnsupportedError(f"merge_mode `{merge_mode}`")
    merged = b(MERGES[merge_mode], y, z)
    if merge_mode == "ave":
        merged = b("MUL", merged, np.array(0.5, np.float32))
    return [merged, *after]


MERGES: Mapping[str, str] = {"sum": "ADD", "ave": "ADD", "mul": "MUL"}


@handles("TimeDistributed")
def time_distributed(
    b: KerasBuilder, x: Tensor, *, layer: Any, training: bool | None = False
) -> Tensor:
    """Apply a layer to each step of x: [n, t, …], as if it were a row of its own.

    The layer sees a mask's part of its step; the result is masked where no part shows anything.
    """
    sizes = sizes_of(b, x)
    count = calculate(b, "MUL", sizes[0], sizes[1])
    flat = reshaped(b, x, [count, *sizes[2:]])
    mask = b.masks[0] if b.masks else None
    inside = None
    if mask is not None and mask.rank > 2:
        inside = reshaped(b, mask, [count, *sizes_of(b, mask)[2:]])
        mask = b("REDUCE_ANY", mask, np.arange(2, mask.rank, dtype=np.int32), keep_dims=False)
    b.mask = mask
    made = b.inner(b.layer.inside["layer"], [flat], [inside], "step", {})
    if len(made) != 1:
        raise UnsupportedError(f"TimeDistributed of a layer with {len(made)} results")
    return reshaped(b, made[0], [*sizes[:2], *sizes_of(b, made[0])[1:]])


@handles("SpectralNormalization")
def spectral(b: KerasBuilder, x: Tensor, *, layer: Any, training: bool | None = False) -> Tensor:
    """Apply the layer inside: its kernel is stored as it was normalized last."""
    (y,) = b.inner(b.layer.inside["layer"], [x], b.masks[:1], "layer", {})
    b.mask = b.mask_inside
    return y
