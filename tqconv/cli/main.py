"""Entry point of the `tqconv` command.

What it imports is little: until `signals.install` ran, Ctrl-C ends in a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from tqconv.cli import signals, streams

INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + the signal's number, as shells report it."""
INTERNAL = 70


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the README for the codes.

    Without `arguments` those of the process are taken, and its signals are looked after.
    """
    if arguments is None:
        signals.install()
    words = list(sys.argv[1:] if arguments is None else arguments)
    streams.replace_closed()
    try:
        return _run(words)
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more can be said to it, not even at exit.
        streams.silence_where_broken()
        return BROKEN_PIPE


def _run(words: list[str]) -> int:
    if "--debug" not in words:
        _shorten_warnings()
    try:
        from tqconv.cli import commands

        code = commands.run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if "--debug" in words:
            raise
        if isinstance(error, OSError):
            streams.silence_where_full(sys.stdout)
        return report(error)


def _shorten_warnings() -> None:
    import warnings

    warnings.showwarning = _say_warning


def _say_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print what a library warns of without the place in its source."""
    print(f"note: {message}", file=sys.stderr)


def report(error: Exception) -> int:
    """Print an error for people and return its exit code."""
    code, text = described(error)
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:  # a full disk behind stderr: the code alone must do
        streams.silence(sys.stderr)
    return code


def described(error: Exception) -> tuple[int, str]:
    """Return the exit code of an error, and its text for people."""
    from tqconv.errors import TqconvError, UsageError, first_line, render

    if isinstance(error, TqconvError):
        return error.exit_code, render(error)
    if isinstance(error, OSError):
        where = "the output cannot be written" if error.filename is None else error.filename
        return UsageError.exit_code, f"error: {where}: {error.strerror or error}"
    if isinstance(error, MemoryError):
        return INTERNAL, "error: not enough memory"
    advice = "hint: this is a bug of tqconv; --debug shows where"
    return INTERNAL, f"internal error: {first_line(error)}\n{advice}"
