"""An ONNX file as nodes, constants and borders; local functions are inlined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from tqconv.config import Dims
from tqconv.errors import FormatError, UnsupportedError, first_line
from tqconv.importers.onnx.outlined import outlined
from tqconv.importers.onnx.tensors import Files, array_of, dense_of
from tqconv.ir.sorting import least_first
from tqconv.records import dataclass
from tqconv.schema import proto

DOMAINS = ("", "ai.onnx")
"""Names of the standard operators' domain."""
OLDEST_OPSET = 7
"""Before, operators broadcast by an attribute; such files are older than ONNX 1.2 (2018)."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node. `op`: its operator, with its domain before it where that is not ONNX's own."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: Any
    files: Files

    def attributes(self) -> dict[str, Any]:
        """Return all attributes as Python values: tensors as arrays, graphs as messages."""
        return {a.name: _decoded(a, self.files) for a in self.message.attribute}


def _decoded(attribute: Any, files: Files) -> Any:
    kind = attribute.type
    if kind == onnx.AttributeProto.TENSOR:
        return array_of(attribute.t, files)
    if kind == onnx.AttributeProto.STRING:
        return _text(attribute.s)
    if kind == onnx.AttributeProto.STRINGS:
        return [_text(s) for s in attribute.strings]
    if kind == onnx.AttributeProto.SPARSE_TENSOR:
        return dense_of(attribute.sparse_tensor, files)
    if kind == onnx.AttributeProto.SPARSE_TENSORS:
        raise UnsupportedError("a list of sparse constants")
    value = onnx.helper.get_attribute_value(attribute)
    return list(value) if isinstance(value, Iterable) and not isinstance(value, bytes) else value


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


@dataclass(frozen=True)
class ValueInfo:
    """A tensor as the file declares it: `shape` None where even the rank is unknown."""

    name: str
    dtype: int
    shape: Dims | None
    params: tuple[str, ...] = ()
    """For each dimension its name, or ""."""


@dataclass(frozen=True, eq=False)
class Body:
    """A graph: the model's, or that of a branch or a loop."""

    name: str
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Any]
    """Initializers by name, as messages."""
    makers: Mapping[str, Node] = field(default_factory=dict)
    """The node that makes each tensor."""
    infos: Mapping[str, ValueInfo] = field(default_factory=dict)
    """What the file declares of inner tensors and results."""

    @cached_property
    def fed(self) -> dict[str, ValueInfo]:
        """The inputs by name."""
        return {info.name: info for info in self.inputs}

    def captured(self) -> list[str]:
        """Return the names of the outer tensors that are read, here or in graphs inside."""
        own = {*self.constants, *self.makers, *self.fed}
        read: dict[str, None] = {}
        for node in self.nodes:
            read |= dict.fromkeys(reads(node))
        read |= dict.fromkeys(o.name for o in self.outputs)
        return [name for name in read if name and name not in own]


def reads(node: Node) -> Iterator[str]:
    """Yield the tensors that a node reads, also through the graphs in its attributes."""
    yield from filter(None, node.inputs)
    for attribute in node.message.attribute:
        for graph in (attribute.g, *attribute.graphs) if _holds_graphs(attribute) else ():
            yield from body_of(graph, node.files).captured()


def _holds_graphs(attribute: Any) -> bool:
    return attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


@dataclass(frozen=True, eq=False)
class Network:
    """A model: its main graph, and the version of each domain's operators."""

    body: Body
    opset: int
    files: Files
    producer: str
    metadata: Mapping[str, str]


Translates = Callable[[str, int], bool]
"""Whether an operator has a translation of its own, by its name and the opset."""


