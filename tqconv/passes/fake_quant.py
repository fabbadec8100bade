"""FAKE_QUANT: read the range that it says, and leave it out.

An importer leaves the node in the graph only where a quantizer was asked for
(`LoadOptions.quantizing`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import of_type, sole_reader
from tqconv.ir.types import Range
from tqconv.ops.emit import Operand, emit
from tqconv.ops.table import having, spec

FAR = 3e38
"""Beyond every range that a FAKE_QUANT can have."""
LIMITS = having(lambda row: row.clamp or row.within)
"""What the results of operators stay within."""
STAY_WITHIN = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "RESHAPE", "SQUEEZE"})
STAY_WITHIN |= {"TRANSPOSE", "EXPAND_DIMS", "SLICE", "STRIDED_SLICE", "RESIZE_BILINEAR"}
"""Operators whose results stay within the limits of their operand."""

PASSES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("GATHER", "RESHAPE", "TRANSPOSE", "TILE"), (0,)),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1"), (0,)),
    "SELECT": (1, 2),
    "CONCATENATION": (),
}
"""Operator -> the operands (all of them: empty) whose elements it passes on: TOCO's
propagate_fake_quant_num_bits.cc."""


def read_fake_quant(graph: Graph) -> int:
    """Note the range on both sides of a FAKE_QUANT, where no stronger evidence stands.

    y = FAKE_QUANT(x) {min=a, max=b}   ->   the same, with x and y in [a, b]
    """
    return sum(read_range(op) for op in of_type(graph, "FAKE_QUANT"))


def clamp_fake_quant(graph: Graph) -> int:
    """Clamp as a FAKE_QUANT does, and note the range; the rounding is left to the integers.

    y = FAKE_QUANT(x) {min=a, max=b}   ->   y = MINIMUM(MAXIMUM(x, a), b), with y in [a, b]

    Where integers have just this range the clamps say nothing, and the writer leaves them out.
    Constants are rounded to the grid: trained weights are what the trained network saw. An input
    that nothing else reads has the range, too. A range that no integers have stays for the
    quantizer to report.
    """
    count = 0
    for op in of_type(graph, "FAKE_QUANT"):
        x, (low, high) = op.input(0), nudged(op)
        if not np.isfinite(low) or not np.isfinite(high):
            op.output.range = said_by(op)
            continue
        if x.is_constant:
            graph.replace(op.output, graph.constant(f"{op.output.name}/grid", _rounded(op)))
        else:
            said = replace(said_by(op), low=low, high=high)
            _clamp(graph, op, said)
        count += 1
    return count


def nudged(op: Op) -> tuple[float, float]:
    """Return the ends of the range of a FAKE_QUANT, moved so that 0 is one of its steps."""
    ends = np.array([-FAR, FAR], np.float32)
    low, high = _rounded(Op(op.type, (Tensor("ends", (2,), ends.dtype, ends),), (), op.options))
    return float(low), float(high)


def _rounded(op: Op) -> NDArray[Any]:
    fold = spec(op.type).fold
    assert fold is not None
    with np.errstate(all="ignore"):
        return np.asarray(fold(op))


def _clamp(graph: Graph, op: Op, said: Range) -> None:
    x, stored = op.input(0), _in_eight_bits(said)
    if x in graph.inputs and sole_reader(graph, x) is op:
        x.range = x.range or stored
    least, most = _limits(x)
    steps: list[tuple[str, list[Operand]]] = []
    if said.low > least:
        lower: list[Operand] = [np.array(said.low, np.float32)] if said.low else []
        steps.append(("MAXIMUM" if lower else "RELU", lower))
    if said.high < most:
        steps.append(("MINIMUM", [np.array(said.high, np.float32)]))
    if not steps and x.range in (None, stored):
        x.range = stored
        pass_through(graph, op)
        return
    y = x
    for kind, bound in steps or [("MINIMUM", [np.array(said.high, np.float32)])]:
        name = f"{op.output.name}/{kind.lower()}"
        y = emit(graph, kind, y, *bound, name=name, source=op.source)
        y.range = stored
    graph.replace(op.output, y)


def _limits(x: Tensor) -> tuple[float, float]:
    """Return what a tensor stays within by the way it is made."""
    while x.producer is not None and x.producer.type in STAY_WITHIN:
        x = x.producer.input(0)
    return LIMITS.get(x.producer.type if x.producer else "", (-np.inf, np.inf))


def _in_eight_bits(said: Range) -> Range:
    """Return the range with which 8 bits have the steps that fewer bits have in a narrower one."""
    steps = 2**said.bits - 1 - int(said.narrow)
    if said.bits >= 8:
        return said
    step = (said.high - said.low) / steps
    return replace(said, high=said.low + 255 * step, bits=8, narrow=False)


def drop_fake_quant(graph: Graph) -> int:
    """Leave out a FAKE_QUANT; its range must have been read.

    y = FAKE_QUANT(x); z = RELU(y)   ->   z = RELU(x)
    """
    return sum(pass_through(graph, op) for op in of_type(graph, "FAKE_QUANT"))


def spread_fake_quant(graph: Graph) -> int:
    """Note the range of a FAKE_QUANT also before operators that only move or clamp elements.

    y = RESHAPE(x, s); z = FAKE_QUANT(y) {min=a, max=b}   ->   the same, with x in [a, b]
    """
    count = 0
    for op in of_type(graph, "FAKE_QUANT"):
        said, stack = said_by(op), [op]
        while stack:
            reader = stack.pop()
            for tensor in _passed(reader):
                if tensor.range is None:
                    tensor.range = said
                    count += 1
                if tensor.producer is not None and tensor.producer.type in PASSES:
                    stack.append(tensor.producer)
    return count


def _passed(op: Op) -> list[Tensor]:
    places = PASSES.get(op.type, (0,)) or range(len(op.inputs))
    return [op.input(i) for i in places if op.input(i).dtype == np.float32]


def read_range(op: Op) -> bool:
    """Note the range of one FAKE_QUANT on both sides; whether that said anything new."""
    said, changed = said_by(op), False
    for tensor in (op.input(0), op.output):
        if tensor.range is None:
            tensor.range, changed = said, True
        elif said.narrow and not tensor.range.narrow:
            tensor.range, changed = replace(tensor.range, narrow=True), True
    return changed


def said_by(op: Op) -> Range:
    """Return the range of a FAKE_QUANT operator."""
    options = op.options
    return Range(
        float(np.float32(options.get("min", 0.0))),
        float(np.float32(options.get("max", 0.0))),
        "fake_quant",
        str(op.source),
        options.get("num_bits", 8),
        options.get("narrow_range", False),
    )


def pass_through(graph: Graph, op: Op) -> bool:
    """Let the readers of an operator's only output read its first input; False where neither goes.

    An output of the graph keeps its range and name, as in TOCO's remove_trivial_passthrough.cc.
    """
    x, y = op.input(0), op.output
    if y not in graph.outputs:
        x.range = x.range or y.range
        graph.replace(y, x, keep_name=False)
    elif x in graph.inputs or x in graph.outputs or x.is_constant:
        if op.type == "RESHAPE" or not y.is_static:
            return False
        graph.replace(y, _copy(graph, x, op))
    else:
        x.range = y.range or x.range
        graph.replace(y, x)
    return True


def _copy(graph: Graph, x: Tensor, op: Op) -> Tensor:
    """Return `x` under another name: a graph input is not a graph output."""
    sizes = np.array(op.output.shape, np.int32)
    made: Tensor = emit(graph, "RESHAPE", x, sizes, name=f"{op.output.name}/copy", source=op.source)
    made.range = op.output.range
    return made
