"""Recurrent operators. State operands are variable tensors that keep their values between runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tqconv.errors import UnsupportedError, counted
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.rules import has_shape, ranked
from tqconv.ops.spec import ROWS, QuantRule, Typed, VersionRule, op

# Gates in the kernels' order: input, forget, cell, output. Without the input gate's operands (CIFG)
# it is one minus the forget gate.
_GATES = (
    "w_xi? w_xf? w_xc? w_xo? w_hi? w_hf? w_hc? w_ho? w_ci? w_cf? w_co? "
    "b_i? b_f? b_c? b_o? w_proj? b_proj?"
)


def _backward(names: str) -> str:
    return " ".join("bw_" + name for name in names.split())


LSTM = f"x {_GATES} h? c? ln_i? ln_f? ln_c? ln_o? -> y"
"""With the kernel type BASIC the first five are: x, the output before, weights, bias, cell."""

BIDIRECTIONAL_LSTM = (
    f"x {_GATES} {_backward(_GATES)} h c bw_h bw_c aux? aux_w_i? aux_w_f? aux_w_c? aux_w_o? "
    "bw_aux_w_i? bw_aux_w_f? bw_aux_w_c? bw_aux_w_o? -> y bw_y"
)


def _need(op: Op, counts: Sequence[int]) -> None:
    if len(op.inputs) not in counts:
        numbers = " or ".join(map(str, counts))
        raise UnsupportedError(
            f"{op.type} with {counted(len(op.inputs), 'operand')}; the kernel takes {numbers}"
        )


def _units(weights: Tensor, axis: int) -> int | None:
    if weights.rank != 2:
        raise UnsupportedError(f"'{weights.name}' has rank {weights.rank}, the kernel takes 2")
    return weights.shape[axis]


def _lead(op: Op, rank: int) -> Shape:
    """Return all dimensions of the input but its depth."""
    x = op.input(0)
    if x.rank != rank:
        raise UnsupportedError(f"'{x.name}' has rank {x.rank}, the kernel takes {rank}")
    return x.shape[:-1]


def _lstm(op: Op) -> Sequence[Typed]:
    """x: [n, i]; w_x*: [cells, i]; w_h*: [cells, o]; y: [n, o]."""
    dtype = op.input(0).dtype
    if op.options.get("kernel_type", "FULL") == "BASIC":
        return _basic_lstm(op)
    _need(op, (20, 24))
    lead = _lead(op, 2)
    _check_gates(op, 0, lead[0])
    return [((*lead, _units(op.input(6), 1)), dtype)]


def _basic_lstm(op: Op) -> Sequence[Typed]:
    """x: [..., i]; h, c: [..., o]; w: [4 * o, i + o]; four outputs, two of them scratch."""
    _need(op, (5,))
    _must_be_there(op, range(5))
    x, before, weights, _, cell = (op.input(i) for i in range(5))
    ranked(x, 2)
    if cell.is_constant:
        raise UnsupportedError(f"the state '{cell.name}' is a constant; the kernel writes to it")
    joined, gates = _units(weights, 1), _units(weights, 0)
    depths = x.shape[-1:], before.shape[-1:]
    if joined is not None and all(d and d[0] is not None for d in depths):
        has_shape(weights, (4 * (before.shape[-1] or 0), sum(d[0] or 0 for d in depths)))
    has_shape(op.input(3), (gates,))
    has_shape(cell, before.shape)
    scratch = np.dtype(np.int16) if x.dtype == np.uint8 else x.dtype
    return [
        (before.shape, x.dtype),
        (cell.shape, cell.dtype),
        ((*x.shape[:-1], joined), x.dtype),
        ((*x.shape[:-1], gates), scratch),
    ]


def _must_be_there(op: Op, places: Iterable[int]) -> None:
    names = ROWS[op.type].operands
    for place in places:
        if place >= len(op.inputs) or op.inputs[place] is None:
            raise UnsupportedError(f"the operand `{names.name(place)}` of {op.type} is missing")


def _keeps(op: Op, *places: int) -> None:
    """Raise where a state is no variable: no other tensor keeps its values between runs.

    The states of rows that name them in `states` are given as what they start from.
    """
    _must_be_there(op, places)
    own = {ROWS[op.type].operands.index(name) for name in ROWS[op.type].states}
    for place in places:
        if place not in own and not op.input(place).variable:
            raise UnsupportedError(f"the state '{op.input(place).name}' is no variable")


def _check_sets(op: Op, first: int) -> None:
    """Raise where operands are missing that belong to others that are given (lstm.cc).

    Without an input gate all its operands are left out, and peepholes are those of every gate.
    """
    given = {i - first for i, t in enumerate(op.inputs) if t is not None}
    _must_be_there(op, (first + i for i in (2, 3, 4, 6, 7, 8, 13, 14, 15)))
    coupled, peepholes = 1 not in given, 10 in given
    expected = {1: not coupled, 5: not coupled, 12: not coupled}
    expected |= {9: peepholes and not coupled, 11: peepholes}
    if 16 not in given:
        expected[17] = False
    for place, wanted in expected.items():
        if (place in given) != wanted:
            name = ROWS[op.type].operands.name(first + place)
            what = "is missing" if wanted else "does not go with those that are missing"
            raise UnsupportedError(f"the operand `{name}` of {op.type} {what}")


def _check_gates(op: Op, first: int, batch: int | None) -> None:
    """Raise where weights, biases or states do not fit each other.

    `first`: how far behind operand 0 the gates begin; the states of one direction follow them.
    """
    _check_sets(op, first)
    depth = op.input(0).shape[-1]
    cells, out = _units(op.input(first + 2), 0), _units(op.input(first + 6), 1)
    shapes: list[tuple[range, Shape]] = [
        (range(1, 5), (cells, depth)),
        (range(5, 9), (cells, out)),
        (range(9, 16), (cells,)),
        (range(16, 17), (out, cells)),
        (range(17, 18), (out,)),
    ]
    if first == 0 and op.type != "BIDIRECTIONAL_SEQUENCE_LSTM":
        _keeps(op, 18, 19)
        shapes += [
            (range(18, 19), (batch, out)),
            (range(19, 20), (batch, cells)),
            (range(20, 24), (cells,)),
        ]
    diagonal = op.options.get("diagonal_recurrent_tensors", False)
    for places, shape in shapes:
        for place in places:
            if first + place < len(op.inputs) and not (diagonal and place in range(5, 9)):
                has_shape(op.inputs[first + place], shape)


def _sequence_lstm(op: Op) -> Sequence[Typed]:
    """x: [n, t, i] or, with `time_major`, [t, n, i]; y like it with the output's depth."""
    _need(op, (20, 24))
    lead = _lead(op, 3)
    _check_gates(op, 0, lead[1 if op.options.get("time_major", False) else 0])
    return [((*lead, _units(op.input(6), 1)), op.input(0).dtype)]


