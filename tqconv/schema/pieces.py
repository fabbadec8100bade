"""A file as the pieces that it is made of: large arrays stay where they are until it is written."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Piece = bytes | bytearray | Array

BLOCK = 1 << 21
"""Bytes of an array in another order that are put into order at once."""


class Pieces:
    """Bytes, and arrays whose bytes in C order are meant, one behind the other."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        self.size = sum(p.nbytes if isinstance(p, np.ndarray) else len(p) for p in pieces)

    def __len__(self) -> int:
        """Return the size of the file in bytes."""
        return self.size

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yield the file bit by bit, in blocks where an array is not in order in memory."""
        for piece in self.pieces:
            if not isinstance(piece, np.ndarray):
                yield memoryview(piece)
            elif piece.size:
                yield from _blocks(piece)

    def joined(self) -> bytes:
        """Return the file in one piece of memory, copied once."""
        if not self.size:
            return b""
        file = BytesIO()
        file.seek(self.size - 1)
        file.write(b"\0")  # as large as it will be, without room to grow
        with file.getbuffer() as room:
            at = 0
            for piece in self.pieces:
                if isinstance(piece, np.ndarray):
                    _copy(piece, room, at)
                    at += piece.nbytes
                else:
                    room[at : at + len(piece)] = piece
                    at += len(piece)
        return file.getvalue()  # the buffer itself: nothing else holds it


def _blocks(array: Array) -> Iterator[memoryview]:
    """Yield the bytes of an array; what is in order already is not copied."""
    if array.flags.c_contiguous or array.ndim == 0:
        yield array.reshape(-1).view(np.uint8).data
        return
    rows = max(1, BLOCK * len(array) // array.nbytes)
    if rows == 1 and array[0].nbytes > 2 * BLOCK:
        for row in array:
            yield from _blocks(row)
        return
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).reshape(-1).view(np.uint8).data


def _copy(array: Array, room: memoryview, at: int) -> None:
    """Copy without a buffer in between, whatever the strides."""
    if array.size:
        np.frombuffer(room, array.dtype, array.size, at).reshape(array.shape)[...] = array
