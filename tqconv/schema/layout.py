"""The tables of a schema, prepared for the codec, and look-ups in them."""

import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from tqconv.records import dataclass
from tqconv.schema import fbs, files
from tqconv.schema.fbs import Field, Schema

OUTSIDE = {
    "Buffer": ("data", "offset", "size"),
    "Operator": ("custom_options", "large_custom_options_offset", "large_custom_options_size"),
}
"""Vectors that may lie behind the flatbuffer: the fields with the data, its file offset and its
size. Offsets 0 and 1 mean "not outside" (LiteRT core/interpreter_builder.cc)."""


@cache
def tflite() -> Schema:
    """The schema of .tflite files."""
    return fbs.parse(files.text("tflite.fbs"))


def enum_number(schema: Schema, enum: str, name: str) -> int:
    """The number of an enum member. Raises ValueError listing the members if it is none."""
    members = schema.enums[enum]
    if name not in members:
        raise ValueError(f"{name!r} is not in {enum}: {', '.join(members)}")
    return members[name]


def enum_name(schema: Schema, enum: str, number: int) -> str:
    """The name of an enum member. Raises ValueError if the schema has no such number."""
    for name, value in schema.enums[enum].items():
        if value == number:
            return name
    raise ValueError(f"{number} is not a value of {enum}")


def fields(table: str, schema: Schema | None = None) -> dict[str, Field]:
    """The fields of a table by name, without the deprecated ones."""
    schema = tflite() if schema is None else schema
    return {field.name: field for field in schema.tables[table].fields if not field.deprecated}


def defaults(table: str, schema: Schema | None = None) -> dict[str, int | float | bool]:
    """What each scalar field of a table is worth when it is absent."""
    return {
        name: field.default
        for name, field in fields(table, schema).items()
        if field.kind == "scalar" and not field.vector
    }


@dataclass(frozen=True)
class Slot:
    """A field with its packer (a scalar, or a union's tag) and its type as a vector's element."""

    field: Field
    form: struct.Struct
    dtype: np.dtype[Any]
    members: Mapping[int, str]  # of a union: tag -> table


@dataclass(frozen=True)
class Layout:
    """A table by slot number, for reading, and by name, for writing."""

    name: str
    by_slot: tuple[Slot | None, ...]
    by_name: dict[str, Slot]


@cache
def layouts(schema: Schema) -> dict[str, Layout]:
    """All tables of the schema. Raises ValueError for a struct or a vector of unions."""
    return {name: _layout(schema, table) for name, table in schema.tables.items()}


def _layout(schema: Schema, table: fbs.Table) -> Layout:
    by_slot: list[Slot | None] = [None] * table.slots
    for field in table.fields:
        if not field.deprecated:
            by_slot[field.slot] = _slot(schema, field)
    return Layout(table.name, tuple(by_slot), {s.field.name: s for s in by_slot if s is not None})


def _slot(schema: Schema, field: Field) -> Slot:
    if field.kind == "struct" or (field.kind == "union" and field.vector):
        raise ValueError(f"field '{field.name}': structs and vectors of unions are not supported")
    members = {tag: name for name, tag in schema.unions.get(field.type, {}).items() if tag}
    code = field.code or "B"
    return Slot(field, struct.Struct("<" + code), np.dtype("<" + code), members)
