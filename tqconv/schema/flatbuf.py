"""Read and write flatbuffers as nested dicts, by a schema parsed from .fbs text."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from tqconv.schema.decode import read as read
from tqconv.schema.fbs import Schema
from tqconv.schema.layout import OUTSIDE, Layout, Slot, layouts
from tqconv.schema.layout import defaults as defaults
from tqconv.schema.layout import enum_name as enum_name
from tqconv.schema.layout import enum_number as enum_number
from tqconv.schema.layout import fields as fields
from tqconv.schema.layout import tflite as tflite
from tqconv.schema.options import options_table as options_table

LIMIT = 2**31 - 2**20
"""Largest flatbuffer to write, with room for a wrong estimate: offsets in it are signed 32 bit."""

ALIGNMENT = 16  # of data behind the flatbuffer; the same as Buffer.data in the schema
_OFFSET = struct.Struct("<Q")
SHARED_BYTES = 1024  # an array that stands in several places of the dict is written once
OUTSIDE_BYTES = 1024  # smaller vectors stay inside: readers of metadata do not look outside


def write(
    model: Mapping[str, Any], schema: Schema | None = None, *, limit: int = LIMIT
) -> memoryview:
    """The file for a dict as `read` gives it; the same bytes for the same dict.

    Scalars at their default and fields set to None are left out. A vector may be any sequence or
    array of numbers; a [ubyte] vector also takes bytes, or an array of any type, whose bytes are
    stored in C order. If the flatbuffer would exceed `limit` bytes, large buffers go behind it.

    Raises ValueError for a field or union member that the schema does not have, and for a value
    that does not fit its field.
    """
    schema = tflite() if schema is None else schema
    estimate = _size(model, set()) + 64
    writer = _Writer(schema, estimate, outside=estimate > limit)
    root = writer.table(writer.layouts[schema.root], model)
    writer.builder.Finish(root, schema.identifier.encode())
    return writer.output().toreadonly()


def _size(value: Any, seen: set[int]) -> int:
    """At least the bytes that a value takes, with its offset, length, padding and vtable."""
    if isinstance(value, Mapping):
        return 16 + sum(14 + _size(item, seen) for item in value.values())
    if isinstance(value, np.ndarray | memoryview):
        if id(value) in seen and value.nbytes >= SHARED_BYTES:
            return 40
        seen.add(id(value))
        return int(value.nbytes) + 40
    if isinstance(value, bytes | bytearray):
        return len(value) + 40
    if isinstance(value, str):
        return 4 * len(value) + 16
    if isinstance(value, Sequence):
        return 40 + sum(8 + _size(item, seen) for item in value)
    return 0


class _Writer:
    """One flatbuffer under construction: children first, from the end of the file to its start."""

    def __init__(self, schema: Schema, size: int, *, outside: bool) -> None:
        self.layouts = layouts(schema)
        self.unions = schema.unions
        self.builder = flatbuffers.Builder(2**16 if outside else size)
        self.outside = outside
        self.written: dict[int, int] = {}  # place of a long vector that several tables refer to
        self.behind: list[tuple[int, NDArray[Any]]] = []  # place of the offset field, the data

    def table(self, layout: Layout, values: Mapping[str, Any]) -> int:
        """Write a table and what it refers to; its place, counted from the end of the file."""
        unknown = sorted(values.keys() - layout.by_name.keys())
        if unknown:
            names = ", ".join(layout.by_name)
            raise ValueError(f"{layout.name} has no field {', '.join(unknown)}; it has: {names}")
        values, moved = self._move(layout, values) if self.outside else (values, None)
        stored: list[tuple[int, bytes | int]] = []
        for name, slot in layout.by_name.items():
            value = values.get(name)
            if value is not None:
                stored += self._stored(layout, slot, value)
        return self._object(layout, stored, moved)

    def output(self) -> memoryview:
        """The finished flatbuffer, with the data that goes behind it."""
        inside = memoryview(self.builder.Bytes)[self.builder.Head() :]
        if not self.behind:
            return inside
        end = len(inside)
        starts = []
        for _, array in self.behind:
            starts.append(-(-end // ALIGNMENT) * ALIGNMENT)
            end = starts[-1] + array.nbytes
        file = bytearray(end)
        memoryview(file)[: len(inside)] = inside
        for (place, array), start in zip(self.behind, starts, strict=True):
            _OFFSET.pack_into(file, len(inside) - place, start)
            _copy(array, file, start)
        return memoryview(file)

    def _move(
        self, layout: Layout, values: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], NDArray[Any] | None]:
        """The values with a large vector replaced by offset and size, and that vector."""
        data, offset, size = OUTSIDE.get(layout.name, ("", "", ""))
        if values.get(data) is None:
            return values, None
        array = _array(layout, layout.by_name[data], values[data])
        if array.nbytes < OUTSIDE_BYTES:
            return values, None
        return {**values, data: None, offset: 1, size: array.nbytes}, array

    def _stored(self, layout: Layout, slot: Slot, value: Any) -> list[tuple[int, bytes | int]]:
        """What the table holds for a field, by slot: packed scalars, places of children."""
        field = slot.field
        if field.kind == "union":
            name, content = value
            if name not in self.unions[field.type]:
                raise _misfit(layout, slot, name)
            tag = slot.form.pack(self.unions[field.type][name])
            return [(field.slot - 1, tag), (field.slot, self.table(self.layouts[name], content))]
        if field.vector:
            return [(field.slot, self._vector(layout, slot, value))]
        if field.kind == "scalar":
            return [] if value == field.default else [(field.slot, _pack(layout, slot, value))]
        return [(field.slot, self._referred(layout, slot, value))]

    def _object(
        self, layout: Layout, stored: list[tuple[int, bytes | int]], moved: NDArray[Any] | None
    ) -> int:
        builder = self.builder
        builder.StartObject(len(layout.by_slot))
        stored.sort(key=_size_inline, reverse=True)  # needs the least padding; flatc does the same
        for slot, item in stored:
            if isinstance(item, int):
                builder.PrependUOffsetTRelative(item)
            else:
                builder.Prep(len(item), 0)
                builder.head -= len(item)
                builder.Bytes[builder.head : builder.head + len(item)] = item
            builder.Slot(slot)
        if moved is not None:
            offset = layout.by_name[OUTSIDE[layout.name][1]].field.slot
            self.behind.append((builder.current_vtable[offset], moved))
        return int(builder.EndObject())

    def _referred(self, layout: Layout, slot: Slot, value: Any) -> int:
        if slot.field.kind == "string":
            if not isinstance(value, str):
                raise _misfit(layout, slot, value)
            return int(self.builder.CreateString(value))
        return self.table(self.layouts[slot.field.type], value)

    def _vector(self, layout: Layout, slot: Slot, value: Any) -> int:
        builder = self.builder
        if slot.field.kind != "scalar":
            places = [self._referred(layout, slot, item) for item in value]
            builder.StartVector(4, len(places), 4)
            for place in reversed(places):
                builder.PrependUOffsetTRelative(place)
            return int(builder.EndVector())
        if id(value) in self.written:
            return self.written[id(value)]
        array = _array(layout, slot, value)
        size = slot.dtype.itemsize
        builder.StartVector(size, array.nbytes // size, max(slot.field.align, size))
        builder.head -= array.nbytes
        _copy(array, builder.Bytes, builder.head)
        place = int(builder.EndVector())
        if isinstance(value, np.ndarray) and value.nbytes >= SHARED_BYTES:
            self.written[id(value)] = place
        return place


def _size_inline(stored: tuple[int, bytes | int]) -> int:
    item = stored[1]
    return 4 if isinstance(item, int) else len(item)


def _pack(layout: Layout, slot: Slot, value: Any) -> bytes:
    try:
        return slot.form.pack(value)
    except (struct.error, OverflowError) as error:
        raise _misfit(layout, slot, value) from error


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
    exact = stored.dtype.kind == "f" or np.array_equal(stored, array)
    if stored.ndim != 1 or not exact:
        raise _misfit(layout, slot, value)
    return stored


def _misfit(layout: Layout, slot: Slot, value: Any) -> ValueError:
    field = slot.field
    kind = f"[{field.type}]" if field.vector else field.type
    return ValueError(f"{layout.name}.{field.name}: {kind} cannot hold {value!r}")


def _copy(array: NDArray[Any], file: bytearray, at: int) -> None:
    """Copy without a buffer in between, whatever the strides."""
    if array.size:
        np.frombuffer(file, array.dtype, array.size, at).reshape(array.shape)[...] = array


def flex_map(values: Mapping[str, Any]) -> bytes:
    """A flexbuffer map by name of: bool, int, float, str or bytes, or lists of one of them.

    Custom operators of LiteRT read their options from it.
    """
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in values.items():
            builder.Key(key.encode())
            if isinstance(value, list):
                with builder.TypedVector():
                    for item in value:
                        _add_flex(builder, item)
            else:
                _add_flex(builder, value)
    return bytes(builder.Finish())


def _add_flex(builder: Any, value: Any) -> None:
    if isinstance(value, bytes):
        # A string that is no UTF-8: Builder.String cannot write it, and readers ask for a string.
        builder._WriteBlob(value, append_zero=True, type_=flexbuffers.Type.STRING)
    else:
        builder.Add(value)
