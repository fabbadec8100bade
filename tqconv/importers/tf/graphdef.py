"""A frozen GraphDef, binary or text, becomes a `Model`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.compose.grids import Use
from tqconv.config import Dims, LoadOptions
from tqconv.errors import FormatError, TqconvError, UsageError
from tqconv.importers.borders import (
    FLOAT32,
    add_inputs,
    add_output,
    mention_shapes,
    without_missing,
)
from tqconv.importers.cuts import Cuts
from tqconv.importers.tf.borders import (
    dangling,
    exists,
    placeholders_before,
    resolve,
)
from tqconv.importers.tf.called import spell_out_calls
from tqconv.importers.tf.cells import declare
from tqconv.importers.tf.contents import taken_out
from tqconv.importers.tf.flow.functional import functionalize
from tqconv.importers.tf.flow.functions import Function
from tqconv.importers.tf.flow.primitives import reached
from tqconv.importers.tf.inner import shape_by_readers, type_of
from tqconv.importers.tf.inputs import declared, known_shapes
from tqconv.importers.tf.kept import Kept
from tqconv.importers.tf.leftovers import PLACEHOLDERS, left_out
from tqconv.importers.tf.node import Node, Ref, dtype_of, graph_ref, nodes_of
from tqconv.importers.tf.phases import settings
from tqconv.importers.tf.registry import TF
from tqconv.importers.tf.shared import Shared
from tqconv.importers.tf.states import read_states, write_states
from tqconv.importers.tf.training import check_heads, freeze, prepare
from tqconv.importers.tf.walk import DEAD, computed_inputs, run
from tqconv.importers.translate import Failed, Translation, no_advice
from tqconv.ir.graph import Graph, Model, Signature, Tensor
from tqconv.schema import proto
from tqconv.schema.files import without_mark
from tqconv.untrusted import Budget, Mapped

OPERATOR = re.compile(r"[A-Z_a-z][\w>./ -]*")
"""Names of operators; what stands there when a MetaGraphDef is read as a GraphDef is none."""
TOLD_BY = 512
"""Bytes that tell text from a binary message."""
META_GRAPH_TEXT = re.compile(
    r"\s*(#[^\n]*\n\s*)*(meta_info_def|graph_def|saver_def|collection_def|signature_def)\b"
)


def parse(content: bytes | memoryview, path: Path) -> Any:
    """Return the GraphDef in `content`, binary or text; of a MetaGraphDef (.meta) its graph."""
    messages = proto.messages()
    if looks_like_text(without_mark(bytes(content[:TOLD_BY]))):
        text = without_mark(bytes(content)).decode("utf-8", "replace")
        if META_GRAPH_TEXT.match(text):
            return proto.parse_text(messages.MetaGraphDef, text, path.name).graph_def
        return proto.parse_text(messages.GraphDef, text, path.name)
    try:
        graph = proto.parse_binary(messages.GraphDef, content, path.name)
        problem = None
    except FormatError as error:
        graph, problem = messages.GraphDef(), error
    if len(graph.node) and all(OPERATOR.fullmatch(node.op) for node in graph.node):
        return graph
    try:
        meta = proto.parse_binary(messages.MetaGraphDef, content, path.name)
    except FormatError:
        meta = messages.MetaGraphDef()
    if len(meta.graph_def.node):
        return meta.graph_def
    if problem is not None:
        raise problem
    return graph


def looks_like_text(content: bytes) -> bool:
    """Whether a GraphDef is in protobuf's text form."""
    start = content[:TOLD_BY].lstrip()
    if any(byte < 32 and byte not in b"\t\n\r" for byte in start):
        return False  # a binary message soon holds a tag or a length below 32
    return (start[:1].isalpha() or start[:1] == b"#") and (b"{" in start or b":" in start)


