"""Read graphs that tests write as text.

x: f32[1,8,8,4] -> z
y = CONV_2D(x, f32[4,3,3,4], zeros[4]) {padding=VALID, stride_h=1, stride_w=1}
z = RELU(y)

A name is a tensor; `f32[4]` is a constant of seeded numbers; `zeros[4]`; `[1,2]` and `3` are int32;
`0.5` and `[0.5,2.0]` are float32; `True` is a boolean; `_` is an absent operand.
"""

from __future__ import annotations

import ast
import re
import zlib
from typing import Any

import numpy as np

from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit

TYPES = {
    "f32": np.float32,
    "i32": np.int32,
    "i64": np.int64,
    "i8": np.int8,
    "u8": np.uint8,
    "u64": np.uint64,
    "bool": np.bool_,
}


def parse(text: str) -> Graph:
    """Return the graph that `text` describes."""
    lines = [line.strip() for line in text.strip().splitlines()]
    header, body = lines[0], lines[1:]
    left, _, right = header.partition("->")
    graph = Graph("test")
    known: dict[str, Tensor] = {}
    for name, kind, sizes in re.findall(r"(\w+): (\w+)\[([\d,?]*)\]", left):
        shape = tuple(None if d == "?" else int(d) for d in sizes.split(",") if d)
        known[name] = graph.add_input(name, shape, np.dtype(TYPES[kind]))
    for line in body:
        _statement(graph, known, line)
    graph.outputs[:] = [known[name.strip()] for name in right.split(",")]
    return graph


def _statement(graph: Graph, known: dict[str, Tensor], line: str) -> None:
    found = re.fullmatch(r"([\w, ]+?) = (\w+)\((.*)\)(?: \{(.*)\})?", line)
    assert found, f"not a statement: {line}"
    names = [n.strip() for n in found[1].split(",")]
    operands = [_operand(known, part, names[0], i) for i, part in enumerate(_split(found[3]))]
    options = dict(_option(part) for part in _split(found[4] or ""))
    made = emit(
        graph, found[2], *operands, name=names[0], source=Source("t", names[0], found[2]), **options
    )
    for name, tensor in zip(names, made if isinstance(made, tuple) else (made,), strict=True):
        graph.rename(tensor, name)
        known[name] = tensor


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [p.strip() for p in [*parts, text[start:]] if p.strip()]


def _option(part: str) -> tuple[str, Any]:
    name, _, value = part.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _operand(known: dict[str, Tensor], part: str, name: str, index: int) -> Any:
    if part == "_":
        return None
    if part in known:
        return known[part]
    sized = re.fullmatch(r"(\w+)\[([\d,]*)\]", part)
    if sized:
        shape = tuple(int(d) for d in sized[2].split(",") if d)
        if sized[1] == "zeros":
            return np.zeros(shape, np.float32)
        seed = zlib.crc32(f"{name}/{index}".encode())
        numbers = np.random.default_rng(seed).uniform(-1, 1, shape)
        return numbers.astype(TYPES[sized[1]])
    value = ast.literal_eval(part)
    if isinstance(value, bool):
        return np.array(value)
    floats = np.asarray(value).size and np.asarray(value).dtype.kind == "f"
    return np.array(value, np.float32 if floats else np.int32)
