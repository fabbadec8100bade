"""How the inputs and outputs of one model are fed to another: by place, name and layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tqconv.errors import UsageError, counted, shaped
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Shape
from tqconv.records import dataclass
from tqconv.runtime.litert import Array, Feed

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""Permutations that make images channels last, and channels first."""


@dataclass(frozen=True)
class Borders:
    """What becomes of a feed of the first model before the second reads it, and of the outputs.

    names: input of the first -> input of the second; inputs: permutations by the first one's
    names; outputs: by place, of what the second makes. notes: what was permuted, in words.
    """

    names: Mapping[str, str]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[tuple[int, ...] | None, ...]
    notes: tuple[str, ...] = ()

    def feed(self, feed: Feed) -> Feed:
        """Return a sample as the second model takes it."""
        return {self.names[n]: _permuted(a, self.inputs.get(n)) for n, a in feed.items()}

    def output(self, index: int, array: Array) -> Array:
        """Return an output of the second model in the layout of the first."""
        return _permuted(array, self.outputs[index])


def borders_between(first: Graph, second: Graph) -> Borders:
    """Return how to feed both with the same samples.

    Inputs go by name where both have the same names, else by place. Raises UsageError where the
    numbers of inputs or outputs or their shapes differ by more than where the channels stand.
    """
    for word, mine, theirs in (
        ("input", first.inputs, second.inputs),
        ("output", first.outputs, second.outputs),
    ):
        if len(mine) != len(theirs):
            raise UsageError(
                f"the first model has {counted(len(mine), word)}, the second {len(theirs)}",
                hint="cut the first one: --input_arrays, --output_arrays",
            )
    partners = _partners(first.inputs, second.inputs)
    inputs = {a.name: p for a, b in partners if (p := _between(a, b, "input")) is not None}
    outputs = tuple(
        _between(b, a, "output") for a, b in zip(first.outputs, second.outputs, strict=True)
    )
    names = {a.name: b.name for a, b in partners}
    moved = [f"input '{n}'" for n in inputs]
    moved += [
        f"output '{t.name}'" for t, p in zip(first.outputs, outputs, strict=True) if p is not None
    ]
    notes = [f"{', '.join(moved)} permuted: channels stand elsewhere in the other model"]
    return Borders(names, inputs, outputs, tuple(notes) if moved else ())


def _partners(mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    known = {t.name: t for t in theirs}
    if {t.name for t in mine} == set(known):
        return [(t, known[t.name]) for t in mine]
    return list(zip(mine, theirs, strict=True))


def _between(made: Tensor, wanted: Tensor, word: str) -> tuple[int, ...] | None:
    """Return the permutation from one layout to the other; None where both have the same."""
    if _fits(made.shape, wanted.shape):
        return None
    for order in (LAST, FIRST):
        moved = tuple(made.shape[i] for i in order) if made.rank == len(order) else ()
        if moved and _fits(moved, wanted.shape):
            return order
    shapes = (shaped(made.shape), shaped(wanted.shape))
    raise UsageError(
        f"{word} '{made.name}' has shape {shapes[0]}, '{wanted.name}' {shapes[1]}",
        hint="convert one of them with the shape of the other: --input_shapes",
    )


def _fits(mine: Shape, theirs: Shape) -> bool:
    known = zip(mine, theirs, strict=False)
    return len(mine) == len(theirs) and all(a is None or b is None or a == b for a, b in known)


def _permuted(array: Array, order: tuple[int, ...] | None) -> Array:
    return array if order is None else np.ascontiguousarray(array.transpose(order))
