"""Read and write flatbuffers as nested dicts, by a schema parsed from .fbs text."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.schema.builder import Builder, Stored
from tqconv.schema.decode import read as read
from tqconv.schema.fbs import Schema
from tqconv.schema.layout import OUTSIDE, Layout, Slot, layouts
from tqconv.schema.layout import defaults as defaults
from tqconv.schema.layout import enum_name as enum_name
from tqconv.schema.layout import enum_number as enum_number
from tqconv.schema.layout import fields as fields
from tqconv.schema.layout import tflite as tflite
from tqconv.schema.options import options_table as options_table
from tqconv.schema.pieces import Pieces

LIMIT = 2**31 - 2**20
"""Largest flatbuffer to write, with room for a wrong estimate: offsets in it are signed 32 bit."""

SHARED_BYTES = 1024  # an array that stands in several places of the dict is written once
OUTSIDE_BYTES = 1024  # smaller vectors stay inside: readers of metadata do not look outside


def write(model: Mapping[str, Any], schema: Schema | None = None, *, limit: int = LIMIT) -> bytes:
    """The file for a dict as `read` gives it; the same bytes for the same dict.

    Scalars at their default and fields set to None are left out. A vector may be any sequence or
    array of numbers; a [ubyte] vector also takes bytes, or an array of any type, whose bytes are
    stored in C order. If the flatbuffer would exceed `limit` bytes, large buffers go behind it.

    Raises ValueError for a field or union member that the schema does not have, and for a value
    that does not fit its field.
    """
    return pieces(model, schema, limit=limit).joined()


def pieces(model: Mapping[str, Any], schema: Schema | None = None, *, limit: int = LIMIT) -> Pieces:
    """The same file in pieces: large arrays are not copied, and must not change meanwhile."""
    schema = tflite() if schema is None else schema
    file = _Writer(schema, outside=False).file(model)
    if len(file) > limit:
        file = _Writer(schema, outside=True).file(model)
    return file


class _Writer:
    """Tables of one file, children first."""

    def __init__(self, schema: Schema, *, outside: bool) -> None:
        self.schema = schema
        self.layouts = layouts(schema)
        self.builder = Builder()
        self.outside = outside
        self.written: dict[int, int] = {}  # place of a long vector that several tables refer to

    def file(self, model: Mapping[str, Any]) -> Pieces:
        root = self.table(self.layouts[self.schema.root], model)
        return self.builder.finish(root, self.schema.identifier.encode())

    def table(self, layout: Layout, values: Mapping[str, Any]) -> int:
        """Write a table and what it refers to; its place, counted from the end of the file."""
        moved = None
        if self.outside and layout.name in OUTSIDE:
            values, moved = self._move(layout, values)
        present = [(slot, values[name]) for name, slot in layout.by_name.items() if name in values]
        if len(present) != len(values):
            unknown = sorted(values.keys() - layout.by_name.keys())
            names = ", ".join(layout.by_name)
            raise ValueError(f"{layout.name} has no field {', '.join(unknown)}; it has: {names}")
        stored: Stored = []
        for slot, value in present:
            if value is None:
                continue
            field = slot.field
            if field.vector:
                stored.append((field.slot, "", self._vector(layout, slot, value)))
            elif field.kind == "scalar":
                if value != field.default:
                    stored.append((field.slot, field.code, value))
            elif field.kind == "union":
                stored += self._union(layout, slot, *value)
            else:
                stored.append((field.slot, "", self._referred(layout, slot, value)))
        try:
            return self.builder.table(layout, stored, moved)
        except (struct.error, OverflowError) as error:
            raise _first_misfit(layout, stored) from error

    def _union(self, layout: Layout, slot: Slot, name: str, content: Mapping[str, Any]) -> Stored:
        """What the table holds for a union: the member's tag, and its place."""
        field = slot.field
        members = self.schema.unions[field.type]
        if name not in members:
            raise _misfit(layout, slot, name)
        place = self.table(self.layouts[name], content)
        return [(field.slot - 1, "B", members[name]), (field.slot, "", place)]

    def _move(
        self, layout: Layout, values: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], NDArray[Any] | None]:
        """The values with a large vector replaced by offset and size, and that vector."""
        data, offset, size = OUTSIDE[layout.name]
        if values.get(data) is None:
            return values, None
        array = _array(layout, layout.by_name[data], values[data])
        if array.nbytes < OUTSIDE_BYTES:
            return values, None
        return {**values, data: None, offset: 1, size: array.nbytes}, array

    def _referred(self, layout: Layout, slot: Slot, value: Any) -> int:
        if slot.field.kind == "string":
            if not isinstance(value, str):
                raise _misfit(layout, slot, value)
            return self.builder.string(value)
        return self.table(self.layouts[slot.field.type], value)

    def _vector(self, layout: Layout, slot: Slot, value: Any) -> int:
        field = slot.field
        if field.kind != "scalar":
            return self.builder.children([self._referred(layout, slot, item) for item in value])
        if isinstance(value, list | tuple) and field.code != "B":
            return self.builder.numbers(_packed(layout, slot, value), slot.form.size, field.align)
        if id(value) in self.written:
            return self.written[id(value)]
        array = _array(layout, slot, value)
        place = self.builder.numbers(array, slot.form.size, field.align)
        if isinstance(value, np.ndarray) and value.nbytes >= SHARED_BYTES:
            self.written[id(value)] = place
        return place


def _first_misfit(layout: Layout, stored: Stored) -> ValueError:
    """The error that names the number which does not fit its field."""
    for number, code, value in stored:
        try:
            struct.pack(f"<{code or 'I'}", value)
        except (struct.error, OverflowError):
            slot = next(s for s in layout.by_name.values() if s.field.slot == number)
            return _misfit(layout, slot, value)
    return ValueError(f"{layout.name} is too far from what it refers to")


def _packed(layout: Layout, slot: Slot, values: Sequence[Any]) -> bytes:
    """The bytes of a vector of numbers."""
    try:
        return struct.pack(f"<{len(values)}{slot.field.code}", *values)
    except (struct.error, OverflowError) as error:
        raise _misfit(layout, slot, values) from error


def _array(layout: Layout, slot: Slot, value: Any) -> NDArray[Any]:
    """The value as an array whose bytes are those of the vector; not copied if it is one."""
    is_bytes = slot.field.code == "B"
    if is_bytes and isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, np.uint8)
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        raise _misfit(layout, slot, value)
    if is_bytes and isinstance(value, np.ndarray):
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("<"))
    stored = array.astype(slot.dtype, copy=False)
    exact = stored is array or stored.dtype.kind == "f" or np.array_equal(stored, array)
    if stored.ndim != 1 or not exact:
        raise _misfit(layout, slot, value)
    return stored


def _misfit(layout: Layout, slot: Slot, value: Any) -> ValueError:
    field = slot.field
    kind = f"[{field.type}]" if field.vector else field.type
    return ValueError(f"{layout.name}.{field.name}: {kind} cannot hold {value!r}")
