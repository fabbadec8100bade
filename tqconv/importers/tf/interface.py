"""Where a graph begins and ends: the tensors that the user names, their shapes and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tqconv.config import Dims, LoadOptions
from tqconv.errors import UsageError, suggestion
from tqconv.importers.tf.flow.primitives import SWITCHES
from tqconv.importers.tf.flow.regions import counters_of, regions_of
from tqconv.importers.tf.leftovers import READERS, kind_of
from tqconv.importers.tf.node import COMPUTED, FLOAT32, Node, Ref, dtype_of, graph_ref
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.match import may_lack_memory
from tqconv.ir.types import Source, type_name
from tqconv.ops.emit import emit

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "LegacyFedInput")
NOT_OUTPUTS = ("Const", *PLACEHOLDERS, *SWITCHES, "PlaceholderWithDefault")
"""Nodes that nobody reads and that are no result either, beside what training leaves behind."""


def resolve(name: str, nodes: Mapping[str, Node]) -> Ref:
    """Return the tensor that a user names: `node`, `node:0`, `node:1` or `^node`.

    Raises UsageError with the nearest names when the graph has no such node.
    """
    ref = graph_ref(name.strip().lstrip("^"))
    if ref.node not in nodes:
        near = suggestion(ref.node, nodes) or _completion(ref.node, nodes)
        placeholders = _listed(n.name for n in nodes.values() if n.op in PLACEHOLDERS)
        raise UsageError(
            f"the graph has no tensor named `{name}`{near}",
            hint=f"its placeholders are {placeholders}; nobody reads "
            f"{_listed(r.node for r in _unread(nodes))}; "
            "list all names with `tqconv inspect --verbose`",
        )
    if ref.index and nodes[ref.node].op in PLACEHOLDERS:
        raise UsageError(f"`{name}`: a placeholder has one output", hint=f"name it `{ref.node}`")
    return ref


def without_missing(
    options: LoadOptions, nodes: Mapping[str, Node], notes: list[str]
) -> LoadOptions:
    """Return the options without the named tensors that the graph lacks, which go into a note.

    With the names of inputs go their shapes and types. UsageError where no output is left.
    """

    def exists(name: str) -> bool:
        return graph_ref(name.strip().lstrip("^")).node in nodes

    inputs, outputs = options.inputs or (), options.outputs or ()
    missing = [name for name in (*inputs, *outputs) if not exists(name)]
    if not missing:
        return options
    if outputs and not any(map(exists, outputs)):
        raise UsageError(f"the graph has none of the tensors {', '.join(outputs)}")
    notes.append(f"not in the graph, and left out: {', '.join(missing)}")
    places = [i for i, name in enumerate(inputs) if exists(name)]

    def kept(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        whole = values is not None and len(values) == len(inputs)
        return tuple(values[i] for i in places) if values is not None and whole else values

    return replace(
        options,
        inputs=kept(options.inputs),
        shapes=kept(options.shapes),
        dtypes=kept(options.dtypes),
        outputs=tuple(filter(exists, outputs)) or None,
        named_shapes={n: s for n, s in options.named_shapes.items() if n not in missing},
    )


LISTED = 8
"""Names that a hint gives."""


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return (", ".join(found[:LISTED]) or "none") + more


def _completion(name: str, nodes: Mapping[str, Node]) -> str:
    """Suggest names that hold the text; a short one is too far from a long one to be near it."""
    text = name.lower()
    found = [n.name for n in nodes.values() if text in n.name.lower() and n.op != "Const"]
    found.sort(key=len)
    return f"; did you mean `{found[0]}`?" if found and len(text) >= 3 else ""


def dangling(nodes: Mapping[str, Node]) -> list[Ref]:
    """Return the tensors that no node reads and that compute something; UsageError when none."""
    found = _unread(nodes)
    if not found:
        raise UsageError(
            "the graph has no output that nobody reads", hint="name one with --output_arrays"
        )
    return found


def _unread(nodes: Mapping[str, Node]) -> list[Ref]:
    """Return what nobody reads; what lies in a loop or a branch is no value for the outside."""
    read = {ref.node for node in nodes.values() for ref in node.inputs}
    controls = {
        control for node in nodes.values() for control in node.controls if node.op != "NoOp"
    }
    inner = {name for name, regions in regions_of(nodes).items() if regions}
    skipped = read | controls | inner | counters_of(nodes, read)
    return [
        Ref(n.name)
        for n in nodes.values()
        if n.name not in skipped and n.op not in NOT_OUTPUTS and kind_of(n.op) is None
    ]


def placeholders_before(nodes: Mapping[str, Node], outputs: Sequence[Ref]) -> list[Ref]:
    """Return the placeholders that the outputs depend on, in the order of the file.

    What a training run reads its batches with stands for a placeholder where it says its shapes;
    so do placeholders with a default where there is nothing else.
    """
    needed: set[str] = set()
    fetched: set[Ref] = set()
    stack = list(outputs)
    while stack:
        ref = stack.pop()
        node = nodes.get(ref.node)
        if node is not None and node.op in READERS and node.get("output_shapes"):
            fetched.add(ref)
            needed.add(ref.node)
        elif node is not None and ref.node not in needed:
            needed.add(ref.node)
            stack += node.inputs
    found = [n for n in nodes.values() if n.name in needed]
    heads = {n.name: sorted(r for r in fetched if r.node == n.name) for n in found}
    refs = [
        ref for n in found for ref in ([Ref(n.name)] if n.op in PLACEHOLDERS else heads[n.name])
    ]
    return refs or [Ref(n.name) for n in found if n.op == "PlaceholderWithDefault"]


def add_inputs(
    graph: Graph,
    nodes: Mapping[str, Node],
    inputs: Sequence[Ref],
    options: LoadOptions,
    producer: int,
    notes: list[str],
) -> dict[Ref, Tensor]:
    """Make the inputs of the graph and return what stands for them inside it."""
    _check_counts(inputs, options)
    feeds: dict[Ref, Tensor] = {}
    for position, ref in enumerate(inputs):
        if ref in feeds:
            raise UsageError(f"`{ref}` is listed twice in --input_arrays")
        node = nodes[ref.node]
        given = options.named_shapes.get(str(ref))
        if given is None and options.shapes is not None:
            given = options.shapes[position]
        shape = _input_shape(ref, node, given, producer)
        dtype = _input_dtype(ref, node, options.dtypes[position] if options.dtypes else None)
        feeds[ref] = _input(graph, str(ref), shape, dtype, notes)
    unknown = set(options.named_shapes) - {str(ref) for ref in inputs}
    if unknown:
        name = min(unknown)
        raise UsageError(
            f"a shape is given for `{name}`, which is no input{suggestion(name, map(str, inputs))}"
        )
    return feeds


def _check_counts(inputs: Sequence[Ref], options: LoadOptions) -> None:
    for flag, values, separator in (
        ("--input_shapes", options.shapes, "shapes by `:`"),
        ("--input_data_types", options.dtypes, "types by `,`"),
    ):
        if values is not None and len(values) != len(inputs):
            raise UsageError(
                f"{flag} has {len(values)} entries for {len(inputs)} inputs",
                hint=f"separate {separator}; the order is that of the inputs: "
                + ", ".join(map(str, inputs)),
            )


def _input_dtype(ref: Ref, node: Node, given: str | None) -> np.dtype:
    """Return the type of an input; a placeholder's own cannot be changed by the user."""
    own = _source_dtype(node, ref.index)
    if given is None:
        return own
    dtype = np.dtype(given)
    if node.op in PLACEHOLDERS:
        check_dtype(ref, own, dtype)
    return dtype


