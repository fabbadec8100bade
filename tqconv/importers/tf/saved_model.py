"""SavedModel folders of TF1 and TF2: a graph by its tags, an entry point by its signature.

A TF2 signature calls functions that get variables and tables as captured arguments. Their bodies
are inlined, variables become constants unless the signature assigns them, and what is left is
imported like a GraphDef.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UsageError, suggestion
from tqconv.importers.outline import Outline
from tqconv.importers.source import Format
from tqconv.importers.tf.assets import fill_tables
from tqconv.importers.tf.borders import resolve
from tqconv.importers.tf.callables import sign_callables
from tqconv.importers.tf.called import spell_out_calls
from tqconv.importers.tf.graphdef import import_graph, looks_like_text, node_count
from tqconv.importers.tf.handlers.lookup import FILLS
from tqconv.importers.tf.inline import inline
from tqconv.importers.tf.kept import ancestors, keep
from tqconv.importers.tf.node import Node, Ref, graph_ref, nodes_of
from tqconv.importers.tf.outline import outline_of
from tqconv.importers.tf.stored import Stored
from tqconv.ir.graph import Model, Signature
from tqconv.records import dataclass
from tqconv.schema import proto
from tqconv.untrusted import Budget, read_file

GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")
DEFAULT_SIGNATURE = "serving_default"
INIT_SIGNATURE = "__saved_model_init_op"
"""The signature of what fills tables; it computes nothing."""


@dataclass(frozen=True)
class Entry:
    """A signature: its key, and the tensors of its inputs and outputs by their sorted names."""

    key: str
    inputs: Mapping[str, Ref]
    outputs: Mapping[str, Ref]


def load(path: Path, options: LoadOptions) -> Model:
    """Import the signatures that are asked for, each as a graph of its own.

    Raises FormatError for a damaged file, UsageError for tags, signatures or names that are not
    there, UnsupportedError for operators without a translation.
    """
    folder = path if path.is_dir() else path.parent
    message = read(path)
    notes: list[str] = []
    meta = choose_graph(message, options.tags, notes)
    entries = choose_entries(meta, options, notes)
    if len(entries) > 1 and (options.inputs is not None or options.outputs is not None):
        raise UsageError(
            "arrays can be named for one signature only",
            hint=f"add --saved_model_signature_key {entries[0].key}",
        )
    budget = _budget(folder, meta)
    nodes, library = graph_of(meta, folder, budget, entries)
    stored = Stored.of(meta, nodes, folder)
    producer = meta.graph_def.versions.producer or 1000
    content = _Content(_computing(nodes, entries, options), library, stored, producer, budget)
    origin, alone = folder.name or str(folder), len(entries) == 1
    models = [content.model(entry, origin, options, alone) for entry in entries]
    whole = models[0]
    for number, model in enumerate(models[1:], 1):
        whole.graphs += model.graphs
        whole.signatures += [replace(s, graph=number) for s in model.signatures]
        notes += model.notes
    whole.notes[:] = list(dict.fromkeys([*notes, *whole.notes]))
    return whole


def _budget(folder: Path, meta: Any) -> Budget:
    """Return what one graph of a folder may cost, whose checkpoint and assets are stored, too."""
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Budget.of(stored, node_count(meta.graph_def))


def read(path: Path) -> Any:
    """Return the SavedModel message of a folder or of its file; FormatError when there is none."""
    found = [path] if path.is_file() else [f for n in GRAPH_FILES if (f := path / n).is_file()]
    if not found:
        raise FormatError(f"{path} is a folder without {GRAPH_FILES[0]}")
    content = read_file(found[0])
    messages = proto.messages()
    if looks_like_text(content):
        text = content.decode("utf-8", "replace")
        message = proto.parse_text(messages.SavedModel, text, found[0].name)
    else:
        message = proto.parse_binary(messages.SavedModel, content, found[0].name)
    if not len(message.meta_graphs):
        raise FormatError(f"{found[0]} holds no graph")
    return message


def choose_graph(message: Any, tags: Sequence[str], notes: list[str]) -> Any:
    """Return the MetaGraph with exactly these tags; the only one where none were asked for.

    Raises UsageError that lists the sets of tags that are there.
    """
    sets = [tuple(sorted(meta.meta_info_def.tags)) for meta in message.meta_graphs]
    wanted = tuple(sorted(tags))
    if wanted in sets:
        return message.meta_graphs[sets.index(wanted)]
    if wanted == tuple(LoadOptions().tags) and len(sets) == 1:
        notes.append(f"tags: {', '.join(sets[0]) or 'none'}")
        return message.meta_graphs[0]
    listed = "; ".join(",".join(s) or "(none)" for s in sets)
    raise UsageError(
        f"the SavedModel has no graph with the tags {','.join(tags)}",
        hint=f"name one of its sets with --saved_model_tag_set: {listed}",
    )


def choose_entries(meta: Any, options: LoadOptions, notes: list[str]) -> list[Entry]:
    """Return the signatures that are asked for: by key, or the default one, or all there are.

    A model that was saved without signatures has its functions instead, where one is asked for or
    there is but one, or the tensors that are named. Raises UsageError that lists what is there.
    """
    keys = options.signature
    known = _signatures(meta)
    computing = [k for k, s in known.items() if len(s.outputs)]
    if not computing:
        sign_callables(meta)
        known = _signatures(meta)
        computing = [k for k, s in known.items() if len(s.outputs)]
        if keys is None and options.inputs is not None and options.outputs is not None:
            return [Entry(DEFAULT_SIGNATURE, {}, {})]
        if keys is None:
            return [_entry(_only(computing, notes), known[computing[0]])]
    if keys is None:
        if DEFAULT_SIGNATURE in computing:
            wanted = [DEFAULT_SIGNATURE]
        else:
            wanted = computing
            notes.append("signatures: " + ", ".join(computing))
    else:
        wanted = [k.strip() for k in keys.split(",") if k.strip()]
    for key in wanted:
        if key not in known:
            raise UsageError(
                f"the SavedModel has no signature `{key}`{suggestion(key, known)}",
                hint=f"it has {', '.join(known) or 'none'}",
            )
        if not len(known[key].outputs):
            raise UsageError(
                f"the signature `{key}` has no outputs",
                hint=f"with outputs there are {', '.join(computing) or 'none'}",
            )
    return [_entry(key, known[key]) for key in wanted]


def _signatures(meta: Any) -> dict[str, Any]:
    return {k: s for k, s in sorted(meta.signature_def.items()) if k != INIT_SIGNATURE}


def _only(callables: Sequence[str], notes: list[str]) -> str:
    """Return the function of a model without signatures that is the only one."""
    if not callables:
        raise UsageError(
            "the SavedModel has no signature, and no function that can be called",
            hint="save it with signatures=…, or name tensors with --input_arrays and "
            "--output_arrays",
        )
    if len(callables) > 1:
        raise UsageError(
            f"the SavedModel has no signature, and {len(callables)} functions that can be called",
            hint=f"choose with --saved_model_signature_key: {', '.join(callables)}",
        )
    notes.append(f"the model has no signature; its function `{callables[0]}` is taken")
    return callables[0]


def _entry(key: str, signature: Any) -> Entry:
    for name, info in [*signature.inputs.items(), *signature.outputs.items()]:
        if info.WhichOneof("encoding") != "name":
            raise UsageError(
                f"`{name}` of signature `{key}` is a sparse or ragged tensor, which LiteRT lacks",
                hint="save a signature that takes and returns dense tensors",
            )
    inputs = {name: graph_ref(info.name) for name, info in sorted(signature.inputs.items())}
    outputs = {name: graph_ref(info.name) for name, info in sorted(signature.outputs.items())}
    return Entry(key, inputs, outputs)


def graph_of(
    meta: Any, folder: Path, budget: Budget, entries: Sequence[Entry]
) -> tuple[dict[str, Node], dict[str, Any]]:
    """Return the nodes of a MetaGraph with calls inlined and tables filled, and its functions.

    Of two signatures that call one function the entries have the names inside for themselves.
    """
    spell_out_calls(meta.graph_def)
    library = {f.signature.name: f for f in meta.graph_def.library.function}
    outer = nodes_of(iter(meta.graph_def.node), graph_ref)
    first = ancestors(outer, [ref.node for entry in entries for ref in entry.outputs.values()])
    ordered = {name: node for name, node in outer.items() if name in first} | outer
    nodes = inline(ordered, library, budget)
    assets = {
        graph_ref(a.tensor_info.name).node: folder / "assets" / a.filename
        for a in meta.asset_file_def
    }
    return fill_tables(nodes, assets, folder / "assets"), library


def _computing(
    nodes: Mapping[str, Node], entries: Sequence[Entry], options: LoadOptions
) -> dict[str, Node]:
    """Return the nodes without what saves and restores: what signatures need, or a user names."""
    named = [*(options.outputs or ()), *(options.inputs or ()), *options.values]
    roots = [
        ref.node for entry in entries for ref in (*entry.outputs.values(), *entry.inputs.values())
    ]
    roots += [graph_ref(name).node for name in named]
    roots += [name for name, node in nodes.items() if node.op in FILLS]
    needed = ancestors(nodes, roots)
    return {name: node for name, node in nodes.items() if name in needed}


@dataclass(frozen=True)
class _Content:
    """What all signatures of a folder are made of."""

    nodes: Mapping[str, Node]
    library: Mapping[str, Any]
    stored: Stored
    producer: int
    budget: Budget

    def model(self, entry: Entry, origin: str, options: LoadOptions, alone: bool) -> Model:
        """Import a signature, whose names are those of the result's inputs and outputs.

        alone: no other one reads what this one stores.
        """
        nodes = self.nodes
        borders, asked = _borders(entry, nodes, options)
        fetches = [resolve(name, nodes) for name in asked.outputs or ()]
        feeds = [resolve(name, nodes) for name in asked.inputs or ()]
        kept = keep(nodes, self.library, fetches, feeds, alone)
        notes: list[str] = []
        frozen = self.stored.freeze(nodes, fetches, feeds, kept, notes)
        initial = {name: self.stored.value(nodes[name]) for name in kept.variables}
        model = import_graph(
            frozen,
            self.library,
            origin,
            asked,
            producer=self.producer,
            kept=replace(kept, initial=initial),
            budget=self.budget,
        )
        model.notes[:0] = notes
        _name_borders(model, entry, borders)
        return model


Borders = tuple[list[str], list[str]]


def _borders(
    entry: Entry, nodes: Mapping[str, Node], options: LoadOptions
) -> tuple[Borders, LoadOptions]:
    """Return the names that inputs and outputs get, and options that name tensors of the graph.

    A name of the signature goes before one of the graph.
    """

    def tensors(given: Sequence[str] | None, own: Mapping[str, Ref]) -> dict[str, str]:
        if given is None:
            return {name: str(ref) for name, ref in own.items()}
        return {name: str(own[name]) if name in own else name for name in given}

    inputs = tensors(options.inputs, entry.inputs)
    outputs = tensors(options.outputs, entry.outputs)
    shapes = {inputs.get(name, name): dims for name, dims in options.named_shapes.items()}
    values = {str(entry.inputs.get(name, name)): text for name, text in options.values.items()}
    kept = {name: ref for name, ref in inputs.items() if ref not in values}
    asked = replace(
        options,
        inputs=tuple(kept.values()),
        outputs=tuple(outputs.values()),
        named_shapes=shapes,
        values=values,
        signature=None,
    )
    return (list(kept), list(outputs)), asked


def _name_borders(model: Model, entry: Entry, borders: Borders) -> None:
    """Give inputs and outputs the signature's names, and the model its signature.

    A name that an input has keeps it; an output of the same name gets a variant in the graph.
    """
    graph = model.main
    signature = Signature(
        entry.key,
        [(name, position) for position, name in enumerate(borders[0])],
        [(name, position) for position, name in enumerate(borders[1])],
    )
    taken = set(borders[0])
    for tensor, name in zip(graph.inputs, borders[0], strict=True):
        graph.rename(tensor, name)
    for tensor, name in zip(graph.outputs, borders[1], strict=True):
        graph.rename(tensor, graph.unique(name) if name in taken else name)
    model.signatures[:] = [signature]


def outline(path: Path, options: LoadOptions, reason: str = "") -> Outline:
    """Return the nodes and signatures of the graph that is converted by default."""
    message = read(path)
    meta = message.meta_graphs[0]
    if len(message.meta_graphs) > 1:
        meta = choose_graph(message, LoadOptions().tags, [])
    folder = path if path.is_dir() else path.parent
    if not any(len(signature.outputs) for signature in _signatures(meta).values()):
        sign_callables(meta)
    entries = [_entry(key, signature) for key, signature in _signatures(meta).items()]
    asked = [entry for entry in entries if entry.key == DEFAULT_SIGNATURE]
    whole, _ = graph_of(meta, folder, _budget(folder, meta), asked)
    nodes = _computing(whole, entries, LoadOptions())
    found = outline_of(meta.graph_def, nodes, folder.name or str(folder), reason)
    signatures = {e.key: {"inputs": tuple(e.inputs), "outputs": tuple(e.outputs)} for e in entries}
    outputs = {ref.node for e in entries for ref in e.outputs.values()}
    ends = tuple(node for node in found.nodes if node.name in outputs)
    return replace(found, signatures=signatures, outputs=ends, variables=())


def companions(path: Path, options: LoadOptions) -> Iterable[Path]:
    """Return every file of the folder: variables and assets belong to the model."""
    folder = path if path.is_dir() else path.parent
    return (file for file in folder.rglob("*") if file.is_file())


FORMAT = Format(load, outline, has_signatures=True, companions=companions)
