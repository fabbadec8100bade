"""Texts of variable length in HDF5 files, checked before the library reads them.

They stand in collections ("global heaps"): a header, then objects one after the other. The library
(HDF5 2.0) steps from object to object by their sizes and never ends where one is so large that the
step wraps around to nothing.
"""

from __future__ import annotations

import re

from tqconv.errors import FormatError

COLLECTION = re.compile(rb"GCOL\x01")
"""The signature and version 1 of a collection (HDF5 File Format Specification, III.E)."""
HEADER = 16
"""Bytes before the objects, and before the content of each: with sizes of 8 bytes, as all have."""
ALIGNMENT = 8


def check_collections(content: memoryview | bytes, name: str) -> None:
    """Raise FormatError where the objects of a collection do not lie one behind the other in it."""
    for found in COLLECTION.finditer(content):
        if found.start() % ALIGNMENT == 0 and not _is_whole(content, found.start()):
            raise FormatError(
                f"a list of texts in {name} is damaged", hint="copy or download the file again"
            )


def _is_whole(content: memoryview | bytes, start: int) -> bool:
    size = _number(content, start + 8, 8)
    end = start + size
    if size < HEADER or end > len(content):
        return False
    at = start + HEADER
    while at + HEADER <= end:
        index, size = _number(content, at, 2), _number(content, at + 8, 8)
        # Object 0 is what is free: its size counts the header, too.
        step = size if index == 0 else HEADER + -(-size // ALIGNMENT) * ALIGNMENT
        if step < HEADER:
            return False
        at += step
    return at <= end


def _number(content: memoryview | bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
