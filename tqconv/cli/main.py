"""Entry point of the `tqconv` command."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

import click

from tqconv import __version__
from tqconv.cli import streams
from tqconv.errors import TqconvError, UsageError, first_line, render, suggestion

COMMANDS = {
    "convert": "tqconv.cli.convert",
    "calibrate": "tqconv.cli.calibrate",
    "inspect": "tqconv.cli.inspect",
    "dot": "tqconv.cli.dot",
}
"""Command -> module that defines `command`; imported when it is used."""

INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + the signal's number, as shells report it."""
INTERNAL = 70


class Commands(click.Group):
    """The commands; each one's module is imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; UsageError with a suggestion when there is none."""
        if cmd_name not in COMMANDS:
            raise UsageError(
                f"`{cmd_name}` is not a command{suggestion(cmd_name, COMMANDS)}",
                hint=f"one of: {', '.join(COMMANDS)}",
            )
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tqconv")
def cli() -> None:
    """Convert trained models to TensorFlow Lite, without TensorFlow."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the README for the codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    streams.replace_closed()
    if "--debug" not in words:
        warnings.showwarning = _say_warning
    try:
        code = cli.main(words or ["--help"], prog_name="tqconv", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more can be said to it, not even at exit.
        streams.silence(sys.stdout)
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if "--debug" in words:
            raise
        if isinstance(error, OSError):
            streams.silence_where_full(sys.stdout)
        return report(error)


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
    except OSError:  # a full disk behind stderr: the code alone must do
        streams.silence(sys.stderr)
    return code


def described(error: Exception) -> tuple[int, str]:
    """Return the exit code of an error, and its text for people."""
    if isinstance(error, TqconvError):
        return error.exit_code, render(error)
    if isinstance(error, click.ClickException):
        return error.exit_code, f"error: {error.format_message()}"
    if isinstance(error, OSError):
        where = "the output cannot be written" if error.filename is None else error.filename
        return UsageError.exit_code, f"error: {where}: {error.strerror or error}"
    if isinstance(error, MemoryError):
        return INTERNAL, "error: not enough memory"
    advice = "hint: this is a bug of tqconv; --debug shows where"
    return INTERNAL, f"internal error: {first_line(error)}\n{advice}"
