"""One flatbuffer under construction: children first, from the end of the file to its start.

The layout in the file is that of the builders of the flatbuffers project: a table's fields with the
largest first, equal vtables shared. What they do for each field in turn is done here for a table at
once: which bytes a table of the same fields takes depends only on where it starts in 8 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.schema.layout import OUTSIDE, Layout
from tqconv.schema.pieces import Piece, Pieces

KEPT_APART = 1 << 12
"""Bytes from which an array is a piece of its own; smaller ones are copied between the others."""
SHARED = 1 << 16
"""Bytes up to which equal vectors are written once, as equal vtables are: zero points, mostly."""
WIDEST = 8
"""Bytes of the largest number in a table."""
ALIGNMENT = 16
"""Of data behind the flatbuffer; the same as Buffer.data in the schema."""
_OFFSET = struct.Struct("<Q")

Stored = list[tuple[int, str, Any]]
"""A table's fields: slot, format character ("" of a child), and the number or the child's place."""


class Builder:
    """A file that grows towards its start; places are counted from its end."""

    def __init__(self) -> None:
        self.size = 0
        self.align = 1
        self.pieces: list[Piece] = []  # the last ones of the file first
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._vtables: dict[bytes, int] = {}
        self._vectors: dict[tuple[int, int, bytes], int] = {}
        self._behind: list[tuple[bytearray, int, NDArray[Any]]] = []

    def _put(self, piece: Piece, size: int) -> None:
        self.pieces.append(piece)
        self.size += size

    def pad(self, align: int, ahead: int) -> None:
        """Put zeros, so that what comes `ahead` bytes later lies at a multiple of `align`."""
        if align > self.align:
            self.align = align
        missing = -(self.size + ahead) % align
        if missing:
            self._put(bytes(missing), missing)

    def string(self, text: str) -> int:
        """Put a string and return its place."""
        content = text.encode()
        length = len(content)
        missing = -(self.size + length + 1) % 4
        piece = struct.pack("<I", length) + content + bytes(1 + missing)
        if self.align < 4:
            self.align = 4
        self.pieces.append(piece)
        self.size += len(piece)
        return self.size

    def numbers(self, data: bytes | NDArray[Any], size: int, align: int) -> int:
        """Put a vector of numbers of `size` bytes, given as its bytes or as an array.

        Equal ones are put once, except data with an alignment of its own, which a reader of the
        file may want to change in place.
        """
        length = data.nbytes if isinstance(data, np.ndarray) else len(data)
        if align >= ALIGNMENT or length > SHARED:
            return self._numbers(data, length, size, align)
        content = data.tobytes() if isinstance(data, np.ndarray) else data
        key = (size, align, content)
        place = self._vectors.get(key)
        if place is None:
            place = self._vectors[key] = self._numbers(content, length, size, align)
        return place

    def _numbers(self, data: bytes | NDArray[Any], length: int, size: int, align: int) -> int:
        align = max(align, size, 4)
        if align > self.align:
            self.align = align
        missing = -(self.size + length) % align
        count = struct.pack("<I", length // size)
        if isinstance(data, np.ndarray):
            if length >= KEPT_APART:
                self.pieces += (bytes(missing), data, count)
                self.size += missing + length + 4
                return self.size
            data = data.tobytes()
        self.pieces.append(count + data + bytes(missing))
        self.size += missing + length + 4
        return self.size

    def children(self, places: Sequence[int]) -> int:
        """Put a vector of the children at these places."""
        self.pad(4, 0)
        start, count = self.size, len(places)
        if self.align < 4:
            self.align = 4
        distances = [start + 4 * (count - i) - place for i, place in enumerate(places)]
        self._put(struct.pack(f"<{count + 1}I", count, *distances), 4 * count + 4)
        return self.size

    def table(self, layout: Layout, stored: Stored, behind: NDArray[Any] | None = None) -> int:
        """Put a table and return its place; struct.error where a number does not fit.

        `stored`: what it holds, in the order of the slots; `behind`: data that goes behind the
        flatbuffer, and whose offset there the field for it takes (see `layout.OUTSIDE`).
        """
        key = (layout.name, self.size % WIDEST, *[slot for slot, _, _ in stored])
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = _Shape([(s, code) for s, code, _ in stored], self.size)
        if shape.align > self.align:
            self.align = shape.align
        place = self.size + shape.size
        known = self._vtables.get(shape.vtable)
        vtable = place + len(shape.vtable) if known is None else known
        values = [stored[i][2] for i in shape.order]
        for position, distance in shape.children:
            values[position] = place - distance - values[position]
        piece: bytes | bytearray = shape.form.pack(vtable - place, *values)
        if behind is not None:
            slot = layout.by_name[OUTSIDE[layout.name][1]].field.slot
            piece = bytearray(piece)
            self._behind.append((piece, shape.entries[slot], behind))
        self._put(piece, shape.size)
        if known is None:
            self._put(shape.vtable, len(shape.vtable))
            self._vtables[shape.vtable] = vtable
        return place

    def finish(self, root: int, identifier: bytes) -> Pieces:
        """Put the start of the file and return all of it."""
        self.pad(max(self.align, 4), 4 + len(identifier))
        self._put(identifier, len(identifier))
        self._put(struct.pack("<I", self.size + 4 - root), 4)
        outside = self._outside()
        merged: list[Piece] = []
        small: list[bytes | bytearray] = []
        for piece in [*reversed(self.pieces), *outside]:
            if isinstance(piece, np.ndarray):
                merged += (b"".join(small), piece)
                small.clear()
            else:
                small.append(piece)
        return Pieces([*merged, b"".join(small)])

    def _outside(self) -> list[Piece]:
        """Return what goes behind the flatbuffer, and write into the tables where it is."""
        pieces: list[Piece] = []
        end = self.size
        for table, position, array in self._behind:
            start = -(-end // ALIGNMENT) * ALIGNMENT
            _OFFSET.pack_into(table, position, start)
            pieces += (bytes(start - end), array)
            end = start + array.nbytes
        return pieces


class _Shape:
    """Where a table with these fields keeps them, when it starts at a place of this remainder.

    `form` packs the distance to the vtable and the fields in `order`; `children`: positions in that
    order that hold a child, with their distance from the table's start; `entries`: where each slot
    lies in the table, 0 for those that it lacks.
    """

    def __init__(self, fields: Sequence[tuple[int, str]], end: int) -> None:
        codes = [code or "I" for _, code in fields]
        sizes = [struct.calcsize(f"<{code}") for code in codes]
        # The largest first needs the least padding; flatc does the same.
        built = sorted(range(len(fields)), key=lambda i: -sizes[i])
        letters: list[str] = []
        places: dict[int, int] = {}
        at = end
        for i in built:
            missing = -at % sizes[i]
            at += missing + sizes[i]
            places[i] = at
            letters.append(f"{codes[i]}{missing}x" if missing else codes[i])
        missing = -at % 4
        at += missing + 4
        self.size = at - end
        self.align = max([4, *sizes])
        self.order = built[::-1]
        self.children = [(k, at - places[i]) for k, i in enumerate(self.order) if not fields[i][1]]
        self.form = struct.Struct(f"<i{missing}x" + "".join(reversed(letters)))
        self.entries = [0] * max([0, *(slot + 1 for slot, _ in fields)])
        for i, (slot, _) in enumerate(fields):
            self.entries[slot] = at - places[i]
        count = len(self.entries) + 2
        self.vtable = struct.pack(f"<{count}H", 2 * count, self.size, *self.entries)
