"""The driver that runs passes: stage after stage, each until nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqconv.errors import InternalError
from tqconv.ir.graph import Graph, Model

Pass = Callable[[Graph], int]
Observer = Callable[[str, Graph], None]

ROUNDS = 50
"""A stage that has not settled after so many rounds never will."""


@dataclass(frozen=True)
class Stage:
    """Passes that run together until none of them changes the graph."""

    name: str
    passes: tuple[Pass, ...]


def run_stages(
    model: Model,
    stages: Sequence[Stage],
    *,
    observe: Observer | None = None,
    check: bool = False,
) -> None:
    """Run the stages on every graph of the model, in place.

    `observe(pass name, graph)` is called after each pass that changed something; `check` verifies
    the graph's invariants there.
    """
    for stage in stages:
        for graph in model.all_graphs():
            run_stage(stage, graph, observe, check)


def run_stage(
    stage: Stage, graph: Graph, observe: Observer | None = None, check: bool = False
) -> int:
    """Run one stage to its fixed point and return the number of rewrites."""
    total = 0
    for _ in range(ROUNDS):
        changed = {p.__name__: _run(p, graph, observe, check) for p in stage.passes}
        if not any(changed.values()):
            return total
        total += sum(changed.values())
    firing = ", ".join(name for name, count in changed.items() if count)
    raise InternalError(f"stage '{stage.name}' does not settle: {firing} still fire")


def _run(function: Pass, graph: Graph, observe: Observer | None, check: bool) -> int:
    count = function(graph)
    if count:
        graph.prune()
        graph.sort()
        if check:
            graph.check()
        if observe is not None:
            observe(function.__name__, graph)
    return count
