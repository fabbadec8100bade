"""stdout and stderr where they are closed, full, or the file that is written."""

from __future__ import annotations

import os
import sys

from tqconv import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def replace_closed() -> None:
    """Let a process without stdout or stderr (`>&-`, a daemon) write to nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def silence(stream: TextIO) -> None:
    """Drop what is still to be written, or Python would try it at exit and end with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def silence_where_broken() -> None:
    """Silence the streams whose reader went away."""
    for stream in (sys.stdout, sys.stderr):
        silence_where_full(stream)


def silence_where_full(stream: TextIO) -> None:
    """Drop what cannot be written."""
    try:
        stream.flush()
    except OSError:
        silence(stream)


def is_stdout(target: str) -> bool:
    """Whether a path is where results are printed (`-`, `/dev/stdout`): reports go to stderr."""
    if target == "-":
        return True
    try:
        return os.path.samestat(os.stat(target), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # no such file yet, or a stream without a descriptor
        return False
