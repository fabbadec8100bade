"""The plan as text: a line for each tensor with the reason, then the operators that stay float."""

from __future__ import annotations

from collections.abc import Iterator

from tqconv.errors import counted
from tqconv.ir.graph import Graph, Op, Use
from tqconv.ir.types import type_name
from tqconv.quant.params import Params
from tqconv.quant.plan import Plan


def describe(graph: Graph, plan: Plan) -> str:
    """Return the table of a plan; call it before `apply`, on the graph that was planned."""
    counts = f"{counted(len(plan.types), 'operator')} on integers, {len(plan.floats)} float"
    lines = [f"{plan.scheme.name}: {counts}"]
    lines += [_line(t.name, p) for t, p in plan.tensors.items()]
    for op in graph.ops:
        lines += _edges(op, plan)
    for tensor, params in plan.borders.items():
        if params is not None and not params.equals(plan.tensors.get(tensor)):
            lines.append(_line(f"{tensor.name} (border)", params))
    return "\n".join([*lines, *float_lines(plan), *plan.notes])


def float_lines(plan: Plan) -> list[str]:
    """Return a line for each operator that stays float, with the reason."""
    return [f"float: {op!r}: {reason}" for op, reason in plan.floats.items()]


def _edges(op: Op, plan: Plan) -> Iterator[str]:
    for index, tensor in enumerate(op.inputs):
        params = plan.edges.get(Use(op, index))
        if tensor is not None and params is not None:
            place = "" if tensor.is_constant else f" (read by {op!r})"
            yield _line(f"{tensor.name}{place}", params)


def _line(name: str, params: Params) -> str:
    if params.is_per_tensor:
        numbers = f"scale {params.scale[0]:.9g} zero {params.zero_point[0]}"
    else:
        low, high = params.scale.min(), params.scale.max()
        numbers = f"{params.scale.size} scales {low:.3g} … {high:.3g}"
    return f"{name}: {type_name(params.dtype).lower()} {numbers}; {params.why}"
