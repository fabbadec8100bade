"""What LiteRT's native code writes to the process's stderr, without its chatter."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

STDERR = 2
CHATTER = b"INFO:"
"""How lines begin that tell of delegates and the like (severities of tflite/minimal_logging.cc)."""


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what native code writes to stderr; afterwards all but its chatter is let through.

    Native code writes to descriptor 2, which Python's `sys.stderr` does not cover. For that long
    the descriptor is a file, also for other threads; what they say comes late, but comes.
    """
    held = _hold()
    if held is None:
        yield
        return
    file, original = held
    try:
        yield
    finally:
        os.dup2(original, STDERR)
        os.close(original)
        with file:
            file.seek(0)
            said = [line for line in file if not line.startswith(CHATTER)]
        _write(b"".join(said))


def _hold() -> tuple[IO[bytes], int] | None:
    """Put a file in the place of descriptor 2; None where that is not possible or not needed."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        original = os.dup(STDERR)
    except (OSError, ValueError):  # closed, or no descriptor is left: then nothing is filtered
        return None
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  (open until the descriptor is back)
        os.dup2(file.fileno(), STDERR)
    except OSError:
        os.close(original)
        return None
    return file, original


def _write(said: bytes) -> None:
    while said:
        try:
            said = said[os.write(STDERR, said) :]
        except OSError:  # a full disk or a reader that went away: nobody misses these lines
            return