def _both(op: Op, forward: int | None, backward: int | None) -> Sequence[Typed]:
    """Return the outputs of two directions: apart, or joined in the last dimension."""
    lead, dtype = _lead(op, 3), op.input(0).dtype
    if not op.options.get("merge_outputs", False):
        return [((*lead, forward), dtype), ((*lead, backward), dtype)]
    depth = None if forward is None or backward is None else forward + backward
    return [((*lead, depth), dtype)]


def _bidirectional_lstm(op: Op) -> Sequence[Typed]:
    """Like `_sequence_lstm`, in both directions.

    Importers keep the outputs apart and join them: with `merge_outputs` and without `time_major`
    LiteRT 2.3.0 reads memory that nothing has written.
    """
    batch = _lead(op, 3)[1 if op.options.get("time_major", False) else 0]
    for first in (0, 17):
        _check_gates(op, first, batch)
        out, cells = _units(op.input(first + 6), 1), _units(op.input(first + 2), 0)
        state = 35 if first == 0 else 37
        _keeps(op, state, state + 1)
        has_shape(op.inputs[state], (batch, out))
        has_shape(op.inputs[state + 1], (batch, cells))
    return _both(op, _units(op.input(6), 1), _units(op.input(23), 1))


def _rnn(op: Op) -> Sequence[Typed]:
    """x: [n, i]; w: [units, i]; y: [n, units]."""
    lead = _lead(op, 2)
    _check_rnn(op, 1, lead[0])
    return [((*lead, _units(op.input(1), 0)), op.input(0).dtype)]


