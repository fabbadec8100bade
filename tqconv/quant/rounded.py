"""What a source rounds itself: by conversions to integers and back, whose ranges are exact.

Such a value is rounded once, to the steps that the source says, whoever reads it; what no
conversion rounds is not rounded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import sole_reader
from tqconv.ir.types import Range, type_name
from tqconv.ops.table import known as known_type
from tqconv.ops.table import spec
from tqconv.quant.evidence.intervals import clamp_of
from tqconv.quant.groups import Group
from tqconv.quant.params import Params
from tqconv.quant.select import reals, rule_of


def rounded(
    graph: Graph, found: Mapping[Tensor, Range], dtype: np.dtype | None, stored: Collection[Tensor]
) -> dict[Tensor, Params]:
    """Return how the source stores what is made or fed as reals, in integers of a type.

    stored: values that are integers in the plan.
    """
    return {
        tensor: Group(dtype, [tensor], [known]).known()
        for tensor, known in found.items()
        if dtype is not None and known.exact and known.bits == 8 * dtype.itemsize
        if tensor in graph.inputs or tensor not in stored
    }


def fed_in_integers(graph: Graph, found: Mapping[Tensor, Range]) -> dict[Tensor, Range]:
    """Return how the source stores inputs for one of their readers, where no range is known.

    Where none may be fed as reals, the other readers get the same.
    """
    told: dict[Tensor, Range] = {}
    for tensor in graph.inputs:
        reached, frontier = {tensor}, [tensor]
        while frontier and tensor not in found and tensor not in told:
            for made in [
                t for use in frontier.pop().uses if _holds(use.op) for t in use.op.outputs
            ]:
                if made in found and found[made].exact:
                    told.setdefault(tensor, found[made])
                elif made not in reached:
                    reached.add(made)
                    frontier.append(made)
    return told


def _holds(op: Op) -> bool:
    copies = spec(op.type).copies if known_type(op.type) else None
    return copies in ("order", "permuted") or clamp_of(op) is not None


def other_steps(
    graph: Graph, types: Mapping[Op, np.dtype], found: Mapping[Tensor, Range]
) -> dict[Op, str]:
    """Return the operators that round to other steps than those that the source gives their result.

    They have steps built into their kernel, or average in the steps of what they read. Without
    exact ranges a source gives none; what samples or a person tell of may have those of a kernel.
    """
    reasons: dict[Op, str] = {}
    if not any(known.exact for known in found.values()):
        return reasons
    for op, dtype in types.items():
        rule = rule_of(op)
        fixed = rule.fixed.get(type_name(dtype)) if rule is not None else None
        if rule is None or not (fixed or rule.averages):
            continue
        known = _stored_as(op.outputs[0], graph, found)
        if known is not None and known.bits != 8 * dtype.itemsize:
            continue
        measured = found.get(op.outputs[0])
        if known is None and measured is not None and measured.kind != "propagated":
            continue
        if fixed and (known is None or not _alike(Params.of(*fixed, dtype).covers(), known)):
            reasons[op] = f"has steps of {fixed[0]:.3g} in its kernel, its result {_steps(known)}"
        read = found.get(op.input(0))
        if rule.averages and known and read and not _alike((read.low, read.high), known):
            reasons[op] = f"averages in the steps of what it reads, its result {_steps(known)}"
    return reasons


def _stored_as(tensor: Tensor, graph: Graph, found: Mapping[Tensor, Range]) -> Range | None:
    """Return how the source stores a value, or what its only reader takes from it."""
    while True:
        known = found.get(tensor)
        if known is not None and known.exact:
            return known
        reader = sole_reader(graph, tensor)
        rule = rule_of(reader) if reader is not None else None
        if reader is None or rule is None or not rule.same or rule.averages:
            return None
        if sum(not t.is_constant for _, t in reals(reader)) != 1 or len(reader.outputs) != 1:
            return None
        tensor = reader.outputs[0]


def _alike(ends: tuple[float, float], known: Range) -> bool:
    """Whether both ends are those of a range, as float32 scales say them."""
    return bool(np.allclose(ends, (known.low, known.high), rtol=1e-6, atol=0))


def _steps(known: Range | None) -> str:
    if known is None:
        return "is not rounded in the source"
    return f"was trained with {(known.high - known.low) / (2**known.bits - 1):.3g}"
