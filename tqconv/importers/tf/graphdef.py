"""A frozen GraphDef, binary or text, becomes a `Model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.config import Dims, LoadOptions
from tqconv.errors import FormatError, UsageError, suggestion
from tqconv.importers.tf.node import Node, Ref, computed_dtype, graph_ref, nodes_of
from tqconv.importers.tf.walk import DEAD, Failed, Walk
from tqconv.ir.graph import Graph, Model, Signature, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.schema import proto

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "LegacyFedInput")
NOT_OUTPUTS = frozenset(
    {
        "NoOp", "Assert", "Const", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "SaveV2", "Save",
        "MergeV2Checkpoints", "ScalarSummary", "HistogramSummary", "ImageSummary", "AudioSummary",
        "MergeSummary", "TensorSummary", "TensorSummaryV2", "Assign", "AssignAdd", "AssignSub",
        "AssignVariableOp", "VarHandleOp", "VariableV2", "Variable", "Print", "CheckNumerics",
    }
)  # fmt: skip
"""Nodes that nobody reads and that are no result either."""


def parse(content: bytes, path: Path) -> Any:
    """Return the GraphDef message in `content`, which is binary or text."""
    messages = proto.messages()
    if looks_like_text(content):
        return proto.parse_text(messages.GraphDef, content.decode("utf-8", "replace"), path.name)
    return proto.parse_binary(messages.GraphDef, content, path.name)


def looks_like_text(content: bytes) -> bool:
    """Whether a GraphDef is in protobuf's text form."""
    start = content[:512].lstrip()
    if any(byte < 32 and byte not in b"\t\n\r" for byte in start):
        return False  # a binary message soon holds a tag or a length below 32
    return start[:1].isalpha() and (b"{" in start or b":" in start)


def load(path: Path, options: LoadOptions) -> Model:
    """Import a frozen graph. Raises FormatError, UsageError (names), UnsupportedError (operators)."""
    message = parse(path.read_bytes(), path)
    if not len(message.node):
        raise FormatError(f"{path.name} holds no nodes", hint="is it a GraphDef?")
    nodes = nodes_of(iter(message.node), graph_ref)
    functions = {f.signature.name: f for f in message.library.function}
    producer = message.versions.producer
    return import_graph(nodes, functions, path.name, options, producer=producer)


def import_graph(
    nodes: dict[str, Node],
    functions: Mapping[str, Any],
    file: str,
    options: LoadOptions,
    *,
    producer: int = 1000,
) -> Model:
    """Import the part of a graph between its inputs and outputs as a model with one signature."""
    from tqconv.importers.tf import handlers  # noqa: F401  (fills the registry)
    from tqconv.importers.tf.training import prepare

    model = Model([Graph("main")], origin=file)
    nodes = prepare(nodes, options, model.notes)
    outputs = [resolve(name, nodes) for name in options.outputs] if options.outputs else None
    if outputs is None:
        outputs = dangling(nodes)
        model.notes.append("output arrays: " + ", ".join(map(str, outputs)))
    given = (
        [resolve(name, nodes) for name in options.inputs] if options.inputs is not None else None
    )
    inputs = given if given is not None else placeholders_before(nodes, outputs)
    if given is None:
        model.notes.append("input arrays: " + (", ".join(map(str, inputs)) or "none"))
    graph = model.main
    feeds = _add_inputs(graph, nodes, inputs, options, producer)
    walk = Walk(graph, file, functions, options.allow_custom_ops, model.notes)
    values = walk.run(nodes, feeds, outputs)
    _check_placeholders(walk, inputs)
    walk.raise_failures(values)
    _finish(model, inputs, outputs, values)
    return model


def resolve(name: str, nodes: Mapping[str, Node]) -> Ref:
    """Return the tensor that a user names: `node`, `node:0`, `node:1` or `^node`.

    Raises UsageError with the nearest names when the graph has no such node.
    """
    ref = graph_ref(name.strip().lstrip("^"))
    if ref.node not in nodes:
        placeholders = [n.name for n in nodes.values() if n.op in PLACEHOLDERS]
        raise UsageError(
            f"the graph has no tensor named `{name}`{suggestion(ref.node, nodes)}",
            hint=f"its placeholders are {', '.join(placeholders) or 'none'}; "
            "list all names with `tqconv inspect --verbose`",
        )
    return ref


def dangling(nodes: Mapping[str, Node]) -> list[Ref]:
    """Return the tensors that no node reads and that compute something; UsageError when none."""
    read = {ref.node for node in nodes.values() for ref in node.inputs}
    read |= {control for node in nodes.values() for control in node.controls if node.op != "NoOp"}
    found = [Ref(n.name) for n in nodes.values() if n.name not in read and n.op not in NOT_OUTPUTS]
    if not found:
        raise UsageError(
            "the graph has no output that nobody reads", hint="name one with --output_arrays"
        )
    return found


