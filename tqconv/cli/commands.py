"""The commands of `tqconv`, and which of them a list of words means."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

from tqconv import __version__
from tqconv.errors import UsageError, suggestion

COMMANDS = {
    "convert": "tqconv.cli.convert",
    "calibrate": "tqconv.cli.calibrate",
    "inspect": "tqconv.cli.inspect",
    "dot": "tqconv.cli.dot",
}
"""Command -> module that defines `command`; imported when it is used."""


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


def run(words: Sequence[str]) -> int:
    """Carry out a command line and return its exit code.

    Errors come out as they are raised. `Group.main` is not used: it ends the process itself where
    a pipe breaks, with an exit code of its own.
    """
    try:
        with cli.make_context("tqconv", list(words) or ["--help"]) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    return code if isinstance(code, int) else 0
