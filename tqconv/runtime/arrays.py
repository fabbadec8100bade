"""Arrays in .npy and .npz files; what a header claims is checked before anything is read."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tqconv.errors import FormatError
from tqconv.untrusted import Budget, Mapped, check_member, place_of, reading

Array = NDArray[Any]
Header = tuple[tuple[int, ...], bool, np.dtype]
"""Shape, whether the first index runs fastest, and type."""
ZIP_START = b"PK"
HINT = "save numbers with numpy.savez(path, name=array)"


def read_arrays(path: Path, content: Mapped) -> Array | dict[str, Array]:
    """Return the array of a .npy file, or those of a .npz by name; `content`: of that file.

    They are views of it, but those that are packed or hold objects. Raises FormatError where the
    file is damaged, holds objects, or unpacks to far more than it is.
    """
    with reading(f"{path} is not a numpy file"), path.open("rb") as file:
        start = file.read(len(ZIP_START))
        file.seek(0)
        if start == ZIP_START:
            return {name: take(content) for name, _, take in _entries(file, path)}
        header = _check_header(file, path.stat().st_size, str(path))
        found = _view(content, file.tell(), header)
        return np.load(path, allow_pickle=False) if found is None else found


def _view(content: Mapped, start: int, header: Header) -> Array | None:
    """Return an array that begins at a place of a file, as a view; None of objects."""
    shape, turned, dtype = header
    if dtype.hasobject:
        return None
    return np.ndarray(shape, dtype, content.content, start, order="F" if turned else "C")


def outlines(path: Path) -> Array | dict[str, Array]:
    """Return arrays of the shapes and types that a file holds, all zeros in no memory.

    Raises FormatError as `read_arrays` does, but for what only the numbers show.
    """
    with reading(f"{path} is not a numpy file"), path.open("rb") as file:
        start = file.read(len(ZIP_START))
        file.seek(0)
        if start == ZIP_START:
            return {name: _outline(header, take) for name, header, take in _entries(file, path)}
        header = _check_header(file, path.stat().st_size, str(path))
        return _outline(header, lambda _: np.load(path, allow_pickle=False))


Take = Callable[["Mapped | None"], Array]
"""Returns an array of the file that is given; None: which is not mapped."""


def _outline(header: Header, take: Take) -> Array:
    # Objects are not read at all, and are refused as elsewhere.
    shape, _, dtype = header
    return take(None) if dtype.hasobject else np.broadcast_to(np.zeros((), dtype), shape)


def _entries(file: IO[bytes], path: Path) -> Iterator[tuple[str, Header, Take]]:
    """Yield name and header of each array, and what reads it while the next is waited for."""
    budget = Budget.of(path.stat().st_size)
    with ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            what = f"array '{name}' of {path}"
            check_member(entry, budget, what)
            with _said(what), archive.open(entry) as member:
                header = _check_header(member, entry.file_size, what)
            yield name, header, partial(_read, archive, entry, what)


def _read(archive: ZipFile, entry: ZipInfo, what: str, content: Mapped | None) -> Array:
    with _said(what), archive.open(entry) as member:
        if content is None or entry.compress_type != ZIP_STORED:
            return npy.read_array(member, allow_pickle=False)
        header = _check_header(member, entry.file_size, what)
        place = place_of(entry, content.content)
        found = _view(content, place + member.tell(), header)
        if found is not None:
            _verify(entry, content, place)
    return _read(archive, entry, what, None) if found is None else found


CHUNK = 1 << 18
"""Bytes that are looked at at once and stay in the processor's cache."""


def _verify(entry: ZipInfo, content: Mapped, place: int) -> None:
    """Raise BadZipFile where a member that is stored as it is does not have its checksum."""
    found = 0
    for start in range(place, place + entry.file_size, CHUNK):
        stop = min(start + CHUNK, place + entry.file_size)
        content.look_at(stop - start)
        found = zlib.crc32(content.content[start:stop], found)
    if found != entry.CRC:
        raise BadZipFile(f"Bad CRC-32 for file {entry.filename!r}")


@contextmanager
def _said(what: str) -> Iterator[None]:
    with reading(f"{what} cannot be read", HINT):
        yield


def _check_header(file: IO[bytes], size: int, what: str) -> Header:
    """Return what a header says; FormatError where `size` bytes do not hold what it claims."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, turned, dtype = read(file)
    claimed, left = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0:
        raise FormatError(f"{what} claims the shape {shape}")
    if claimed > left and not dtype.hasobject:  # objects are refused when they are read
        raise FormatError(f"{what} claims {claimed} bytes, and has {left}")
    return shape, turned, dtype
