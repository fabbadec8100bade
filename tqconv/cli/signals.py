"""What happens when the process is told to end: no traceback, and no half-written file."""

from __future__ import annotations

import os
import signal
import sys

from tqconv import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, `kill` or a batch system, and a terminal that closes. Windows has no SIGHUP."""


def install() -> None:
    """Let each of the signals remove what is half written and end the process with 128 + number.

    A signal that the parent ignores (`nohup`, a background job) stays ignored. An exception, as
    Python's own Ctrl-C raises one, may come out of any line: libraries that are being imported turn
    it into another error, and callbacks print it and go on.
    """
    for name in ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # Not imported here: it may be half imported, and nothing is half written then.
    discard = getattr(sys.modules.get("tqconv.output"), "discard_unfinished", None)
    if discard is not None:
        discard()
    if number == signal.SIGINT:
        _say(b"interrupted\n")
    os._exit(128 + number)


def _say(text: bytes) -> None:
    """Write to stderr past Python's buffers, whose lock the interrupted line may hold."""
    try:
        os.write(2, b"\n" + text if os.isatty(2) else text)
    except OSError:  # nobody listens
        return