def read(path: Path, translates: Translates = lambda op, opset: True) -> Network:
    """Return the model in a file; FormatError where it is damaged.

    Operators that have no translation become what the standard says they are made of, if it does.
    """
    content, inside = outlined(path)
    model = proto.parse_binary(onnx.ModelProto, content, path.name)
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise FormatError(f"{path} holds no graph")
    _check_texts(model)
    files = Files(path.parent, inside)
    opset = max((o.version for o in model.opset_import if o.domain in DOMAINS), default=0)
    if opset == 0 and not model.functions:
        opset = 1 if not model.opset_import else onnx.defs.onnx_opset_version()
    if opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"{path} uses opset {opset}; tqconv reads {OLDEST_OPSET} and later",
            hint="export the model again, or raise it with onnx.version_converter",
        )
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise UnsupportedError(
            f"{path} uses opset {opset}; the installed onnx package knows {newest}",
            hint="update it: pip install --upgrade onnx",
        )
    if len(model.functions):
        model = _inlined(model, path)
    model = with_functions_expanded(model, opset, translates)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return Network(body_of(model.graph, files), opset, files, producer, metadata)


def _inlined(model: Any, path: Path) -> Any:
    import onnx.inliner

    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise FormatError(f"the functions of {path} fit nowhere: {first_line(error)}") from error


SMALL = 1024
"""Bytes of the constants that go through the inliner: shapes and scalars, which it may look at."""


def with_functions_expanded(model: Any, opset: int, translates: Translates) -> Any:
    """Return a model whose nodes without translation are replaced by their schemas' functions.

    Large constants stay outside of the inliner, which copies all it gets.
    """
    for _ in range(DEEPEST):
        nodes = [
            (node, schema)
            for graph in _all_graphs([model.graph])
            for node in graph.node
            if not translates(_full_name(node), opset)
            for schema in _functions(model, node)
        ]
        if not nodes:
            break
        for node, schema in nodes:
            _add_defaults(node, schema)
        wanted = {("" if n.domain in DOMAINS else n.domain, n.op_type) for n, _ in nodes}
        made = _expanded(model, sorted(wanted))
        if made is None:
            break  # the nodes are reported as having no translation
        model = made
    return model


DEEPEST = 4
"""So many times functions are made of functions: two operators deep today."""


def _expanded(model: Any, wanted: list[tuple[str, str]]) -> Any:
    import onnx.inliner

    large = [(t, t.raw_data) for t in model.graph.initializer if len(t.raw_data) > SMALL]
    for tensor, _ in large:
        tensor.ClearField("raw_data")
    _add_types(model.graph)
    try:
        made = onnx.inliner.inline_selected_functions(model, wanted, inline_schema_functions=True)
    except (RuntimeError, ValueError):
        made = None
    named = {t.name: t for t in (model if made is None else made).graph.initializer}
    for tensor, content in large:
        named[tensor.name].raw_data = content
    return made


def _add_types(graph: Any) -> None:
    """Declare what the inliner knows no type of: initializers, and operands that are left out."""
    declared = {info.name for info in (*graph.value_info, *graph.input)}
    types = {t.name: (t.data_type, t.dims) for t in graph.initializer}
    for name, (number, dims) in {**types, "": (onnx.TensorProto.FLOAT, None)}.items():
        if name not in declared:
            graph.value_info.append(onnx.helper.make_tensor_value_info(name, number, dims))


def _add_defaults(node: Any, schema: Any) -> None:
    """Write out what attributes are left out: the inliner would leave them out of the function."""
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.type:
            node.attribute.append(attribute.default_value)


def _full_name(node: Any) -> str:
    return node.op_type if node.domain in DOMAINS else f"{node.domain}:{node.op_type}"


def _functions(model: Any, node: Any) -> list[Any]:
    """Return the schema of a node if it says what the operator is made of."""
    domain = "" if node.domain in DOMAINS else node.domain
    own = DOMAINS if not domain else (domain,)
    version = max((o.version for o in model.opset_import if o.domain in own), default=0)
    if not version or not onnx.defs.has(node.op_type, version, domain):
        return []
    schema: Any = onnx.defs.get_schema(node.op_type, version, domain)
    return [schema] if schema.has_function or schema.has_context_dependent_function else []