def load(path: Path, options: LoadOptions) -> Model:
    """Import a frozen graph; FormatError, UsageError (names), UnsupportedError (operators)."""
    file = Mapped(path)
    content = file.content
    rest = taken_out(content)
    message = parse(rest.graph, path)
    if not len(message.node):
        raise FormatError(f"{path.name} holds no nodes", hint="is it a GraphDef?")
    spell_out_calls(message)
    nodes = rest.returned(nodes_of(iter(message.node), graph_ref))
    functions = {f.signature.name: f for f in message.library.function}
    producer = message.versions.producer
    budget = replace(Budget.of(len(content), node_count(message)), file=file)
    return import_graph(nodes, functions, path.name, options, producer=producer, budget=budget)


def node_count(message: Any) -> int:
    """Return how many nodes a GraphDef holds, those of its functions among them."""
    return len(message.node) + sum(len(f.node_def) for f in message.library.function)


def import_graph(
    nodes: dict[str, Node],
    functions: Mapping[str, Any],
    file: str,
    options: LoadOptions,
    *,
    producer: int = 1000,
    kept: Kept | None = None,
    budget: Budget | None = None,
    advises: bool = True,
) -> Model:
    """Import the part of a graph between its inputs and outputs as a model with one signature.

    kept: the variables that running the outputs assigns, and which stay variables. budget: what the
    model may cost beyond its file; None: that of a small one. advises: an error about operators
    without a translation says where to cut them off.
    """
    kept = Kept() if kept is None else kept
    model = Model([Graph("main", budget=Budget() if budget is None else budget)], origin=file)
    if options.allow_nonexistent_arrays:
        options = without_missing(options, partial(exists, nodes), model.notes)
    nodes = prepare(nodes, functions, options, model.notes, producer)
    inputs, outputs = _borders(nodes, functions, options, model.notes)
    known = known_shapes(nodes, functions, inputs, producer)
    said = [declared(ref, nodes, known) for ref in inputs]
    tensors = add_inputs(model.main, said, options, model.notes)
    feeds = dict(zip(inputs, tensors, strict=True))

    def attempt(other: LoadOptions) -> Model:
        other = replace(other, values={})
        return import_graph(
            nodes, functions, file, other, producer=producer, kept=kept, advises=False
        )

    cuts = _cuts(nodes, options, inputs, outputs, attempt) if advises else None
    try:
        _fill(model, nodes, functions, options, feeds, outputs, kept, cuts)
    except TqconvError as error:
        mention_shapes(error, model.notes)
        raise
    return model


def _cuts(
    nodes: Mapping[str, Node],
    options: LoadOptions,
    inputs: Sequence[Ref],
    outputs: Sequence[Ref],
    attempt: Callable[[LoadOptions], Model],
) -> Cuts:
    """Return who tries where the graph can be cut."""

    def maker(tensor: str) -> str | None:
        node = nodes.get(graph_ref(tensor).node)
        return None if node is None else node.name

    def asked(tensor: str) -> Dims | None:
        found = shape_by_readers(nodes, graph_ref(tensor))
        return None if found is None else found[0]

    return Cuts(
        options,
        [*map(str, inputs)],
        [*map(str, outputs)],
        maker,
        lambda name: map(str, nodes[name].inputs),
        attempt,
        asked,
    )


