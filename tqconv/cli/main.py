"""Entry point of the `tqconv` command.

What it imports is little: until `signals.install` ran, Ctrl-C ends in a traceback.
"""

from __future__ import annotations

import os
import sys

from tqconv import TYPE_CHECKING
from tqconv.cli import garbage, signals, streams, threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + the signal's number, as shells report it."""
OUT_OF_MEMORY = 70


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the README for the codes.

    Without `arguments` those of the process are taken; its signals are looked after, how many
    threads it has, and how often it looks for garbage.
    """
    if arguments is None:
        signals.install()
        threads.choose()
        garbage.collect_seldom()
    words = list(sys.argv[1:] if arguments is None else arguments)
    program = os.path.basename(sys.argv[0]) if arguments is None else "tqconv"
    streams.replace_closed()
    try:
        return _run(words, os.path.splitext(program)[0])
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more can be said to it, not even at exit.
        streams.silence_where_broken()
        return BROKEN_PIPE


def _run(words: list[str], called: str) -> int:
    if "--debug" not in words:
        _shorten_warnings(words)
    try:
        from tqconv.cli import commands

        code = _complete() if commands.COMPLETE in os.environ else commands.run(words, called)
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
        return report(error, words)


def _complete() -> int:
    """Answer a shell that asks how a command line goes on."""
    from tqconv.cli import commands, completion

    return completion.answer(os.environ[commands.COMPLETE])


def _shorten_warnings(words: Sequence[str]) -> None:
    import warnings

    warnings.showwarning = _say_warning
    if any(word in ("-q", "--quiet") for word in words):
        warnings.simplefilter("ignore")


def _say_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print what a library warns of without the place in its source."""
    from tqconv.cli import terminal

    print(terminal.fitted(f"note: {message}", sys.stderr), file=sys.stderr)


def report(error: Exception, words: Sequence[str] = ()) -> int:
    """Print an error for people, with --json also for programs, and return its exit code."""
    try:
        from tqconv.cli import failures, terminal
    except MemoryError:
        print("error: not enough memory", file=sys.stderr)
        return OUT_OF_MEMORY
    failure = failures.failure_of(error)
    try:
        if failures.wants_json(words):
            stream = sys.stderr if failures.writes_to_stdout(words) else sys.stdout
            print(failure.as_json(), file=stream, flush=True)
        print(terminal.fitted(failure.text, sys.stderr), file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:  # a full disk behind stderr: the code alone must do
        streams.silence(sys.stderr)
    return failure.code
