"""What ranges say about the next tensor's: for tensors of which nothing else is known."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tqconv.errors import counted
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Range
from tqconv.ops.facts import CLAMPS
from tqconv.ops.table import having, known, spec, those

Ends = tuple[float, float]


RULES = having(lambda row: row.interval)
KEEP = those(
    lambda row: (
        (row.quant is not None and row.quant.same and not row.quant.averages)
        or row.clamp is not None
    )
)
"""Operators whose results are elements of their operands, or limits."""
FREE: Ends = (-math.inf, math.inf)
SHOWN = 4
"""Tensors that a note names."""


def clamp_of(op: Op) -> Ends | None:
    """Return what an operator clamps its first operand to, by numbers; None if it does not."""
    if op.type not in ("MAXIMUM", "MINIMUM"):
        return CLAMPS.get(op.type)
    bound = op.input(1).data
    if bound is None or bound.size != 1:
        return None
    limit = float(bound.reshape(-1)[0])
    return (limit, math.inf) if op.type == "MAXIMUM" else (-math.inf, limit)


def clipped_by_default(graph: Graph, found: Mapping[Tensor, Range]) -> list[str]:
    """Return a note about default ranges that cut off what an operator itself says it reaches."""
    cut = []
    for op in graph.ops:
        fused = CLAMPS.get(str(op.options.get("fused_activation_function")))
        ends = clamp_of(op) or fused
        for tensor in op.outputs if ends is not None else ():
            known = found.get(tensor)
            if known is None or known.kind != "default" or ends is None:
                continue
            low, high = (e if math.isfinite(e) else 0.0 for e in ends)
            if low < known.low or high > known.high:
                cut.append(f"'{tensor.name}' ({low:g} … {high:g})")
    if not cut:
        return []
    more = f", … {len(cut) - SHOWN} more" if len(cut) > SHOWN else ""
    return [
        f"--default_ranges clips {counted(len(cut), 'tensor')} that "
        f"reach{'es' if len(cut) == 1 else ''} further: "
        f"{', '.join(cut[:SHOWN])}{more}"
    ]


def propagate(
    graph: Graph, found: Mapping[Tensor, Range], *, computed: bool = True
) -> dict[Tensor, Range]:
    """Return `found` with the tensors added that interval arithmetic reaches from it.

    One walk in topological order; a tensor that has evidence keeps it. computed: also through what
    makes other numbers than it reads, of which only a part of the interval may occur.
    """
    ranges = dict(found)
    for op in graph.ops:
        if not computed and op.type not in KEEP:
            continue
        for tensor in op.outputs:
            if tensor in ranges or tensor.dtype.kind != "f":
                continue
            ends = ends_of(op, ranges)
            if ends is not None and all(map(math.isfinite, ends)):
                ranges[tensor] = Range(*ends, "propagated", f"through {op!r}")
    return ranges


def ends_of(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """Return the ends of an operator's results by its row, from those of what it reads."""
    inputs = [input_ends(t, ranges) for t in op.inputs if t is not None and t.dtype.kind == "f"]
    known_ends = [ends for ends in inputs if ends is not None]
    if len(known_ends) < len(inputs) or not inputs:
        return None
    rule = RULES.get(op.type)
    if op.type == "MUL" and op.inputs[0] is op.inputs[1]:
        low, high = RULES["SQUARE"](known_ends[0])
    elif rule is not None:
        low, high = rule(*known_ends)
    elif known(op.type) and (quant := spec(op.type).quant) is not None and quant.same:
        low, high = min(e[0] for e in known_ends), max(e[1] for e in known_ends)
    else:
        return None
    least, most = CLAMPS.get(op.options.get("fused_activation_function", "NONE"), FREE)
    return min(max(low, least), most), min(max(high, least), most)


def input_ends(tensor: Tensor, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """Return the ends of a value or of a constant."""
    if tensor.data is not None:
        data = tensor.data
        return (float(data.min()), float(data.max())) if data.size else (0.0, 0.0)
    known_range = ranges.get(tensor)
    return None if known_range is None else (known_range.low, known_range.high)
