"""Files that are written: whether they can be, and how they replace old ones in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tqconv.errors import UsageError


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
    if target.resolve() == path.resolve():
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
            _replace(path.resolve(), content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return len(content)


def _replace(path: Path, content: bytes | memoryview) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:200]}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
