"""Files that are written: whether they can be, and how they replace old ones in one step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tqconv.errors import UsageError

TEMPORARY_STEM = 200
"""Bytes of a target's name that its temporary file repeats; file systems allow 255 in all."""

_UNFINISHED: set[Path] = set()
"""Temporary files of this moment; `discard_unfinished` is called in the middle of their writing."""


def discard_unfinished() -> None:
    """Remove what is half written: for the handler of a signal, which ends the process."""
    for path in _UNFINISHED:
        path.unlink(missing_ok=True)


def check_target(target: Path, read: Mapping[str, str | Path | None]) -> None:
    """Raise UsageError, before any work, where the result could not be written.

    `read`: what the files are that the command reads ("the model itself"); none is overwritten.
    """
    folder = target.parent
    if str(target) == "-":
        raise UsageError("the result is a file, not stdout", hint="give it a name, or `./-`")
    if not folder.is_dir():
        raise UsageError(f"{target} cannot be written: the folder {folder} does not exist")
    if target.is_dir():
        raise UsageError(f"{target} cannot be written: it is a folder")
    for what, path in read.items():
        if path is not None and _is_same(target, Path(path)):
            raise UsageError(f"{target} is {what}", hint="give the result another name")


def _is_same(target: Path, path: Path) -> bool:
    if _real(target) == _real(path):
        return True
    return target.is_file() and path.is_file() and os.path.samefile(target, path)


def check_folder(folder: str | None, use: str) -> None:
    """Raise UsageError where a folder is named that does not exist."""
    if folder is not None and not Path(folder).is_dir():
        raise UsageError(f"the folder {folder} for {use} does not exist")


def write_atomically(path: Path, content: bytes | memoryview) -> int:
    """Replace `path` by `content` in one step: a failure leaves an existing file untouched."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)  # a device or a pipe cannot be replaced
        else:
            real = _real(path)
            if real.is_symlink():
                real.stat()  # a loop: raises the error that says so
            _replace(real, content)
    except BrokenPipeError:
        raise  # not a fault of the target: whoever reads it has seen enough
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return len(content)


def _real(path: Path) -> Path:
    """Return the file that links lead to: it is replaced, the links stay."""
    return Path(os.path.realpath(path))


def _replace(path: Path, content: bytes | memoryview) -> None:
    temporary = path.with_name(_temporary_name(path.name))
    _UNFINISHED.add(temporary)
    try:
        with temporary.open("xb") as file:
            if path.exists():
                temporary.chmod(path.stat().st_mode)
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _UNFINISHED.discard(temporary)


def _temporary_name(name: str) -> str:
    """Return a hidden name that nobody else has; a character is not cut in its middle."""
    stem = name.encode("utf-8", "ignore")[:TEMPORARY_STEM].decode("utf-8", "ignore")
    return f".{stem}.{os.urandom(6).hex()}"