def placeholders_before(nodes: Mapping[str, Node], outputs: Sequence[Ref]) -> list[Ref]:
    """Return the placeholders that the outputs depend on, in the order of the file."""
    needed: set[str] = set()
    stack = [ref.node for ref in outputs]
    while stack:
        name = stack.pop()
        if name in needed or name not in nodes:
            continue
        needed.add(name)
        stack += [ref.node for ref in nodes[name].inputs]
    return [Ref(n.name) for n in nodes.values() if n.op in PLACEHOLDERS and n.name in needed]


def _add_inputs(
    graph: Graph,
    nodes: Mapping[str, Node],
    inputs: Sequence[Ref],
    options: LoadOptions,
    producer: int,
) -> dict[Ref, Tensor]:
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
        number = options.dtypes[position] if options.dtypes else None
        dtype = np.dtype(number) if number else _input_dtype(ref, node)
        feeds[ref] = graph.add_input(str(ref), shape, dtype)
    unknown = set(options.named_shapes) - {str(ref) for ref in inputs}
    if unknown:
        name = min(unknown)
        raise UsageError(
            f"a shape is given for `{name}`, which is no input{suggestion(name, map(str, inputs))}"
        )
    return feeds


def _check_counts(inputs: Sequence[Ref], options: LoadOptions) -> None:
    for flag, values in (
        ("--input_shapes", options.shapes),
        ("--input_data_types", options.dtypes),
    ):
        if values is not None and len(values) != len(inputs):
            raise UsageError(
                f"{flag} has {len(values)} entries for {len(inputs)} inputs",
                hint="separate shapes by `:`; the order is that of the inputs: "
                + ", ".join(map(str, inputs)),
            )


def _declared_shape(ref: Ref, node: Node, producer: int) -> Dims | None:
    """Return the shape that the graph declares for a tensor, or None where it says nothing."""
    if node.op in (*PLACEHOLDERS, "PlaceholderWithDefault") and "shape" in node.attr:
        shape: Dims | None = node.get("shape")
        if shape == () and producer < 24 and "_output_shapes" not in node.attr:
            return None  # before producer 24 an empty shape meant an unknown one
        return shape
    shapes = node.get("_output_shapes")
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
            f"input `{ref}` has rank {len(declared)} in the graph, --input_shapes gives {list(given)}"
        )
    return given


_TYPE_ATTRIBUTES = ("dtype", "DstT", "output_type", "out_type", "T", "Tparams", "SrcT")


def _input_dtype(ref: Ref, node: Node) -> np.dtype:
    for name in _TYPE_ATTRIBUTES:
        if name in node.attr and node.attr[name].WhichOneof("value") == "type":
            return computed_dtype(node.attr[name].type)
    return np.dtype(np.float32)


def _check_placeholders(walk: Walk, inputs: Sequence[Ref]) -> None:
    """Turn a placeholder that the walk met into an error about --input_arrays."""
    extra = [name for name, op in walk.missing.items() if op in PLACEHOLDERS]
    if extra:
        raise UsageError(
            f"the outputs depend on placeholders that are no inputs: {', '.join(extra)}",
            hint=f"add them to --input_arrays ({', '.join(map(str, inputs))}), "
            f"or give one a value with --set_input {extra[0]}=VALUE",
        )


def _finish(
    model: Model, inputs: Sequence[Ref], outputs: Sequence[Ref], values: Sequence[Any]
) -> None:
    graph = model.main
    for ref, value in zip(outputs, values, strict=True):
        if value is DEAD or isinstance(value, Failed):
            raise UsageError(f"output `{ref}` is never computed: its branch is switched off")
        graph.outputs.append(as_output(graph, value, str(ref)))
    graph.prune()
    model.signatures.append(
        Signature(
            "serving_default",
            [(str(r), t) for r, t in zip(inputs, graph.inputs, strict=True)],
            [(str(r), t) for r, t in zip(outputs, graph.outputs, strict=True)],
        )
    )


def as_output(graph: Graph, tensor: Tensor, name: str) -> Tensor:
    """Return `tensor` under exactly this name, through a copy where it already is an input or output."""
    if tensor in graph.inputs or tensor in graph.outputs:
        source = Source("", name, "Identity")
        shape: Any = np.array([-1 if d is None else d for d in tensor.shape], np.int32)
        if tensor.shape.count(None) > 1:
            shape = emit(graph, "SHAPE", tensor, name=f"{name}/shape", source=source)
        tensor = emit(graph, "RESHAPE", tensor, shape, name=f"{name}/copy", source=source)
    graph.rename(tensor, name)
    return tensor