def body_of(graph: Any, files: Files) -> Body:
    """Return a GraphProto; FormatError where two nodes make one tensor.

    A node goes by its name, or by its first output where it has none, shares it with other nodes,
    or has that of a tensor that another node makes.
    """
    counts = Counter(message.name for message in graph.node)
    counts.update(o for message in graph.node for o in set(message.output) - {message.name})
    nodes: list[Node] = []
    makers: dict[str, Node] = {}
    for number, message in enumerate(graph.node):
        own = message.name if message.name and counts[message.name] == 1 else ""
        name = own or next(filter(None, message.output), f"{message.op_type}_{number}")
        op = message.op_type
        op = op if message.domain in DOMAINS else f"{message.domain}:{op}"
        node = Node(name, op, tuple(message.input), tuple(message.output), message, files)
        nodes.append(node)
        for output in filter(None, node.outputs):
            if output in makers:
                raise FormatError(
                    f"nodes '{makers[output].name}' and '{name}' both make '{output}'"
                )
            makers[output] = node
    constants = {t.name: t for t in graph.initializer}
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        constants[name] = onnx.numpy_helper.from_array(dense_of(sparse, files), name)
    inputs = tuple(_declared(i) for i in graph.input if i.name not in constants)
    outputs = tuple(map(_declared, graph.output))
    infos = {info.name: info for info in (*map(_declared, graph.value_info), *outputs)}
    return Body(graph.name, inputs, outputs, tuple(nodes), constants, makers, infos)


def _check_texts(model: Any) -> None:
    """Raise FormatError for a name that is no text: protobuf hands its bytes over."""
    for name in _texts(model):
        if isinstance(name, bytes):
            raise FormatError(f"the name {name[:40]!r} is not UTF-8", hint="is the file damaged?")


def _texts(model: Any) -> Iterator[str | bytes]:
    """Yield what names things in a model, also in its functions and bodies."""
    yield from (entry.domain for entry in model.opset_import)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
        yield from (entry.domain for entry in function.opset_import)
    for graph in _all_graphs([model.graph, *model.functions]):
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            for attribute in node.attribute:
                yield from (attribute.name, attribute.ref_attr_name)
        if isinstance(graph, onnx.GraphProto):
            yield graph.name
            yield from (tensor.name for tensor in graph.initializer)
            for info in (*graph.input, *graph.output):
                yield info.name
                yield from (d.dim_param for d in info.type.tensor_type.shape.dim)


def _all_graphs(graphs: Iterable[Any]) -> Iterator[Any]:
    """Yield graphs or functions, and the bodies of their branches and loops."""
    stack = list(graphs)
    while stack:
        graph = stack.pop()
        yield graph
        for node in graph.node:
            for attribute in filter(_holds_graphs, node.attribute):
                stack += (attribute.g, *attribute.graphs)


def _declared(info: Any) -> ValueInfo:
    if info.HasField("type") and not info.type.HasField("tensor_type"):
        kind = info.type.WhichOneof("value")
        return ValueInfo(f"{info.name}", -1, None, (str(kind),))
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return ValueInfo(info.name, kind.elem_type, None)
    shape = tuple(
        d.dim_value if d.WhichOneof("value") == "dim_value" else None for d in kind.shape.dim
    )
    if any(d is not None and d < 0 for d in shape):
        shape = tuple(None if d is None or d < 0 else d for d in shape)
    return ValueInfo(info.name, kind.elem_type, shape, tuple(d.dim_param for d in kind.shape.dim))


def in_order(body: Body, fetches: Sequence[str], known: Iterable[str]) -> list[Node]:
    """Return the nodes that the fetches need, as the file lists them but after what they read.

    Nothing behind `known` tensors is needed. FormatError for a tensor that nothing makes,
    UnsupportedError for a cycle.
    """
    given = {*known, *body.constants}
    needed: dict[str, Node] = {}
    stack = [(name, "the model") for name in fetches]
    while stack:
        name, reader = stack.pop()
        if name in given:
            continue
        node = body.makers.get(name)
        if node is None:
            raise FormatError(f"'{reader}' reads '{name}', which nothing makes")
        if node.name not in needed:
            needed[node.name] = node
            stack += [(other, node.name) for other in reads(node)]
    needs = {
        node.name: {body.makers[n].name for n in reads(node) if n not in given}
        for node in needed.values()
    }
    position = {node.name: i for i, node in enumerate(body.nodes)}
    result = [needed[name] for name in least_first(needs, position)]
    if len(result) < len(needed):
        name = next(n for n in needed if needed[n] not in result)
        raise UnsupportedError(f"the graph has a cycle through '{name}'")
    return result
