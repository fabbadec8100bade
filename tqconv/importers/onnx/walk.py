"""The walk over the nodes of an ONNX graph, and over the graphs of branches and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from tqconv.errors import FormatError
from tqconv.importers.onnx.model import Body, Node, in_order
from tqconv.importers.onnx.registry import ONNXBuilder
from tqconv.importers.onnx.sequences import Absent, Grown, Several
from tqconv.importers.onnx.shared import Shared
from tqconv.importers.onnx.tensors import array_of, computed
from tqconv.importers.translate import Failed, ReportedError
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source

Value = Tensor | Failed | Several | Grown | Absent


def run(
    shared: Shared,
    graph: Graph,
    body: Body,
    feeds: Mapping[str, Value],
    fetches: Sequence[str],
) -> list[Value]:
    """Translate into `graph` what `fetches` need, and return their values.

    `feeds`: what stands for the inputs of the body, and for the outer tensors that it captures.
    """
    values: dict[str, Value] = dict(feeds)
    for node in in_order(body, fetches, feeds):
        inputs = [_value(shared, graph, body, values, name) for name in node.inputs]
        captured = partial(_captured, shared, graph, body, values)
        made = _translated(shared, graph, node, inputs, captured)
        for name, value in made:
            values.setdefault(name, value)
    found = [_value(shared, graph, body, values, name) for name in fetches]
    return [value for value in found if value is not None]


def _value(
    shared: Shared, graph: Graph, body: Body, values: dict[str, Value], name: str
) -> Value | None:
    """Return what a name stands for; constants are decoded when the first node reads them."""
    if not name:
        return None
    if name not in values:
        message = body.constants.get(name)
        if message is None:
            raise FormatError(f"'{name}' is read, but its node has no such output")
        array = computed(array_of(message, shared.network.files))
        constant = graph.constant(name, array)
        shared.translation.say_range(name, constant)
        values[name] = constant
    return values[name]


def _captured(
    shared: Shared, graph: Graph, body: Body, values: dict[str, Value], name: str
) -> Tensor | Several | Grown | Absent:
    """Return an outer value that a body reads; ReportedError where it could not be made."""
    value = _value(shared, graph, body, values, name)
    if isinstance(value, Failed):
        raise ReportedError(value.node)
    if value is None:
        raise FormatError(f"'{name}' is read, but nothing makes it")
    return value


def _translated(
    shared: Shared,
    graph: Graph,
    node: Node,
    inputs: Sequence[Value | None],
    captured: Callable[[str], Any],
) -> Iterable[tuple[str, Value]]:
    name = next(filter(None, node.outputs), node.name)
    source = Source(shared.translation.file, node.name, node.op, place=len(graph.ops))
    b = ONNXBuilder(graph, source, name, node, shared, captured)
    operands = list(inputs)
    while operands and operands[-1] is None:
        operands.pop()
    made = shared.translation.translate(b, operands, node.attributes, node.op)
    if isinstance(made, Failed):
        return [(output, made) for output in node.outputs if output]
    named = [(output, value) for output, value in zip(node.outputs, made, strict=False) if output]
    for position, (output, value) in enumerate(named):
        if isinstance(value, Tensor) and value.name == f"{name}:{position}" and output != name:
            graph.rename(value, output)
    return [(output, value) for output, value in named if value is not None]


def computed_inputs(body: Body, name: str) -> Iterable[tuple[str, str]]:
    """Yield the tensors that a node reads and their nodes, but for constants and inputs."""
    node = next((n for n in body.nodes if n.name == name), None)
    for tensor in () if node is None else node.inputs:
        if tensor in body.makers and body.makers[tensor].op != "Constant":
            yield tensor, body.makers[tensor].name