def check_dtype(ref: Ref, own: np.dtype, given: np.dtype) -> None:
    """Raise UsageError where an input is said to have another type than the graph gives it."""
    if COMPUTED.get(own, own) != COMPUTED.get(given, given):
        raise UsageError(
            f"input `{ref}` has type {type_name(own)} in the graph, "
            f"--input_data_types gives {type_name(given)}",
            hint="leave --input_data_types out; the type of the result's inputs is "
            "--inference_input_type",
        )


def _declared_shape(ref: Ref, node: Node, producer: int) -> Dims | None:
    """Return the shape that the graph declares for a tensor, or None where it says nothing."""
    if node.op in (*PLACEHOLDERS, "PlaceholderWithDefault") and "shape" in node.attr:
        shape: Dims | None = node.get("shape")
        if shape == () and producer < 24 and "_output_shapes" not in node.attr:
            return None  # before producer 24 an empty shape meant an unknown one
        return shape
    shapes = node.get("_output_shapes") or node.get("output_shapes")
    return shapes[ref.index] if shapes and ref.index < len(shapes) else None


def _input_shape(ref: Ref, node: Node, given: Dims | None, producer: int) -> Dims:
    declared = _declared_shape(ref, node, producer)
    if given is None:
        if declared is None:
            raise UsageError(
                f"the graph does not say the shape of input `{ref}`", hint="give --input_shapes"
            )
        return declared
    if declared is None or node.op not in PLACEHOLDERS:
        return given
    if len(given) != len(declared) and declared != ():
        raise UsageError(
            f"input `{ref}` has rank {len(declared)} in the graph, "
            f"--input_shapes gives {list(given)}"
        )
    return given


