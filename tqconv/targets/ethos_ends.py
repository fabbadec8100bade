"""Where Vela 5.2.0 ends with an error, or crashes, and writes nothing.

Its reader asks operators for what TensorFlow Lite does not ask (tflite_model_semantics.cpp), on
whatever they run; of those that it places, it has no way to compute some. Both were observed.
"""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op
from tqconv.targets.device import Refusal
from tqconv.targets.ethos_rules import feature_maps
from tqconv.targets.rules import INTEGERS, type_name

LSTM_OPERANDS, LSTM_INNER = 24, 5


def filled(op: Op, graph: Graph) -> Refusal | None:
    """Constants have elements; a shape of none is how a RESHAPE makes a scalar."""
    del graph
    found = next((t for t in op.inputs if t is not None and t.is_constant and t.size == 0), None)
    return None if found is None else Refusal(f"its constant '{found.name}' has no elements")


def eight_bits(op: Op, graph: Graph) -> Refusal | None:
    """Two operators are of 8 bits."""
    del graph
    if op.type not in ("ARG_MAX", "HARD_SWISH") or type_name(op.input(0)) in ("int8", "uint8"):
        return None
    return Refusal(f"{type_name(op.input(0))} data, it reads those of 8 bits alone", INTEGERS)


def integer_lstm(op: Op, graph: Graph) -> Refusal | None:
    """An LSTM is one of integers, with all that it may have."""
    del graph
    if op.type != "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return None
    if type_name(op.input(0)) not in ("int8", "int16"):
        return Refusal(f"{type_name(op.input(0))} data", INTEGERS)
    whole = len(op.inputs) == LSTM_OPERANDS and len(op.intermediates) == LSTM_INNER
    asked = f"{LSTM_OPERANDS} operands and {LSTM_INNER} inner tensors"
    return None if whole else Refusal(f"it has not {asked}")


def no_bool_borders(op: Op, graph: Graph) -> Refusal | None:
    """The U55 and U65: a graph, or a body of a loop, reads and makes no tensor of bool."""
    for whole, own, word in (
        (graph.inputs, op.inputs, "input"),
        (graph.outputs, op.outputs, "output"),
    ):
        found = next(
            (t for t in own if t is not None and t in whole and t.dtype == bool and t.rank), None
        )
        if found is not None:
            return Refusal(f"'{found.name}' is an {word} of bool", "cast it inside of the model")
    return None


READS = (filled, eight_bits, integer_lstm)

_COMPUTING = frozenset(
    [
        *("ADD", "CAST", "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "MAXIMUM"),
        *("MINIMUM", "MUL", "NEG", "NOT_EQUAL", "REDUCE_MAX", "REDUCE_MIN", "SELECT", "SELECT_V2"),
        *("SQUARED_DIFFERENCE", "SUB", "SUM"),
    ]
)


def no_long_arithmetic(op: Op) -> Refusal | None:
    """The U85: nothing is computed of 64 bits, and no squares of 32; elements are moved."""
    operands = [t for t in feature_maps(op) if t not in op.outputs]
    most = 2 if op.type == "SQUARED_DIFFERENCE" else 4
    found = next((t for t in operands if t.dtype.itemsize > most), None)
    if op.type not in _COMPUTING or found is None:
        return None
    return Refusal(f"{type_name(found)} data", "int32 indices in the model")
