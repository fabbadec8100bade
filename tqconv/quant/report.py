"""The plan as text: a line for each tensor with the reason, then the operators that stay float."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import counted
from tqconv.ir.graph import Graph, Op, Use
from tqconv.ir.types import type_name
from tqconv.ops.table import those
from tqconv.quant.ends import end_of
from tqconv.quant.losses import MIXES, extremes, span, with_range
from tqconv.quant.params import Params
from tqconv.quant.plan import Plan
from tqconv.quant.select import is_real, rule_of


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


SHARING = those(lambda row: row.decides == "row" and row.within == (0.0, 1.0))
MANY = 128
"""Results among which an even share of 1 is less than two steps of 8 bits."""


def float_lines(plan: Plan) -> list[str]:
    """Return a line for each operator that stays float, with the reason."""
    return [f"float: {op!r}: {reason}" for op, reason in plan.floats.items()]


ALIKE = 3
"""Operators that are named of more that stay float for one and the same reason."""


def float_notes(plan: Plan) -> list[str]:
    """Return the same in few lines: of many operators with one reason the first are named."""
    alike: dict[str, list[Op]] = {}
    for op, reason in plan.floats.items():
        alike.setdefault(reason, []).append(op)
    lines = []
    for reason, ops in alike.items():
        if len(ops) <= ALIKE + 1:
            lines += [f"float: {op!r}: {reason}" for op in ops]
        else:
            first = ", ".join(f"{op!r}" for op in ops[:ALIKE])
            lines.append(f"float: {first} and {len(ops) - ALIKE} more, each of which {reason}")
    return lines


def coarse_lines(
    graph: Graph, plan: Plan, seen: Mapping[str, Sequence[NDArray[Any]]] | None = None
) -> list[str]:
    """Return a note for each operator that shares 1 among more results than it has steps for.

    `seen`: what the float model made of outputs, by their names: where it is known, that decides.
    """
    lines = []
    for op, dtype in plan.types.items():
        rule, classes = rule_of(op), op.outputs[0].shape[-1] if op.outputs[0].rank else None
        fixed = rule.fixed.get(type_name(dtype)) if rule is not None else None
        if op.type not in SHARING or fixed is None or classes is None or dtype.itemsize > 1:
            continue
        end = end_of(op.outputs[0], graph)
        made = (seen or {}).get(end.name, ()) if end is not None else ()
        lost = _lost(made, fixed[0], classes) if made else _below(fixed[0], classes)
        if lost is not None:
            finer = (
                f"--int16 '^{re.escape(op.source.node)}$' has steps of 1/32768"
                if end is None
                else "--logits ends before it, --inference_output_type int16 has steps of 1/32768"
            )
            what = f"{op!r} shares 1 among {classes} results in steps of {fixed[0]:.2g}"
            lines.append(f"{what}: {lost}; {finer}")
    return lines


POOR = 15.0
"""Decibels that a row of probabilities keeps, below which it counts as lost."""
WORTH_SAYING = 0.1
"""Part of the rows that may be lost without a word."""


def _lost(made: Sequence[NDArray[Any]], step: float, classes: int) -> str | None:
    """Return what steps from 0 to 1 leave of rows of probabilities, None where that is enough."""
    rows = np.concatenate([each.reshape(-1, classes) for each in made]).astype(np.float64)
    kept = np.clip(np.rint(rows / step), 0, 255) * step
    noise, signal = np.square(rows - kept).sum(axis=1), np.square(rows).sum(axis=1)
    poor = float(np.mean(signal < noise * 10 ** (POOR / 10)))
    tied = float(np.mean((kept == kept.max(axis=1, keepdims=True)).sum(axis=1) > 1))
    if max(poor, tied) < WORTH_SAYING:
        return None
    return (
        f"of {counted(len(rows), 'row')} {100 * poor:.3g} % keep less than {POOR:g} dB, in "
        f"{100 * tied:.3g} % the largest is not alone"
    )


def _below(step: float, classes: int) -> str | None:
    return f"those below {step / 2:.2g} become 0" if classes >= MANY else None


COARSE_INTEGERS = 0.5
"""Steps from which on an integer may become another, however it is rounded."""
UNLIKE = 16
"""How much wider one operand may be than another in 8 bits before a note says what that costs."""


def joined_lines(graph: Graph, plan: Plan) -> list[str]:
    """Return a note for each operator whose narrowest operand gets few of the widest's steps."""
    lines: list[str] = []
    found = plan.request.found if plan.request is not None else {}
    for op, dtype in plan.types.items():
        if op.type not in MIXES:
            continue
        stored, (least, most) = plan.tensors.get(op.outputs[0]), extremes(op, found)
        if stored is None or least is None or most is None:
            continue
        levels = 2 ** (8 * dtype.itemsize) - 1
        if span(found[most]) > UNLIKE * levels / 255 * span(found[least]):
            steps = max(1, round(span(found[least]) / float(stored.scale[0])))
            apart = _apart(graph, op) if dtype.itemsize == 1 else _float(op)
            lines.append(
                f"{op!r} stores {with_range(least, found)} in {counted(steps, 'step')} of {levels},"
                f" beside {with_range(most, found)}; {apart} keeps more of it"
            )
    return lines


NAMED = 3
"""Values that a note about bounds names."""


def bounded_lines(plan: Plan) -> list[str]:
    """Return a note about the values whose steps follow from a bound, as nobody told of them."""
    found = plan.request.found if plan.request is not None else {}
    stored = [t for t in plan.tensors if t in found and found[t].kind == "bounded"]
    if not stored:
        return []
    wide = sum(plan.tensors[t].dtype.itemsize > 1 for t in stored)
    more = f", … {len(stored) - NAMED} more" if len(stored) > NAMED else ""
    names = ", ".join(with_range(t, found) for t in stored[:NAMED])
    return [
        f"nobody tells the ranges of {counted(len(stored), 'value')}, {wide} of 16 bits, which "
        f"have room for all that may occur: {names}{more}; samples give finer steps"
    ]


def rounded_lines(graph: Graph, plan: Plan) -> list[str]:
    """Return a note for each operator that makes integers of reals in steps too coarse for them."""
    lines: list[str] = []
    for op in graph.ops:
        params = plan.tensors.get(op.input(0)) if _makes_integers(op) else None
        if params is None or params.scale[0] < COARSE_INTEGERS:
            continue
        maker = op.input(0).producer
        mend = "" if maker is None else f"; {_float(maker)} keeps them"
        lines.append(
            f"{op!r} makes integers of '{op.input(0).name}', which is stored in steps of "
            f"{params.scale[0]:.3g}{mend}"
        )
    return lines


def _makes_integers(op: Op) -> bool:
    return op.type == "CAST" and is_real(op.input(0)) and op.output.dtype.kind in "iu"


def _float(op: Op) -> str:
    return f"--keep_float '^{re.escape(op.source.node)}$'"


def _apart(graph: Graph, op: Op) -> str:
    """Return the flag with which the parts of a join get finer steps."""
    if op.outputs[0] not in graph.outputs:
        return f"--int16 '^{re.escape(op.source.node)}$'"
    parts = [t.name for t in op.inputs if t is not None and not t.is_constant]
    names = [parts if t is op.outputs[0] else [t.name] for t in graph.outputs]
    return f"--output_arrays {','.join(name for each in names for name in each)}"


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