def _check_rnn(op: Op, first: int, batch: int | None) -> None:
    """w: [units, i], r: [units, units], b: [units], h: [n, units], from operand `first` on."""
    units = _units(op.input(first), 0)
    shapes = ((units, op.input(0).shape[-1]), (units, units), (units,), (batch, units))
    for place, shape in enumerate(shapes, first):
        has_shape(op.inputs[place], shape)
    _keeps(op, first + 3)


def _sequence_rnn(op: Op) -> Sequence[Typed]:
    lead = _lead(op, 3)
    _check_rnn(op, 1, lead[1 if op.options.get("time_major", False) else 0])
    return [((*lead, _units(op.input(1), 0)), op.input(0).dtype)]


def _bidirectional_rnn(op: Op) -> Sequence[Typed]:
    batch = _lead(op, 3)[1 if op.options.get("time_major", False) else 0]
    for first in (1, 5):
        _check_rnn(op, first, batch)
    return _both(op, _units(op.input(1), 0), _units(op.input(5), 0))


def _svdf(op: Op) -> Sequence[Typed]:
    """x: [n, i]; w_feature: [units * rank, i]; y: [n, units]."""
    filters, rank = _units(op.input(1), 0), op.options.get("rank", 0)
    if rank < 1 or (filters is not None and filters % rank != 0):
        raise UnsupportedError(f"{filters} filters do not make units of rank {rank}")
    units = None if filters is None else filters // rank
    batch, memory = _lead(op, 2)[0], _units(op.input(2), 1)
    _keeps(op, 4)
    has_shape(op.input(1), (filters, op.input(0).shape[-1]))
    has_shape(op.input(2), (filters, memory))
    has_shape(op.inputs[3], (units,))
    if memory is not None and filters is not None:
        has_shape(op.input(4), (batch, memory * filters))
    return [((*_lead(op, 2), units), op.input(0).dtype)]


def _is_hybrid(op: Op, weights: int) -> bool:
    return op.input(0).dtype == np.float32 and op.input(weights).dtype == np.int8


# Minimum versions: LiteRT tools/versioning/op_version.cc.
def _hybrid_version(weights: int, first: int = 2, asymmetric: int = 3) -> VersionRule:
    def rule(op: Op) -> int:
        if not _is_hybrid(op, weights):
            return 1
        return asymmetric if op.options.get("asymmetric_quantize_inputs", False) else first

    return rule


def _lstm_version(op: Op) -> int:
    if op.options.get("kernel_type", "FULL") == "BASIC":
        return 2
    if op.input(0).dtype == np.int16:
        return 5
    return _hybrid_version(2, 3, 4)(op)


def _sequence_lstm_version(op: Op) -> int:
    if op.input(0).dtype == np.int16:
        return 5
    if op.options.get("diagonal_recurrent_tensors", False):
        return 4
    return _hybrid_version(2)(op)


def _svdf_version(op: Op) -> int:
    return 3 if op.input(0).dtype == np.int8 else _hybrid_version(1, 2, 4)(op)


def _macs(op: Op) -> int:
    """Every matrix meets every step once; state rows `x: [n, t, i]` count n * t steps."""
    lead = op.input(0).shape[:-1]
    steps = int(np.prod([1 if d is None else d for d in lead], dtype=np.int64))
    matrices = [t.size for t in op.inputs[1:] if t is not None and t.rank == 2 and not t.variable]
    return steps * sum(matrices)


