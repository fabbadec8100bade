"""TOCO's --rnn_states: what is fed back becomes a variable, zero at first, kept between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tqconv.compose.variables import handle_of
from tqconv.config import Dims, LoadOptions
from tqconv.errors import UsageError, shaped
from tqconv.importers.tf.borders import resolve
from tqconv.importers.tf.node import Node, Ref, graph_ref
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.records import dataclass


@dataclass(frozen=True)
class BackEdge:
    """One recurrent edge: `state` reads in a run what `source` was in the run before."""

    state: Ref
    source: Ref
    shape: Dims
    handle: Tensor


def read_states(
    graph: Graph,
    nodes: Mapping[str, Node],
    inputs: Sequence[Ref],
    feeds: Mapping[Ref, Tensor],
    options: LoadOptions,
) -> tuple[list[BackEdge], dict[Ref, Tensor]]:
    """Emit the variables and what reads them; return the edges and the tensors to feed.

    Raises UsageError where a state is an input, or its source is not in the graph.
    """
    edges: list[BackEdge] = []
    tensors: dict[Ref, Tensor] = {}
    for entry in options.rnn_states:
        state = graph_ref(entry["state_array"])
        if state in feeds or state in tensors:
            raise UsageError(f"`{state}` is an input or a state already")
        source = resolve(entry["back_edge_source_array"], nodes)
        shape = _shape(entry, state, nodes, [feeds[ref] for ref in inputs])
        name = str(state)
        _initialize(graph, name, shape)
        made_from = Source("", name, "Variable")
        handle = handle_of(graph, name)
        tensor = Tensor(graph.unique(name), shape, np.dtype(np.float32))
        graph.add(Op("READ_VARIABLE", (handle,), (tensor,), {}, made_from))
        tensors[state] = tensor
        edges.append(BackEdge(state, source, shape, handle))
    return edges, tensors


def write_states(graph: Graph, edges: Sequence[BackEdge], values: Sequence[object]) -> None:
    """Emit what stores the sources for the next run; UsageError where a shape differs."""
    for edge, value in zip(edges, values, strict=True):
        if not isinstance(value, Tensor):
            raise UsageError(f"`{edge.source}` is never computed: its branch is switched off")
        fits = len(value.shape) == len(edge.shape) and all(
            a is None or a == d for a, d in zip(value.shape, edge.shape, strict=True)
        )
        if not fits or value.dtype != np.float32:
            raise UsageError(
                f"state `{edge.state}` is float32 {shaped(edge.shape)}, "
                f"but `{edge.source}` is {value!r}",
                hint="give the size, and num_dims, of the source in --rnn_states",
            )
        made_from = Source("", str(edge.state), "Variable")
        emit(
            graph,
            "ASSIGN_VARIABLE",
            edge.handle,
            value,
            name=f"{edge.state}/next",
            source=made_from,
        )


def _shape(
    entry: Mapping[str, str], state: Ref, nodes: Mapping[str, Node], inputs: Sequence[Tensor]
) -> Dims:
    """Return what the graph says, or as TOCO [batch, 1, …, size] with the first input's rank."""
    try:
        size, dims = int(entry["size"]), int(entry.get("num_dims", "0"))
    except ValueError:
        raise UsageError(f"the size of state `{state}` is not a number") from None
    declared = nodes[state.node].get("shape") if state.node in nodes else None
    if declared and None not in declared:
        return tuple(declared)
    first = inputs[0].shape if inputs else (1, None)
    batch = first[0] if first and first[0] is not None and not dims else 1
    rank = dims or len(first)
    return (size,) if rank <= 1 else (batch, *(1,) * (rank - 2), size)


def _initialize(graph: Graph, name: str, shape: Dims) -> None:
    """Store zeros before the first run."""
    first = graph.body(f"{name}/init")
    zeros = np.zeros([d or 0 for d in shape], np.float32)
    emit(first, "ASSIGN_VARIABLE", handle_of(first, name), zeros, name=f"{name}/zeros")
    graph.add(Op("CALL_ONCE", (), (), {}, Source("", name, "Variable"), (first,)))
