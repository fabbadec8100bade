"""Scales that kernels need equal and TOCO made different.

MAX_POOL_2D, PAD, TRANSPOSE, MINIMUM and others pass codes on as they are. Where a FakeQuant node or
a default gave their result another scale than their operand, TOCO wrote both: LiteRT then computes
something else, or refuses to load the model with its default delegate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.grid import Grid
from tqconv.quant.params import Params
from tqconv.quant.plan import Plan
from tqconv.quant.select import in_group, is_real, is_same, reals, rule_of

HALF_STEP = 0.5


def params_of(grid: Grid, why: str) -> Params:
    """Return a grid as the plan has it: with a scale in float32."""
    return Params.of(grid.scale, grid.zero_point, grid.dtype, why)


def repair(graph: Graph, plan: Plan, grids: dict[Tensor, Grid], why: Mapping[Tensor, str]) -> None:
    """Give each such operator one scale, in `plan` and `grids`, and convert around it."""
    reads: dict[Use, Grid] = {}
    for op in graph.ops:
        rule = rule_of(op)
        if op not in plan.types or rule is None or not is_same(rule, plan.types[op]):
            continue
        operands = [Use(op, i) for i, _ in reals(op) if in_group(op, i, rule)]
        outputs = [t for t in op.outputs if is_real(t)]
        if operands and outputs:
            _repair(op, operands, outputs, _Scales(graph, plan, grids, why, reads))


class _Scales:
    """What the tensors are stored with, and what operators read where that differs."""

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        grids: dict[Tensor, Grid],
        why: Mapping[Tensor, str],
        reads: dict[Use, Grid],
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.grids = grids
        self.why = why
        self.reads = reads

    def read_by(self, use: Use) -> Grid:
        """Return the grid in which an operator reads an input."""
        return self.reads.get(use) or self.grids[use.op.input(use.index)]

    def convert_for(self, use: Use, home: Grid) -> None:
        """Let an operator read an input in another grid."""
        tensor = use.op.input(use.index)
        why = f"{use.op.type} reads its operands as if they had the scale of its result"
        self.reads[use] = home
        self.plan.edges[use] = params_of(home, why)
        if tensor.data is not None:
            self.plan.codes[use] = home.encode(tensor.data)

    def convert_after(self, tensor: Tensor, home: Grid) -> None:
        """Store a result in `home`, and let its readers have the grid that TOCO gave it."""
        wanted, self.grids[tensor] = self.grids[tensor], home
        if _is_near(home, wanted):
            return
        why = f"{self.why[tensor]}; the kernel of {tensor.producer!r} does not rescale"
        for use in tensor.uses:
            self.reads[use] = wanted
            self.plan.edges[use] = params_of(wanted, why)
        if tensor in self.graph.outputs:
            self.plan.borders[tensor] = params_of(wanted, why)


def _repair(op: Op, operands: list[Use], outputs: list[Tensor], scales: _Scales) -> None:
    """Let all reals of an operator share one grid: its only operand's, else its result's.

    A constant beside that operand may lie outside of its grid.
    """
    fed = {u: scales.read_by(u) for u in operands if not op.input(u.index).is_constant}
    constants = [op.input(u.index).data for u in operands if u not in fed]
    sole = len({id(op.input(u.index)) for u in fed}) == 1
    home = next(iter(fed.values())) if sole else scales.grids[outputs[0]]
    if not all(_holds(home, data) for data in constants if data is not None):
        home = scales.grids[outputs[0]]
    for use in operands:
        if not _is_equal(scales.read_by(use), home):
            scales.convert_for(use, home)
    for tensor in outputs:
        if not _is_equal(scales.grids[tensor], home):
            scales.convert_after(tensor, home)


def _holds(grid: Grid, data: NDArray[Any]) -> bool:
    """Whether rounding is all that a grid does to numbers."""
    spare = HALF_STEP * grid.scale
    return bool(((data >= grid.low - spare) & (data <= grid.high + spare)).all())


def _is_equal(a: Grid, b: Grid) -> bool:
    return params_of(a, "").equals(params_of(b, ""))


def _is_near(written: Grid, read: Grid) -> bool:
    """Whether integers of one grid, read by another, are at most half a step away."""
    if written.dtype != read.dtype:
        return False
    codes = np.arange(written.first, written.last + 1, dtype=np.float64)
    apart = (codes - written.zero_point) * written.scale - (codes - read.zero_point) * read.scale
    return bool(np.max(np.abs(apart)) <= HALF_STEP * read.scale)