_TYPE_ATTRIBUTES = ("dtype", "DstT", "output_type", "out_type", "T", "Tparams", "SrcT")


def _source_dtype(node: Node, index: int) -> np.dtype:
    """Return the type that the source graph gives an output of a node."""
    for name in ("output_types", "component_types", "Tout"):
        types = node.get(name)
        if isinstance(types, list) and index < len(types):
            return dtype_of(types[index])
    for name in _TYPE_ATTRIBUTES:
        if name in node.attr and node.attr[name].WhichOneof("value") == "type":
            return dtype_of(node.attr[name].type)
    return FLOAT32


def _input(graph: Graph, name: str, shape: Dims, dtype: np.dtype, notes: list[str]) -> Tensor:
    """Add an input; half is half at the border and float32 inside, double is float32 at once."""
    if dtype in (np.float64, np.complex128):
        computed = COMPUTED[dtype]
        notes.append(f"input {name}: {dtype} in the source, {computed} in the result")
        dtype = computed
    tensor = graph.add_input(name, shape, dtype)
    return _cast(graph, tensor, FLOAT32, f"{name}/float32") if dtype == np.float16 else tensor


def _cast(graph: Graph, x: Tensor, dtype: np.dtype, name: str) -> Tensor:
    options = {"in_data_type": type_name(x.dtype), "out_data_type": type_name(dtype)}
    result: Tensor = emit(graph, "CAST", x, name=name, source=Source("", name, "Cast"), **options)
    return result


def add_output(graph: Graph, tensor: Tensor, ref: Ref, node: Node) -> None:
    """Append a tensor as output under exactly the name that was asked for.

    A tensor that already is an input or an output is copied, and one that could not be read where
    it is empty; half in the source is half again.
    """
    name = str(ref)
    if tensor.dtype == FLOAT32 and _source_dtype(node, ref.index) == np.float16:
        tensor = _cast(graph, tensor, np.dtype(np.float16), f"{name}/float16")
    if tensor in graph.inputs or tensor in graph.outputs or may_lack_memory(tensor):
        source = Source("", name, "Identity")
        shape: Any = np.array([-1 if d is None else d for d in tensor.shape], np.int32)
        if tensor.shape.count(None) > 1:
            shape = emit(
                graph, "SHAPE", tensor, name=f"{name}/shape", source=source, out_type="INT32"
            )
        tensor = emit(graph, "RESHAPE", tensor, shape, name=f"{name}/copy", source=source)
    graph.rename(tensor, name)
    graph.outputs.append(tensor)
