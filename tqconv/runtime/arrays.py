"""Arrays in .npy and .npz files; what a header claims is checked before anything is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tqconv.errors import FormatError
from tqconv.untrusted import Budget, check_member, reading

Array = NDArray[Any]
ZIP_START = b"PK"
HINT = "save numbers with numpy.savez(path, name=array)"


def read_arrays(path: Path) -> Array | dict[str, Array]:
    """Return the array of a .npy file, which is read as it is used, or those of a .npz by name.

    Raises FormatError where the file is damaged, holds objects, or unpacks to far more than it is.
    """
    with reading(f"{path} is not a numpy file"), path.open("rb") as file:
        start = file.read(len(ZIP_START))
        file.seek(0)
        if start == ZIP_START:
            return dict(_members(file, path))
        _check_header(file, path.stat().st_size, str(path))
        mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped


def outlines(path: Path) -> Array | dict[str, Array]:
    """Return arrays of the shapes and types that a file holds, all zeros in no memory.

    Raises FormatError as `read_arrays` does, but for what only the numbers show.
    """
    with reading(f"{path} is not a numpy file"), path.open("rb") as file:
        start = file.read(len(ZIP_START))
        file.seek(0)
        if start == ZIP_START:
            return {name: _outline(*header, take) for name, header, take in _entries(file, path)}
        header = _check_header(file, path.stat().st_size, str(path))
        return _outline(*header, lambda: np.load(path, allow_pickle=False))


def _outline(shape: tuple[int, ...], dtype: np.dtype, take: Callable[[], Array]) -> Array:
    # Objects are not read at all, and are refused as elsewhere.
    return take() if dtype.hasobject else np.broadcast_to(np.zeros((), dtype), shape)


def _members(file: IO[bytes], path: Path) -> Iterator[tuple[str, Array]]:
    for name, _, take in _entries(file, path):
        yield name, take()


def _entries(
    file: IO[bytes], path: Path
) -> Iterator[tuple[str, tuple[tuple[int, ...], np.dtype], Callable[[], Array]]]:
    """Yield name, shape and type of each array, and what reads it while the next is waited for."""
    budget = Budget.of(path.stat().st_size)
    with ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            what = f"array '{name}' of {path}"
            check_member(entry, budget, what)
            with _said(what), archive.open(entry) as member:
                header = _check_header(member, entry.file_size, what)
            yield name, header, partial(_read, archive, entry, what)


def _read(archive: ZipFile, entry: ZipInfo, what: str) -> Array:
    with _said(what), archive.open(entry) as member:
        return npy.read_array(member, allow_pickle=False)


@contextmanager
def _said(what: str) -> Iterator[None]:
    with reading(f"{what} cannot be read", HINT):
        yield


def _check_header(file: IO[bytes], size: int, what: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type; FormatError where `size` bytes do not hold what the header claims."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > size and not dtype.hasobject:  # objects are refused when they are read
        raise FormatError(f"{what} claims {claimed} bytes, and has {size}")
    return shape, dtype