def _hybrid(*names: str) -> QuantRule:
    """All of these int8 beside float activations, one scale for each; no integer activations."""
    return QuantRule(types=frozenset(), hybrid=dict.fromkeys(names))


def _weights(operands: str) -> QuantRule:
    """All of an LSTM's weights: the kernels want peepholes of the type of the matrices."""
    names = [word.strip("?") for word in operands.split("->")[0].split()]
    return _hybrid(*(n for n in names if n.removeprefix("bw_").startswith(("w_", "aux_w_"))))


def _not_plain(op: Op) -> str | None:
    """Return what keeps the integer kernel from an LSTM (unidirectional_sequence_lstm.cc)."""
    names = ROWS[op.type].operands
    given = {names.name(i) for i, t in enumerate(op.inputs) if t is not None}
    for what, some in (
        ("peepholes", {"w_ci", "w_cf", "w_co"}),
        ("a projection", {"w_proj", "b_proj"}),
        ("normalized gates", {"ln_i", "ln_f", "ln_c", "ln_o"}),
    ):
        if given & some:
            return f"has {what}, of which no range is measured"
    if "w_xi" not in given:
        return "has no input gate of its own"
    if op.options.get("fused_activation_function", "TANH") != "TANH":
        return "squashes its cells by another function than TANH"
    return None


_GATED = ("i", "f", "c", "o")
_INTEGER_LSTM = replace(
    _weights(LSTM),
    types=frozenset({"INT8"}),
    weight={f"w_{part}{gate}": None for part in "xh" for gate in _GATED},
    bias={f"b_{gate}": ("x", f"w_x{gate}") for gate in _GATED},
    states={"h": "y", "c": ""},
    scratch=5,
    refuses=_not_plain,
)
"""LiteRT 2.3.0 has it in 8 bits only; the gates are computed in 16 bits, the cells kept so."""

_RNN = "x w r b h -> y"
_BOTH_RNN = "x w r b h bw_w bw_r bw_b bw_h aux? aux_w? bw_aux_w? -> y bw_y"
_STATES = {"UNIDIRECTIONAL_SEQUENCE_LSTM": ("h", "c"), "UNIDIRECTIONAL_SEQUENCE_RNN": ("h",)}
_ROWS = {
    "LSTM": (LSTM, _lstm, _weights(LSTM), _lstm_version),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        LSTM,
        _sequence_lstm,
        _INTEGER_LSTM,
        _sequence_lstm_version,
    ),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (
        BIDIRECTIONAL_LSTM,
        _bidirectional_lstm,
        _weights(BIDIRECTIONAL_LSTM),
        _hybrid_version(2),
    ),
    "RNN": (_RNN, _rnn, _hybrid("w", "r"), _hybrid_version(1)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (_RNN, _sequence_rnn, _hybrid("w", "r"), _hybrid_version(1)),
    "BIDIRECTIONAL_SEQUENCE_RNN": (
        _BOTH_RNN,
        _bidirectional_rnn,
        _hybrid("w", "r", "bw_w", "bw_r", "aux_w", "bw_aux_w"),
        _hybrid_version(1),
    ),
    "SVDF": (
        "x w_feature w_time b? state -> y",
        _svdf,
        _hybrid("w_feature", "w_time"),
        _svdf_version,
    ),
}
for _name, (_operands, _shape, _quant, _version) in _ROWS.items():
    op(
        _name,
        _operands,
        shape=_shape,
        quant=replace(_quant, hybrid_all=_name != "SVDF"),
        version=_version,
        category="recurrent",
        states=_STATES.get(_name, ()),
        counted=_name.startswith("BIDIRECTIONAL"),
        macs=_macs,
        types=frozenset({"float32"}),
    )
