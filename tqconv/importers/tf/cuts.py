"""Where a graph can be cut, so that what has no translation lies outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tqconv.config import LoadOptions
from tqconv.errors import TqconvError
from tqconv.importers.tf.flow.primitives import reached
from tqconv.importers.tf.node import Node, Ref, graph_ref
from tqconv.ir.graph import Model
from tqconv.records import dataclass

SHOWN = 8
"""Tensors that an advice names; a cut of more is none."""


@dataclass(frozen=True)
class Cuts:
    """Tries to cut a graph; only what was seen to work is advised.

    attempt: imports the graph with other options. inputs, outputs: the borders that failed.
    """

    nodes: Mapping[str, Node]
    options: LoadOptions
    inputs: Sequence[Ref]
    outputs: Sequence[Ref]
    attempt: Callable[[LoadOptions], Model]

    def advice(self, missing: Iterable[str], lost: Iterable[str], frontier: Sequence[str]) -> str:
        """Return the flags that leave the most of the graph, or nothing where no cut works.

        missing: nodes without a translation; lost: what cannot be made because of them; frontier:
        tensors that can be made and that something lost reads.
        """
        best, text = 0, ""
        for flags, options in (*self._ends(set(lost), frontier), *self._heads(set(missing))):
            size = self._operators(options)
            if size > best:
                best, text = size, flags
        return text

    def _ends(self, lost: set[str], frontier: Sequence[str]) -> Iterator[tuple[str, LoadOptions]]:
        """Yield the outputs before what is lost, with those of the outputs that are not."""
        made = [str(r) for r in self.outputs if not {str(r), r.node} & lost]
        computed = [t for t in frontier if self._is_computed(t)]
        names = list(dict.fromkeys([*made, *computed]))
        if 0 < len(names) <= SHOWN:
            yield f"--output_arrays {','.join(names)}", replace(self.options, outputs=tuple(names))

    def _heads(self, missing: set[str]) -> Iterator[tuple[str, LoadOptions]]:
        """Yield the inputs behind what is missing, where shapes are not given by position."""
        options = self.options
        if options.shapes is not None or options.dtypes is not None or options.named_shapes:
            return
        heads = {r for n in self.nodes.values() for r in n.inputs if r.node in missing}
        needed = reached(self.nodes, self.outputs, heads)
        read = {r for name in needed for r in self.nodes[name].inputs} | set(self.outputs)
        kept = [r for r in self.inputs if r in read]
        names = [*map(str, kept), *sorted(str(r) for r in heads if r in read)]
        if names and len(names) <= SHOWN and len(names) > len(kept):
            yield f"--input_arrays {','.join(names)}", replace(options, inputs=tuple(names))

    def _operators(self, options: LoadOptions) -> int:
        """Return how many operators the model has that a cut leaves; 0 where it does not work."""
        try:
            model = self.attempt(options)
        except TqconvError:
            return 0
        return sum(len(graph.ops) for graph in model.all_graphs())

    def _is_computed(self, tensor: str) -> bool:
        """Whether a tensor is computed from inputs: neither one of them nor a constant."""
        ref = graph_ref(tensor)
        if ref in self.inputs or ref.node not in self.nodes:
            return False
        return bool(reached(self.nodes, [ref], ()) & {r.node for r in self.inputs})