def _fill(
    model: Model,
    nodes: dict[str, Node],
    functions: Mapping[str, Any],
    options: LoadOptions,
    fed: Mapping[Ref, Tensor],
    outputs: Sequence[Ref],
    kept: Kept,
    cuts: Cuts | None,
) -> None:
    """Translate what lies between the inputs, which `fed` stands for, and the outputs."""
    graph = model.main
    feeds, inputs = dict(fed), list(fed)
    edges, states = read_states(graph, nodes, inputs, feeds, options)
    feeds |= states
    handles = declare(graph, kept)
    feeds |= {Ref(name): handle for name, handle in handles.items()}
    fetches = [*outputs, *(edge.source for edge in edges), *map(Ref, kept.writes)]
    nodes, bodies = _prepared(nodes, fetches, feeds, options, model.notes)
    translation = Translation(
        TF, model.origin, model.notes, options.allow_custom_ops, array_ranges=options.array_ranges
    )
    shared = Shared(
        translation,
        {**functions, **bodies},
        nodes,
        variables={handle: kept.initial[name] for name, handle in handles.items()},
        fake_quant=Use(options.quantizing, options.stored_grid),
    )
    values = run(shared, graph, nodes, feeds, fetches, earlier=kept.before)
    _check_placeholders(translation, nodes, inputs)
    translation.raise_failures(
        values,
        partial(computed_inputs, nodes),
        no_advice if cuts is None else cuts.advice,
    )
    write_states(graph, edges, values[len(outputs) : len(outputs) + len(edges)])
    _finish(model, nodes, outputs, values[: len(outputs)])


def _prepared(
    nodes: dict[str, Node],
    fetches: Sequence[Ref],
    feeds: Collection[Ref],
    options: LoadOptions,
    notes: list[str],
) -> tuple[dict[str, Node], dict[str, Function]]:
    """Return the nodes frozen and with functional control flow, and the functions it makes."""
    needed = reached(nodes, fetches, feeds)
    left = left_out(nodes, needed)
    if left is not None:
        notes.append(left)
    check_heads(nodes, needed)
    return functionalize(freeze(nodes, needed, options.checkpoint, notes), fetches, feeds)


def _borders(
    nodes: Mapping[str, Node],
    functions: Mapping[str, Any],
    options: LoadOptions,
    notes: list[str],
) -> tuple[list[Ref], list[Ref]]:
    """Return the inputs and outputs that the user names, or those that the graph suggests."""
    if options.outputs:
        outputs = [resolve(name, nodes) for name in options.outputs]
    else:
        outputs = dangling(nodes, functions)
        notes.append("output arrays: " + ", ".join(map(str, outputs)))
    if options.inputs is not None:
        return [resolve(name, nodes) for name in options.inputs], outputs
    sources = [resolve(s["back_edge_source_array"], nodes) for s in options.rnn_states]
    states = [graph_ref(s["state_array"]) for s in options.rnn_states]
    found = placeholders_before(nodes, [*outputs, *sources])
    inputs = [ref for ref in found if ref not in states]
    notes.append("input arrays: " + (", ".join(map(str, inputs)) or "none"))
    fixed = settings(map(str, inputs), nodes)
    if fixed:
        notes.append(f"some of them only tell training from use; to do without: {fixed}")
    return inputs, outputs


def _check_placeholders(
    translation: Translation, nodes: Mapping[str, Node], inputs: Sequence[Ref]
) -> None:
    """Turn a placeholder that the walk met into an error about --input_arrays."""
    extra = [name for name, op in translation.missing.items() if op in PLACEHOLDERS]
    if extra:
        setting = settings(extra, nodes) or f"--set_input {extra[0]}=VALUE"
        raise UsageError(
            f"the outputs depend on placeholders that are no inputs: {', '.join(extra)}",
            hint=f"give one a value, {setting}, or name all of them, "
            f"--input_arrays {','.join([*map(str, inputs), *extra])}",
        )


def _finish(
    model: Model,
    nodes: Mapping[str, Node],
    outputs: Sequence[Ref],
    values: Sequence[Any],
) -> None:
    graph = model.main
    for ref, value in zip(outputs, values, strict=True):
        if value is DEAD or isinstance(value, Failed):
            raise UsageError(f"output `{ref}` is never computed: its branch is switched off")
        add_output(graph, value, str(ref), _source_dtype(nodes, ref))
    graph.prune()
    model.signatures.append(Signature.of(graph))


def _source_dtype(nodes: Mapping[str, Node], ref: Ref) -> np.dtype:
    number = type_of(nodes, ref)
    return FLOAT32 if number is None else dtype_of(number)
