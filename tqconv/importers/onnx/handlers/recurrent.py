"""LSTM, GRU and RNN, in every direction.

x: [time, n, inputs], or [n, time, inputs] with `layout` 1; W: [directions, gates * cells, inputs],
R: [directions, gates * cells, cells], B: [directions, 2 * gates * cells].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tqconv.compose import activations, recurrent
from tqconv.compose.builder import Builder
from tqconv.compose.functions import softplus, softsign
from tqconv.compose.operands import told_size
from tqconv.compose.rearrange import joined, split, unstacked
from tqconv.compose.recurrent import Activation, Cell
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32


def _affine(b: Builder, x: Tensor, alpha: float, beta: float) -> Tensor:
    return b("ADD", b("MUL", x, np.array(alpha, F)), np.array(beta, F))


def _scaled_tanh(b: Builder, x: Tensor, alpha: float, beta: float) -> Tensor:
    return b("MUL", b("TANH", b("MUL", x, np.array(beta, F))), np.array(alpha, F))


ACTIVATIONS: dict[str, tuple[Callable[..., Tensor], tuple[float, ...]]] = {
    "affine": (_affine, (1.0, 0.0)),
    "elu": (activations.elu, (1.0,)),
    "hardsigmoid": (activations.hard_sigmoid, (0.2, 0.5)),
    "leakyrelu": (activations.leaky_relu, (0.01,)),
    "relu": (activations.relu, ()),
    "scaledtanh": (_scaled_tanh, (1.0, 1.0)),
    "sigmoid": (recurrent.sigmoid, ()),
    "softplus": (softplus, ()),
    "softsign": (softsign, ()),
    "tanh": (recurrent.tanh, ()),
    "thresholdedrelu": (activations.thresholded, (1.0,)),
}
"""Name in small letters -> function, and its constants with their defaults."""


def _activations(
    names: Sequence[str], alphas: Sequence[float] | None, betas: Sequence[float] | None
) -> list[Activation]:
    """Return the functions; those with constants take them from the lists, in their order."""
    first, second = iter(alphas or ()), iter(betas or ())
    found: list[Activation] = []
    for name in names:
        entry = ACTIVATIONS.get(name.lower())
        if entry is None:
            raise UnsupportedError(f"activation `{name}`")
        function, defaults = entry
        numbers = [next(source, d) for source, d in zip((first, second), defaults, strict=False)]
        if not numbers:
            found.append(function)
            continue

        def applied(
            b: Builder,
            x: Tensor,
            function: Callable[..., Tensor] = function,
            numbers: Sequence[float] = tuple(numbers),
        ) -> Tensor:
            return function(b, x, *numbers)

        found.append(applied)
    return found


@dataclass(frozen=True)
class _Kind:
    """What tells the three operators apart. `gates`: how many; `usual`: their activations."""

    gates: int
    usual: tuple[str, ...]
    cell: Callable[..., Cell]


@dataclass(frozen=True)
class Functions:
    """Activations by name, for each direction in turn; constants of those that have some."""

    names: Sequence[str] | None = None
    alphas: Sequence[float] | None = None
    betas: Sequence[float] | None = None


NONE_NAMED = Functions()
"""The usual ones of each operator."""


@dataclass(frozen=True)
class Layer:
    """What a node reads, and how. states: where each state begins, None for zeros."""

    x: Tensor
    w: Tensor
    r: Tensor
    bias: Tensor | None = None
    lengths: Tensor | None = None
    states: tuple[Tensor | None, ...] = (None,)
    peephole: Tensor | None = None
    direction: str = "forward"
    layout: int = 0
    functions: Functions = NONE_NAMED


def _run(b: ONNXBuilder, kind: _Kind, layer: Layer) -> list[Tensor]:
    """Return y and the last states, all with their axis of directions."""
    if layer.direction not in ("forward", "reverse", "bidirectional"):
        raise UnsupportedError(f"direction `{layer.direction}`")
    count = 2 if layer.direction == "bidirectional" else 1
    named = layer.functions
    names = list(named.names) if named.names else [*kind.usual] * count
    if len(names) != count * len(kind.usual):
        raise UnsupportedError(f"{len(names)} activations for {count} directions")
    functions = _activations(names, named.alphas, named.betas)
    told_size(layer.x, 2, layer.w.shape[2])
    x = b.transpose(layer.x, (1, 0, 2)) if layer.layout else layer.x
    parts = []
    each = len(kind.usual)
    for index in range(count):
        operands = [layer.w, layer.r, layer.bias, layer.peephole]
        own = list(_of_direction(b, operands, index, count))
        first = [_state(b, x, layer, s, index, count) for s in layer.states]
        weights = _weights(b, own, kind.gates)
        cell = kind.cell(functions[index * each : (index + 1) * each])
        backward = layer.direction == "reverse" or index == 1
        y, last = recurrent.layer(
            b, cell, x, first, weights, backward=backward, lengths=layer.lengths
        )
        parts.append([y, *last])
    return [
        _both(b, list(tensors), place, layer.layout)
        for place, tensors in enumerate(zip(*parts, strict=True))
    ]


def _of_direction(
    b: ONNXBuilder, tensors: Sequence[Tensor | None], index: int, count: int
) -> Iterator[Tensor | None]:
    for tensor in tensors:
        yield None if tensor is None else unstacked(b, tensor, count)[index]


def _state(
    b: ONNXBuilder, x: Tensor, layer: Layer, state: Tensor | None, index: int, count: int
) -> Tensor:
    """Return where a direction begins: [n, cells]."""
    if state is None:
        return recurrent.zero_state(b, x, layer.r.shape[2] or 0)
    return unstacked(b, state, count, 1 if layer.layout else 0)[index]


def _weights(b: ONNXBuilder, own: Sequence[Tensor | None], gates: int) -> dict[str, Tensor]:
    w, r, bias, peephole = own
    assert w is not None
    assert r is not None
    found = {"w": b.transpose(w, (1, 0)), "r": b.transpose(r, (1, 0))}
    if bias is not None:
        found["bias"], found["r_bias"] = split(b, bias, 2, 0)
    if peephole is not None:
        found |= dict(zip(("p_i", "p_o", "p_f"), split(b, peephole, 3, 0), strict=True))
    return found


def _both(b: ONNXBuilder, tensors: list[Tensor], place: int, layout: int) -> Tensor:
    """Put the axis of directions where ONNX has it: y [time, d, n, cells], states [d, n, cells]."""
    axis = 1 if place == 0 else 0
    grown = [b("EXPAND_DIMS", t, np.array(axis, np.int32)) for t in tensors]
    y = joined(b, grown, axis)
    if not layout:
        return y
    return b.transpose(y, (2, 0, 1, 3) if place == 0 else (1, 0, 2))


LSTM = ("Sigmoid", "Tanh", "Tanh")
"""The activations of gates, candidate and result that the fused operator has."""


@handles("LSTM")
def lstm(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    peephole: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> list[Tensor]:
    """Long short-term memory; gates in the order input, output, forget, cell."""
    functions = Functions(activations, activation_alpha, activation_beta)
    layer = Layer(x, w, r, bias, lengths, (h, c), peephole, direction, layout, functions)
    return lstm_layer(b, layer, clip, input_forget)


def lstm_layer(b: ONNXBuilder, layer: Layer, clip: float, input_forget: int) -> list[Tensor]:
    """Return what an LSTM makes; input_forget: whether its input and forget gates are coupled."""
    named = layer.functions.names or ()
    plain = all(a.lower() == b.lower() for a, b in zip(named, LSTM * 2, strict=False))
    fast = plain and not clip and not input_forget and layer.peephole is None

    def cell(functions: Sequence[Activation]) -> Cell:
        gate, candidate, squash = functions
        coupled = bool(input_forget)
        return recurrent.Lstm(
            "iofc", 0.0, 0.0, clip, coupled, gate, candidate, squash, has_operator=fast
        )

    return _run(b, _Kind(4, LSTM, cell), layer)


@handles("GRU")
def gru(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> list[Tensor]:
    """Gated recurrent unit; gates in the order update, reset, hidden."""

    def cell(functions: Sequence[Activation]) -> Cell:
        return recurrent.Gru(
            reset_after=bool(linear_before_reset),
            gate_clip=clip,
            gate=functions[0],
            candidate=functions[1],
        )

    functions = Functions(activations, activation_alpha, activation_beta)
    layer = Layer(x, w, r, bias, lengths, (h,), None, direction, layout, functions)
    return _run(b, _Kind(3, ("Sigmoid", "Tanh"), cell), layer)


@handles("RNN")
def rnn(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> list[Tensor]:
    """The simple cell."""
    plain = not clip and all(name.lower() == "tanh" for name in activations or ())

    def cell(functions: Sequence[Activation]) -> Cell:
        return recurrent.Simple(functions[0], clip, has_operator=plain)

    functions = Functions(activations, activation_alpha, activation_beta)
    layer = Layer(x, w, r, bias, lengths, (h,), None, direction, layout, functions)
    return _run(b, _Kind(1, ("Tanh",), cell), layer)
