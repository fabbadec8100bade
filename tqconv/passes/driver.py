"""The driver that runs passes: stage after stage, each until nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from tqconv.errors import InternalError
from tqconv.ir.graph import Graph, Model
from tqconv.passes.rewrite import EXACT, TYPES
from tqconv.passes.rewrite import Pass as Pass
from tqconv.records import dataclass

Observer = Callable[[str, Graph], None]

ROUNDS = 50
"""After so many rounds a stage is left as it is: what it has not rewritten yet is right, too."""


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
    the graph's invariants there. A model that holds integers sees the passes alone that keep every
    bit (`rewrite.exact`).
    """
    for stage in stages:
        integers = any(holds_integers(graph) for graph in model.all_graphs())
        allowed = tuple(p for p in stage.passes if p in EXACT or not integers)
        for graph in model.all_graphs():
            run_stage(Stage(stage.name, allowed), graph, observe, check)


def holds_integers(graph: Graph) -> bool:
    """Whether some tensor stores integers that stand for reals."""
    ends = ((*op.inputs, *op.outputs, *op.intermediates) for op in graph.ops)
    all_tensors = chain(graph.inputs, graph.outputs, chain.from_iterable(ends))
    return any(tensor is not None and tensor.quant is not None for tensor in all_tensors)


def run_stage(
    stage: Stage, graph: Graph, observe: Observer | None = None, check: bool = False
) -> int:
    """Run one stage until nothing changes, or ROUNDS times; return the number of rewrites.

    It ends when every pass has seen the graph as it is; the last round is seldom a whole one. With
    `check` it has to settle: passes that undo each other's work are a mistake.
    """
    if not stage.passes:
        return 0
    total = idle = 0
    types = graph.types()
    for _ in range(ROUNDS):
        changed = {}
        for function in stage.passes:
            count = 0
            if function not in TYPES or not TYPES[function].isdisjoint(types):
                count = _run(function, graph, observe, check)
            if count:
                types = graph.types()
            changed[function.__name__] = count
            total += count
            idle = 0 if count else idle + 1
            if idle == len(stage.passes):
                return total
    if check:
        firing = ", ".join(name for name, count in changed.items() if count)
        raise InternalError(f"stage '{stage.name}' does not settle: {firing} still fire")
    return total


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
