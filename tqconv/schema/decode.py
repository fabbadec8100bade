"""Flatbuffer bytes -> nested dicts. Every offset is checked before it is followed."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError, counted
from tqconv.schema.fbs import Schema
from tqconv.schema.layout import OUTSIDE, Layout, Slot, layouts, tflite

_UOFFSET = struct.Struct("<I")
_SOFFSET = struct.Struct("<i")
_VTABLE = struct.Struct("<H")


def read(data: bytes | bytearray | memoryview, schema: Schema | None = None) -> dict[str, Any]:
    """The root table as a dict of its present fields.

    Scalars and enums are numbers, strings `str`, unions `(table, dict)`, vectors of tables lists
    of dicts, scalar vectors read-only views of `data`. Vectors stored behind the flatbuffer are
    given in place, without their offset and size. Fields newer than the schema are left out.

    Raises FormatError, with the byte offset, if the file is damaged or of another kind.
    """
    schema = tflite() if schema is None else schema
    reader = _Reader(memoryview(data).toreadonly().cast("B"), schema)
    found = bytes(reader.data[4:8])
    if found != schema.identifier.encode():
        message = f"no {schema.identifier!r} at byte 4, but {found!r}"
        raise FormatError(message, hint="this is not a .tflite file, or its start is damaged")
    return reader.table(reader.layouts[schema.root], reader.target(0))


class _Reader:
    """One pass over a file.

    `budget` bounds the work on hostile files: tables need at least 4 bytes each, strings their
    length, so a file whose parts do not overlap cannot use up more bytes than it has.
    """

    def __init__(self, data: memoryview, schema: Schema) -> None:
        self.data = data
        self.size = len(data)
        self.array: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        self.layouts = layouts(schema)
        self.budget = self.size
        self.strings: dict[int, str] = {}

    def table(self, layout: Layout, at: int) -> dict[str, Any]:
        self._spend(4, at)
        offsets = self._offsets(at)
        values: dict[str, Any] = {}
        for slot, (ready, offset) in enumerate(zip(layout.by_slot, offsets, strict=False)):
            if ready is None or offset == 0:
                continue
            if ready.members:
                tag = self.number(ready.form, at + offsets[slot - 1]) if offsets[slot - 1] else 0
                if tag:
                    values[ready.field.name] = self._union(ready, tag, at + offset)
            else:
                values[ready.field.name] = self._value(ready, at + offset)
        if layout.name in OUTSIDE:
            self._fetch(values, *OUTSIDE[layout.name], at)
        return values

    def number(self, form: struct.Struct, at: int) -> Any:
        if not 0 <= at <= self.size - form.size:
            raise self._broken(at, "points outside the file")
        return form.unpack_from(self.data, at)[0]

    def target(self, at: int) -> int:
        """The position that the offset stored at `at` refers to."""
        offset: int = self.number(_UOFFSET, at)
        return at + offset

    def _offsets(self, at: int) -> tuple[int, ...]:
        """Where the fields are, counted from the table's start; 0 if absent."""
        vtable = at - self.number(_SOFFSET, at)
        length = self.number(_VTABLE, vtable)
        if length < 4 or length % 2 or vtable + length > self.size:
            raise self._broken(vtable, "is not a table")
        return struct.unpack_from(f"<{length // 2 - 2}H", self.data, vtable + 4)

    def _value(self, slot: Slot, at: int) -> Any:
        field = slot.field
        if field.kind == "scalar":
            return self._scalars(slot.dtype, at) if field.vector else self.number(slot.form, at)
        if not field.vector:
            return self._referred(slot, at)
        start, count = self._vector(at, 4)
        return [self._referred(slot, start + 4 * i) for i in range(count)]

    def _referred(self, slot: Slot, at: int) -> Any:
        if slot.field.kind == "string":
            return self._string(at)
        return self.table(self.layouts[slot.field.type], self.target(at))

    def _union(self, slot: Slot, tag: int, at: int) -> tuple[str, dict[str, Any]]:
        name = slot.members.get(tag)
        if name is None:
            message = f"at byte {at}: {slot.field.type} has no member {tag}"
            raise FormatError(message, hint="the file is damaged or newer than this program")
        return name, self.table(self.layouts[name], self.target(at))

    def _vector(self, at: int, itemsize: int) -> tuple[int, int]:
        """Start and number of elements of the vector that `at` refers to."""
        start = self.target(at)
        count = self.number(_UOFFSET, start)
        if start + 4 + count * itemsize > self.size:
            raise self._broken(
                start, f"is a vector of {counted(count, 'element')}, which do not fit"
            )
        return start + 4, count

    def _scalars(self, dtype: np.dtype[Any], at: int) -> NDArray[Any]:
        start, count = self._vector(at, dtype.itemsize)
        raw = self.array[start : start + count * dtype.itemsize]
        if dtype != np.bool_:
            return raw.view(dtype)  # no copy, also when not aligned
        flags: NDArray[np.bool_] = raw != 0
        flags.flags.writeable = False
        return flags

    def _string(self, at: int) -> str:
        start, count = self._vector(at, 1)
        if start not in self.strings:
            self._spend(count, start)
            try:
                self.strings[start] = str(self.data[start : start + count], "utf-8")
            except UnicodeDecodeError as error:
                raise self._broken(start + error.start, "is not UTF-8 text") from error
        return self.strings[start]

    def _fetch(self, values: dict[str, Any], data: str, offset: str, size: str, at: int) -> None:
        start = values.pop(offset, 0)
        count = values.pop(size, 0)
        if start < 2 or len(values.get(data, ())):
            return
        if start + count > self.size:
            raise self._broken(at, f"refers to {counted(count, 'byte')} at {start}")
        values[data] = self.array[start : start + count]

    def _spend(self, count: int, at: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise self._broken(at, "is shared by too many parents")

    def _broken(self, at: int, problem: str) -> FormatError:
        message = f"byte {at} of {self.size} {problem}"
        return FormatError(message, hint="the file is truncated or damaged")
