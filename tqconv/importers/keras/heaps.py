"""Texts of variable length in HDF5 files, checked before the library reads them.

They stand in collections ("global heaps"): a header, then objects one after the other. A text is
its length, the place of a collection, and the number of an object there. The library (HDF5 2.0)
steps from object to object by their sizes and never ends where one is so large that the step wraps
around to nothing; and it takes memory for the length that a text claims.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from tqconv.errors import FormatError

COLLECTION = re.compile(rb"GCOL\x01")
"""The signature and version 1 of a collection (HDF5 File Format Specification, III.E)."""
HEADER = 16
"""Bytes before the objects, and before the content of each: with sizes of 8 bytes, as all have."""
ALIGNMENT = 8


TEXT = re.compile(rb"\x19.{3}\x10\0\0\0", re.DOTALL)
"""A type of variable length, 16 bytes each (IV.A.2.d): it stands before its values."""
ATTRIBUTE = 1 << 16
"""Bytes of an attribute at most, with its type."""


def check_texts(content: memoryview | bytes, name: str) -> None:
    """Raise FormatError where texts do not lie one behind the other, or are not as long as said."""
    for found in TEXT.finditer(content):
        if any(length > len(content) for length in _lengths(content, found.start())):
            raise FormatError(f"a text in {name} is longer than the file")
    for found in COLLECTION.finditer(content):
        if found.start() % ALIGNMENT:
            continue
        objects = _objects(content, found.start())
        if objects is None or not _are_as_long(content, found.start(), objects):
            raise FormatError(
                f"a list of texts in {name} is damaged", hint="copy or download the file again"
            )


def _lengths(content: memoryview | bytes, at: int) -> list[int]:
    """Return the lengths of the texts whose type stands there; none where no values follow.

    The type is followed by a dataspace (IV.A.2.b): `1 rank flags 0 0` or `2 rank flags type`, then
    the sizes. Types of characters take 16 bytes, those of bytes 20, or 24 with what fills them up.
    """
    for place in (at + 16, at + 20, at + 24):
        version, rank, flags = (_number(content, place + i, 1) for i in range(3))
        is_space = version == 2 or (version == 1 and not _number(content, place + 4, 4))
        if is_space and rank <= 2 and flags <= 1:
            sizes = place + (8 if version == 1 else 4)
            count = math.prod(_number(content, sizes + 8 * i, 8) for i in range(rank))
            first = sizes + 8 * rank * (1 + flags)
            last = min(first + 16 * count, at + ATTRIBUTE)
            return [_number(content, each, 4) for each in range(first, last, 16)]
    return []


def _objects(content: memoryview | bytes, start: int) -> dict[int, int] | None:
    """Return the sizes of a collection's objects by their numbers; None where they do not fit."""
    end = start + _number(content, start + 8, 8)
    if end < start + HEADER or end > len(content):
        return None
    found: dict[int, int] = {}
    at = start + HEADER
    while at + HEADER <= end:
        index, size = _number(content, at, 2), _number(content, at + 8, 8)
        # Object 0 is what is free: its size counts the header, too.
        step = size if index == 0 else HEADER + -(-size // ALIGNMENT) * ALIGNMENT
        if step < HEADER:
            return None
        found[index] = size
        at += step
    return found if at <= end else None


def _are_as_long(content: memoryview | bytes, start: int, objects: Mapping[int, int]) -> bool:
    """Whether the texts in a collection have the lengths of its objects."""
    place = re.compile(re.escape(start.to_bytes(8, "little")))
    for found in place.finditer(content):
        at = found.start()
        length, index = _number(content, at - 4, 4), _number(content, at + 8, 4)
        is_other = length and index and objects.get(index, length) != length
        if is_other and TEXT.search(content, max(0, at - ATTRIBUTE), at):
            return False
    return True


def _number(content: memoryview | bytes, at: int, size: int) -> int:
    return int.from_bytes(content[max(0, at) : at + size], "little")
