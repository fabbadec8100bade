"""What is never written, because nothing could run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op
from tqconv.ops.parameters import lacking
from tqconv.ops.table import known, spec

CUT_OFF = "--output_arrays before such an operator leaves it out"
SHOWN = 10
"""Operators listed in a report."""


def check_parameters(op: Op) -> None:
    """Raise UnsupportedError rather than write integers of which nobody knows what they mean."""
    tensor = lacking(op)
    if tensor is not None:
        raise UnsupportedError(
            f"{op.type} computes with integers, and '{tensor.name}' has no scale and zero point",
            where=op.source,
            hint=f"please report this with the command line; {CUT_OFF}",
        )


def check_constants(entries: Iterable[Graph]) -> None:
    """Raise UnsupportedError that lists the operators whose constants stop every run of a model.

    entries: the graphs that are run. Bodies that may never run are left as they are.
    """
    found = [(op, why) for op in _always_run(entries) if known(op.type) and (why := _stops(op))]
    if not found:
        return
    if len(found) == 1:
        op, why = found[0]
        raise UnsupportedError(_said(op, why), where=op.source, hint=CUT_OFF)
    lines = [f"  {op.source}: {_said(op, why)}" for op, why in found[:SHOWN]]
    more = [f"  … {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    raise UnsupportedError(
        f"{len(found)} operators stop every run of the model\n" + "\n".join([*lines, *more]),
        hint=CUT_OFF,
    )


def _stops(op: Op) -> str | None:
    return spec(op.type).stops(op)


def _said(op: Op, why: str) -> str:
    return f"{op.type} {why}, and stops every run of the model"


def _always_run(entries: Iterable[Graph]) -> Iterator[Op]:
    """Yield the operators of the entries, and of the conditions of loops there."""
    for graph in entries:
        for op in graph.ops:
            yield op
            if op.type == "WHILE":
                yield from _always_run(op.graphs[:1])
