"""Plans of graphs in text, from ranges in numbers."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Range
from tqconv.quant.plan import Borders, Plan, plan
from tqconv.quant.schemes import SCHEMES
from tqconv.quant.select import Choice

Ends = tuple[float, float]


def by_name(graph: Graph, name: str) -> Tensor:
    return next(t for t in graph.tensors() if t.name == name)


def planned(
    graph: Graph,
    ranges: Mapping[str, Ends],
    mode: str = "int8",
    choice: Choice = Choice(),  # noqa: B008
    borders: Borders = Borders(),  # noqa: B008
) -> Plan:
    found = {by_name(graph, n): Range(*ends, "calibrated", "minmax") for n, ends in ranges.items()}
    return plan(graph, SCHEMES[mode], found, choice, borders)


def stored(graph: Graph, made: Plan, name: str) -> tuple[float, int]:
    params = made.tensors[by_name(graph, name)]
    return float(params.scale[0]), int(params.zero_point[0])


WHOLE = Choice(integer_only=True)
DENSE = """
x: f32[1,4] -> z
y = FULLY_CONNECTED(x, f32[2,4], [0.5,-0.5])
z = SOFTMAX(y) {beta=1.0}
"""
