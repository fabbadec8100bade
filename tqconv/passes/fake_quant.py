"""FAKE_QUANT: read the range that it says, and leave it out.

An importer leaves the node in the graph only where a quantizer was asked for
(`LoadOptions.quantizing`). Reals that are stored as integers and read again at once say the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, of_type, sole_reader
from tqconv.ir.types import Range
from tqconv.ops.bounds import same_ends
from tqconv.ops.emit import Operand, emit
from tqconv.ops.operands import is_data
from tqconv.ops.spec import OpSpec
from tqconv.ops.table import having, spec, those
from tqconv.passes.rewrite import exact

STORED = frozenset(map(np.dtype, (np.int8, np.uint8, np.int16, np.uint16, np.int32)))
"""Types in which reals are stored."""
FAR = 3e38
"""Beyond every range that a FAKE_QUANT can have."""
LIMITS = having(lambda row: row.clamp or row.within)
"""What the results of operators stay within."""


def _stays_within(row: OpSpec) -> bool:
    """Whether results are elements of the only real operand, zeros, or means of elements."""
    data = [i for i in range(len(row.operands.names)) if is_data(row, i)]
    shares = row.quant is not None and row.quant.same
    one = data == [0] and not row.operands.variadic
    return one and (shares or row.interval is same_ends)


STAY_WITHIN = those(_stays_within)
"""Operators whose results stay within the limits of their operand."""


def read_fake_quant(graph: Graph) -> int:
    """Note the range on both sides of a FAKE_QUANT, where no stronger evidence stands.

    y = FAKE_QUANT(x) {min=a, max=b}   ->   the same, with x and y in [a, b]
    """
    return sum(read_range(op) for op in of_type(graph, "FAKE_QUANT"))


@exact
def read_conversions(graph: Graph) -> int:
    """Read a conversion to integers and back as evidence, with its scale and zero point.

    y = DEQUANTIZE(QUANTIZE(x))   ->   y = FAKE_QUANT(x), with the exact range on y
    y = DEQUANTIZE(QUANTIZE(x) by channels)   ->   y = MINIMUM(MAXIMUM(x, lows), highs)
    y = DEQUANTIZE(constant)   ->   a constant; its values say the grid, also by channels
    y = DEQUANTIZE(input), output = QUANTIZE(x)   ->   the same, with the exact range on y and x
    """
    count = sum([_say_border(graph, op) for op in graph.ops])
    for op in of_type(graph, "DEQUANTIZE"):
        stored = op.input(0)
        if stored.quant is None or stored.dtype not in STORED:
            continue
        x = made.input(0) if (made := made_by(stored, "QUANTIZE")) is not None else None
        name = f"{op.output.name}/reals"
        if stored.data is not None:
            reals = stored.quant.decode(stored.data)
            graph.replace(op.output, graph.constant(name, reals.astype(np.float32)))
        elif x is not None and x.data is not None:
            reals = stored.quant.decode(_encoded(stored, x.data))
            graph.replace(op.output, graph.constant(name, reals.astype(np.float32)))
        elif x is not None and x.dtype == np.float32:
            graph.replace(op.output, _as_evidence(graph, op, x, stored))
        else:
            continue
        count += 1
    if count:
        graph.prune()
    return count


def _say_border(graph: Graph, op: Op) -> bool:
    """Note how the model is fed reals in integers, or what it makes of them, as exact ranges."""
    if op.type == "DEQUANTIZE" and op.input(0) in graph.inputs:
        stored, reals = op.input(0), op.output
    elif op.type == "QUANTIZE" and op.output in graph.outputs and not op.output.uses:
        stored, reals = op.output, op.input(0)
    else:
        return False
    quant = stored.quant
    if quant is None or not quant.is_per_tensor:
        return False
    if stored.dtype not in STORED or reals.dtype != np.float32 or reals.range is not None:
        return False
    limits, bits = np.iinfo(stored.dtype), 8 * stored.dtype.itemsize
    low, high = (
        float((end - quant.zero_point[0]) * quant.scale[0]) for end in (limits.min, limits.max)
    )
    reals.range = Range(low, high, "fake_quant", str(op.source), bits, exact=True)
    return True


def _encoded(stored: Tensor, reals: NDArray[Any]) -> NDArray[np.float64]:
    assert stored.quant is not None
    scale, zero = stored.quant.spread(reals.ndim)
    limits = np.iinfo(stored.dtype)
    return np.asarray(np.clip(np.rint(reals / scale) + zero, limits.min, limits.max))


def _as_evidence(graph: Graph, op: Op, x: Tensor, stored: Tensor) -> Tensor:
    """Return `x` clamped to what a type can store; where one scale serves all, as FAKE_QUANT."""
    assert stored.quant is not None
    limits, name = np.iinfo(stored.dtype), f"{op.output.name}/range"
    scale, zero = stored.quant.spread(x.rank)
    low, high = ((end - zero) * scale for end in (limits.min, limits.max))
    if not stored.quant.is_per_tensor:
        lows, highs = low.astype(np.float32), high.astype(np.float32)
        y = emit(graph, "MAXIMUM", x, lows, name=f"{name}/low", source=op.source)
        clamped: Tensor = emit(graph, "MINIMUM", y, highs, name=name, source=op.source)
        return clamped
    bits, ends = 8 * stored.dtype.itemsize, (float(low), float(high))
    options = {"min": ends[0], "max": ends[1], "num_bits": bits}
    made: Tensor = emit(graph, "FAKE_QUANT", x, name=name, source=op.source, **options)
    made.range = Range(*ends, "fake_quant", str(op.source), bits, exact=True)
    return made


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
    said = said_by(op)
    if said.exact:
        return said.low, said.high
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
    least, most = limits(x)
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
    if x.range is None and not x.is_constant and sole_reader(graph, x) is op:
        x.range = stored  # integers of this range saturate where the clamp does
    y = x
    for kind, bound in steps or [("MINIMUM", [np.array(said.high, np.float32)])]:
        name = f"{op.output.name}/{kind.lower()}"
        y = emit(graph, kind, y, *bound, name=name, source=op.source)
        y.range = stored
    graph.replace(op.output, y)


def limits(x: Tensor) -> tuple[float, float]:
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
    options, known = op.options, op.output.range if op.outputs else None
    if known is not None and known.exact:
        return known
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
        graph.replace(y, x, keep_name=False)
    elif x in graph.inputs or x in graph.outputs or x.is_constant:
        if op.type == "RESHAPE" or not y.is_static:
            return False
        graph.replace(y, _copy(graph, x, op))
    else:
        graph.replace(y, x)
        x.range = y.range or x.range
    return True


def _copy(graph: Graph, x: Tensor, op: Op) -> Tensor:
    """Return `x` under another name: a graph input is not a graph output."""
    sizes = np.array(op.output.shape, np.int32)
    made: Tensor = emit(graph, "RESHAPE", x, sizes, name=f"{op.output.name}/copy", source=op.source)
    made.range = op.output.range
    return made
