"""Entry point of the `tqconv` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from tqconv import __version__
from tqconv.errors import TqconvError, UsageError, render, suggestion

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
    try:
        code = cli.main(words or ["--help"], prog_name="tqconv", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more can be said to it, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if "--debug" in words:
            raise
        return report(error)


def report(error: Exception) -> int:
    """Print an error for people and return its exit code."""
    if isinstance(error, TqconvError):
        print(render(error), file=sys.stderr)
        return error.exit_code
    if isinstance(error, click.ClickException):
        print(f"error: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return UsageError.exit_code
    if isinstance(error, MemoryError):
        print("error: not enough memory", file=sys.stderr)
        return INTERNAL
    print(f"internal error: {first_line(error)}", file=sys.stderr)
    print("hint: this is a bug of tqconv; --debug shows where", file=sys.stderr)
    return INTERNAL


def first_line(error: Exception) -> str:
    """Return the type of an error and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
