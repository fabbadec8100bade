"""Files that are written: whether they can be, and how they replace old ones in one step."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from tqconv.errors import UsageError

STDOUT = Path("-")
"""The result goes to stdout, as bytes and nothing else."""

TEMPORARY_STEM = 200
"""Bytes of a target's name that its temporary file repeats; file systems allow 255 in all."""

_UNFINISHED: set[Path] = set()
"""Temporary files and folders of this moment, for `discard_unfinished`."""


def discard_unfinished() -> None:
    """Remove what is half written: for the handler of a signal, which ends the process."""
    for path in sorted(_UNFINISHED, reverse=True):  # what is in a folder before the folder
        _remove(path)


def check_target(path: Path) -> None:
    """Raise UsageError, before any work, where a result could not be written.

    Folders that are missing are made when there is something to write into them.
    """
    try:
        _check_place(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _check_place(path: Path) -> None:
    if path == STDOUT:
        return
    place = real(path)
    if place.is_symlink():
        place.stat()  # a loop: raises the error that says so
    if place.is_dir():
        raise UsageError(f"{path} cannot be written: it is a folder")
    folder = place.parent
    if path.is_symlink() and not folder.is_dir():
        raise UsageError(
            f"{path} cannot be written: the link leads to {place}, which has no folder"
        )
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise UsageError(f"{path} cannot be written: {folder} is not a folder")


@contextmanager
def temporary_file(name: str, content: IO[bytes]) -> Iterator[Path]:
    """Give a file of that name with what a stream holds; it is gone afterwards, also by signals."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="tqconv."))
    path = folder / name
    _UNFINISHED.update((path, folder))
    try:
        with path.open("xb") as file:
            shutil.copyfileobj(content, file)
        yield path
    finally:
        _remove(path)
        _remove(folder)
        _UNFINISHED.difference_update((path, folder))


def _remove(path: Path) -> None:
    """Remove a file, or a folder that is empty."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def bytes_of(path: Path) -> int:
    """Return the size of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def packed(path: Path) -> int:
    """Return the size of a file as `gzip -9` leaves it, which is how apps are shipped."""
    packer, total = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total += len(packer.compress(block))
    return total + len(packer.flush())


def real(path: Path) -> Path:
    """Return the file that links lead to: it is replaced, the links stay."""
    return Path(os.path.realpath(path))


class InBlocks(Protocol):
    """Content that is made while it is written."""

    def __len__(self) -> int:
        """Return its size in bytes."""

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yield it block by block."""


Content = bytes | memoryview | InBlocks


def write_atomically(path: Path, content: Content) -> int:
    """Replace `path` by `content` in one step: a failure leaves an existing file untouched.

    Folders that are missing are made; `STDOUT`, devices and pipes are written to as they are.
    """
    check_target(path)
    try:
        if path == STDOUT:
            _print(content)
        elif path.exists() and not path.is_file():
            with path.open("wb") as file:  # a device or a pipe cannot be replaced
                _write(file, content)
        else:
            place = real(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            _replace(place, content)
    except BrokenPipeError:
        raise  # not a fault of the target: whoever reads it has seen enough
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return len(content)


def _write(file: IO[bytes], content: Content) -> None:
    for block in [content] if isinstance(content, bytes | memoryview) else content:
        file.write(block)


def _print(content: Content) -> None:
    sys.stdout.flush()
    _write(sys.stdout.buffer, content)
    sys.stdout.buffer.flush()


def _replace(path: Path, content: Content) -> None:
    temporary = path.with_name(_temporary_name(path.name))
    _UNFINISHED.add(temporary)
    try:
        with temporary.open("xb") as file:
            if path.exists():
                temporary.chmod(path.stat().st_mode)
            _write(file, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _UNFINISHED.discard(temporary)


def _temporary_name(name: str) -> str:
    """Return a hidden name that nobody else has; a character is not cut in its middle."""
    stem = name.encode("utf-8", "ignore")[:TEMPORARY_STEM].decode("utf-8", "ignore")
    return f".{stem}.{os.urandom(6).hex()}"
