"""Functions of a TF2 SavedModel that Python can call, as signatures where it was saved without.

The object graph says which functions the root object has, and the arguments of each of their
traces. A trace becomes a signature of its name: placeholders for its tensors, a call, and a handle
for each variable that it captured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

HELD = frozenset({"variable", "constant"})
"""Kinds of objects that a call can be given: the nodes for them follow from the object alone."""


@dataclass(frozen=True)
class Trace:
    """One trace of a function: its name in the library, and its tensors by name, in order."""

    key: str
    function: str
    inputs: Mapping[str, Any]
    outputs: tuple[str, ...]
    bound: tuple[int, ...]


def sign_callables(meta: Any) -> None:
    """Add a signature, and the nodes that it needs, for each function that can be called.

    A function that was traced for several arguments gets one for each: `encode`, `encode_1`, ….
    """
    known = {node.name for node in meta.graph_def.node}
    for trace in _traces(meta):
        signature = meta.signature_def[trace.key]
        nodes = meta.graph_def.node
        given = []
        for name, spec in trace.inputs.items():
            node = nodes.add(name=_unused(f"{trace.key}_{name}", known), op="Placeholder")
            node.attr["dtype"].type = spec.dtype
            node.attr["shape"].shape.CopyFrom(spec.shape)
            signature.inputs[name].name = f"{node.name}:0"
            given.append(node.name)
        given += [_held(meta, index, known) for index in trace.bound]
        call = nodes.add(name=_unused(trace.key, known), op="StatefulPartitionedCall", input=given)
        call.attr["f"].func.name = trace.function
        for index, name in enumerate(trace.outputs):
            signature.outputs[name].name = f"{call.name}:{index}"


def _held(meta: Any, index: int, known: set[str]) -> str:
    """Return the node that stands for a captured object; one is made for a variable."""
    held = meta.object_graph_def.nodes[index]
    if held.WhichOneof("kind") == "constant":
        operation: str = held.constant.operation
        return operation
    name = _unused(held.variable.name or "variable", known)
    node = meta.graph_def.node.add(name=name, op="VarHandleOp")
    node.attr["dtype"].type = held.variable.dtype
    node.attr["shape"].shape.CopyFrom(held.variable.shape)
    return name


def _unused(like: str, known: set[str]) -> str:
    """Return a name that no node has, and take it down."""
    name, number = like, 0
    while name in known:
        number += 1
        name = f"{like}_{number}"
    known.add(name)
    return name


def _traces(meta: Any) -> Iterator[Trace]:
    """Yield the traces of the root object's functions."""
    objects = meta.object_graph_def
    library = {f.signature.name: f.signature for f in meta.graph_def.library.function}
    for child in objects.nodes[0].children if len(objects.nodes) else ():
        if not 0 <= child.node_id < len(objects.nodes):
            continue
        function = objects.nodes[child.node_id].function
        key = child.local_name.strip("_") or "call"
        names = [name for name in function.concrete_functions if name in library]
        made = (_trace(objects, function, key, name, library[name]) for name in names)
        for number, trace in enumerate(t for t in made if t is not None):
            yield replace(trace, key=f"{key}_{number}") if number else trace


def _trace(objects: Any, function: Any, key: str, name: str, signature: Any) -> Trace | None:
    """Return how a trace is called; None for one of training, or that a graph cannot call."""
    concrete = objects.concrete_functions[name]
    bound = tuple(concrete.bound_inputs)
    inputs = list(_leaves(concrete.canonicalized_input_signature))
    outputs = list(_leaves(concrete.output_signature))
    held = [objects.nodes[i].WhichOneof("kind") for i in bound if 0 <= i < len(objects.nodes)]
    if not inputs or not outputs or len(held) != len(bound) or not HELD.issuperset(held):
        return None
    if len(inputs) + len(bound) != len(signature.input_arg):
        return None
    if len(outputs) != len(signature.output_arg) or _trains(function, concrete):
        return None
    taken = _named([(way or spec.name, spec) for way, spec in inputs], "input")
    return Trace(key, name, taken, tuple(_named(outputs, "output")), bound)


def _named(leaves: Sequence[tuple[str, Any]], word: str) -> dict[str, Any]:
    """Return tensors by their names; those without one, or with that of another, are numbered."""
    found: dict[str, Any] = {}
    for number, (name, spec) in enumerate(leaves):
        found[name if name and name not in found else f"{word}_{number}"] = spec
    return found


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the tensors of a structure in the order in which functions take them, by their keys."""
    kind = value.WhichOneof("kind")
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        yield key, getattr(value, kind)
    elif kind in ("tuple_value", "list_value"):
        for item in getattr(value, kind).values:
            yield from _leaves(item, key)
    elif kind == "dict_value":
        for name, item in sorted(value.dict_value.fields.items()):
            yield from _leaves(item, name)
    elif kind == "named_tuple_value":
        for pair in value.named_tuple_value.values:
            yield from _leaves(pair.value, pair.key)


def _trains(function: Any, concrete: Any) -> bool:
    """Tell whether a trace was made with `training=True`, as Keras makes one beside that of use."""
    spec = function.function_spec
    pairs = {p.key: p.value for p in spec.fullargspec.named_tuple_value.values}
    names = [v.string_value for v in pairs["args"].list_value.values] if "args" in pairs else []
    names = names[1:] if names[:1] == ["self"] else names
    parts = concrete.canonicalized_input_signature.tuple_value.values
    values = dict(zip(names, parts[0].tuple_value.values if len(parts) else (), strict=False))
    if len(parts) > 1:
        values |= dict(parts[1].dict_value.fields)
    return "training" in values and values["training"].bool_value
