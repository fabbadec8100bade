"""Graphs and functions written as lines `name = Op input input:1 ^control key=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from conftest import run_litert
from graphs import DELEGATES, Array, Message, assert_close, called, const, graph, model_of, node

from tqconv.ir.graph import Model
from tqconv.schema import proto


def all_called(*names: str) -> Message:
    """Return an attribute that lists functions."""
    message = proto.messages().AttrValue()
    for name in names:
        message.list.func.add(name=name)
    return message


NAMES = {
    "f32": np.dtype(np.float32),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
    "string": np.dtype(np.object_),
    "resource": np.dtype("V4"),
    "variant": np.dtype("V8"),
    "None": None,
    "True": True,
    "False": False,
    "fn": called,
    "fns": all_called,
}


def nodes(text: str, **arrays: Any) -> list[Message]:
    """Return the nodes of a text; `name = Const` takes its value from the argument of that name."""
    found = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, _, rest = line.partition(" = ")
        op, *words = rest.split()
        if op == "Const":
            found.append(_constant(name, words, arrays))
            continue
        inputs = [word for word in words if "=" not in word]
        attrs = dict(word.split("=", 1) for word in words if "=" in word)
        values = {k: eval(v, {"__builtins__": {}}, NAMES) for k, v in attrs.items()}
        found.append(node(name, op, *inputs, **values))
    return found


def _constant(name: str, words: Sequence[str], arrays: Mapping[str, Any]) -> Message:
    controls = [word for word in words if word.startswith("^")]
    values = [word for word in words if not word.startswith("^")]
    value = np.array(eval(values[0], {"__builtins__": {}}, {})) if values else arrays[name]
    array = np.asarray(value)
    narrow = {"int64": np.int32, "float64": np.float32}
    if values:
        array = array.astype(narrow.get(array.dtype.name, array.dtype))
    message = const(name, array)
    message.input.extend(controls)
    return message


def flow(text: str, *functions: Message, **arrays: Any) -> Message:
    """Return the GraphDef of a text with a library of functions."""
    message = graph(*nodes(text, **arrays))
    message.library.function.extend(functions)
    return message


def function(signature: str, text: str, **arrays: Any) -> Message:
    """Return a FunctionDef of `name(argument, ...) -> ref, ...`; refs inside are `node:port:0`."""
    head, _, results = signature.partition(" -> ")
    name, _, arguments = head.rstrip(")").partition("(")
    message = proto.messages().FunctionDef()
    message.signature.name = name
    for argument in filter(None, (a.strip() for a in arguments.split(","))):
        message.signature.input_arg.add(name=argument)
    for index, result in enumerate(filter(None, (r.strip() for r in results.split(",")))):
        message.signature.output_arg.add(name=f"result{index}")
        message.ret[f"result{index}"] = result
    message.node_def.extend(nodes(text, **arrays))
    return message


def check(message: Message, feeds: dict[str, Array], **expected: Array) -> Model:
    """Compare what LiteRT computes, with and without delegate, twice in a row."""
    model = model_of(message, expected, feeds)
    for body in model.all_graphs():
        body.check()
    for delegate in DELEGATES:
        for have, want in zip(run_litert(model, feeds, delegate), expected.values(), strict=True):
            assert_close(have, np.asarray(want), rtol=1e-6)
    return model


def types_of(model: Model) -> list[str]:
    return [op.type for op in model.main.ops]
