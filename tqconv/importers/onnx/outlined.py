"""Large constants stay in the model's file; what is parsed says where they are instead.

A parsed message holds a copy of each constant, and hands out another one when it is read. A model
of 100 MB took 350 MB with both, and takes 250 MB with its file mapped.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from tqconv.errors import FormatError
from tqconv.importers.detect import BYTES, fields
from tqconv.importers.onnx.tensors import INSIDE

LARGE = 65_536
"""Bytes from which on a constant stays where it is."""
TENSOR: Mapping[int, Any] = {}
"""Stands for a TensorProto at the end of a path of fields."""
GRAPH, INITIALIZER, NODE, ATTRIBUTE, VALUE = 7, 5, 1, 5, 5
PATHS: Mapping[int, Any] = {GRAPH: {INITIALIZER: TENSOR, NODE: {ATTRIBUTE: {VALUE: TENSOR}}}}
"""Fields of a ModelProto, a GraphProto, a NodeProto, an AttributeProto -> what is below them."""
RAW_DATA, EXTERNAL_DATA = 9, 13
"""Fields of a TensorProto."""


def outlined(path: Path) -> tuple[bytes | memoryview, list[memoryview]]:
    """Return a ModelProto whose large constants are numbers of places, and those places.

    The location of such a tensor is `INSIDE` and the number of its place. What is no message is
    returned as it is: parsing it says what is wrong.
    """
    if path.stat().st_size < LARGE:
        return path.read_bytes(), []
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    outline = _Outline(content)
    try:
        pieces = outline.message(0, len(content), PATHS)
    except FormatError:
        return memoryview(content), []
    return b"".join(pieces), outline.places


class _Outline:
    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.view = memoryview(content)
        self.places: list[memoryview] = []

    def message(self, start: int, end: int, below: Mapping[int, Any]) -> list[Any]:
        """Return the pieces of a message, without what is large at the ends of paths."""
        pieces: list[Any] = []
        kept = start
        for field in fields(self.content, end, start):
            inner = below.get(field.number)
            if inner is None or field.wire_type != BYTES or field.size < LARGE:
                continue
            deeper = self.tensor if inner is TENSOR else self.message
            parts = deeper(field.start, field.end, inner)
            pieces += [self.view[kept : field.tag], *_as_field(field.number, parts)]
            kept = field.end
        return [*pieces, self.view[kept:end]]

    def tensor(self, start: int, end: int, _: Mapping[int, Any]) -> list[Any]:
        """Return the pieces of a TensorProto, with a place in the file for its content."""
        own = list(fields(self.content, end, start))
        raw = [f for f in own if f.number == RAW_DATA and f.wire_type == BYTES]
        if len(raw) != 1 or raw[0].size < LARGE or any(f.number == EXTERNAL_DATA for f in own):
            return [self.view[start:end]]
        (data,) = raw
        self.places.append(self.view[data.start : data.end])
        # Behind everything else: of a field that occurs twice, the last one counts.
        said = _reference(len(self.places) - 1)
        return [self.view[start : data.tag], self.view[data.end : end], said]


def _reference(number: int) -> bytes:
    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=f"{INSIDE}{number}")
    return tensor.SerializeToString()


def _as_field(number: int, parts: list[Any]) -> list[Any]:
    size = sum(len(part) for part in parts)
    return [_varint(number << 3 | BYTES), _varint(size), *parts]


def _varint(value: int) -> bytes:
    low = bytearray()
    while value >= 0x80:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*low, value])
