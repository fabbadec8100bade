"""Results that end before a last SOFTMAX, LOG_SOFTMAX or LOGISTIC, for `--logits`."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ops.emit import emit
from tqconv.ops.table import those
from tqconv.records import dataclass

PROBABILITIES = those(lambda row: row.decides is not None and row.category == "activation")
MOVES = those(lambda row: row.copies in ("order", "permuted") and not row.operands.variadic)
GRIDS = those(lambda row: row.category == "quantize")
"""Operators behind them that round, or say another type of the same numbers."""


@dataclass(frozen=True)
class _End:
    """What makes an output: probabilities, and what only moves them (from the output on)."""

    op: Op
    moves: tuple[Op, ...]


class Logits:
    """The outputs that were asked to end early, and which of them do.

    They are sought when a model was imported, and again when what is spelled out is recognized.
    wanted: else nothing is done.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self.done: dict[tuple[str, int], str] = {}

    def cut(self, model: Model) -> None:
        """Let outputs end before what makes probabilities of them, in place, each once."""
        for graph in model.graphs if self.wanted else ():
            for place, output in enumerate(graph.outputs):
                key = (graph.name, place)
                end = None if key in self.done else _end(output)
                if end is not None:
                    self.done[key] = _cut(graph, place, end)
            graph.prune()

    def notes(self) -> list[str]:
        """Return what became of the outputs, in a line, where it was asked for."""
        said = list(self.done.values()) or ["no output ends in SOFTMAX, LOG_SOFTMAX or LOGISTIC"]
        return [f"--logits: {'; '.join(said)}"] if self.wanted else []


def _end(output: Tensor) -> _End | None:
    """Return the end of an output that is made of probabilities and nothing else."""
    moves: list[Op] = []
    op = output.producer
    while op is not None and op.type not in PROBABILITIES:
        if op.type not in MOVES | GRIDS or op.inputs[0] is None:
            return None
        moves.append(op)
        op = op.input(0).producer
    return None if op is None else _End(op, tuple(moves))


def _cut(graph: Graph, place: int, end: _End) -> str:
    """Put what was before the probabilities in the place of an output; return what was done."""
    old, logits = graph.outputs[place], end.op.input(0)
    what = f"'{old.name}' keeps its {end.op.type}"
    moved = _moved(graph, end, logits, f"{old.name}/logits")
    if moved.dtype != old.dtype:
        return f"{what}, whose integers are scaled for it"
    if moved in graph.inputs:
        return f"{what}, the only operator"
    if moved in graph.outputs:
        return f"{what}: what it is made of is the output '{moved.name}'"
    graph.outputs[place] = moved
    return f"'{moved.name}' in the place of '{old.name}', which {end.op.type} made of it"


def _moved(graph: Graph, end: _End, x: Tensor, name: str) -> Tensor:
    """Return logits where the probabilities were moved to; under their own name if they were not.

    A grid for probabilities is none for them; integers are read as reals where those were.
    """
    for op in reversed(end.moves):
        if op.type in MOVES:
            x = emit(graph, op.type, x, *op.inputs[1:], name=name, source=op.source, **op.options)
        elif op.output.dtype == np.float32 and x.dtype != np.float32:
            x = emit(graph, "DEQUANTIZE", x, name=name, source=op.source)
    return x
