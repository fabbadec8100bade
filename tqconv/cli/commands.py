"""The commands of `tqconv`, and which of them a list of words means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module

import click

from tqconv import __version__
from tqconv.errors import UsageError, beside, suggestion

COMMANDS = {
    "convert": "tqconv.cli.convert",
    "calibrate": "tqconv.cli.calibrate",
    "inspect": "tqconv.cli.inspect",
    "dot": "tqconv.cli.dot",
    "completion": "tqconv.cli.completion",
}
"""Command -> module that defines `command`; imported when it is used."""

OLD_TOOLS = ("toco", "tflite_convert")
"""Names under which tqconv is `tqconv convert`: of links that users make to it."""
OWN_FLAGS = ("-h", "--help", "-V", "--version")
ANYWHERE = ("-q", "--quiet", "-v", "-vv", "--verbose", "--json", "--debug")
"""Switches of every command that may also stand before it."""
COMPLETE = "_TQCONV_COMPLETE"
"""A variable that the scripts of `completion` set: what they want to know."""
NOTHING_GIVEN = 2


class Commands(click.Group):
    """The commands; each one's module is imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; UsageError with a suggestion when there is none."""
        if cmd_name not in COMMANDS:
            looks_like_file = any(mark in cmd_name for mark in (os.sep, "."))
            what = "neither a command nor a file" if looks_like_file else "not a command"
            near = suggestion(os.path.basename(cmd_name), [*COMMANDS, *beside(cmd_name)])
            raise UsageError(
                f"`{cmd_name}` is {what}{near}",
                hint=f"one of: {', '.join(COMMANDS)}",
            )
        return command_of(cmd_name)


def command_of(name: str) -> click.Command:
    """Return a command by its name."""
    command: click.Command = import_module(COMMANDS[name]).command
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="tqconv")
def cli() -> None:
    """Convert trained models to TensorFlow Lite, without TensorFlow.

    `tqconv MODEL …` and `tqconv --input_file=MODEL …` are `tqconv convert …`.
    """


def intended(words: Sequence[str], called: str = "tqconv") -> list[str]:
    """Return the words with their command in front.

    Old scripts name none: words that begin with a flag or a file mean `convert`, and so does a
    program that is called like an old tool.
    """
    if called in OLD_TOOLS:
        return ["convert", *words]
    leading = next((i for i, word in enumerate(words) if word not in ANYWHERE), len(words))
    if leading < len(words) and words[leading] in COMMANDS:
        return [words[leading], *words[:leading], *words[leading + 1 :]]
    if not words or words[0] in OWN_FLAGS:
        return list(words)
    is_file = not words[0].startswith("-") and os.path.lexists(words[0])
    return ["convert", *words] if is_file or words[0].startswith("-") else list(words)


def run(words: Sequence[str], called: str = "tqconv") -> int:
    """Carry out a command line and return its exit code.

    Errors come out as they are raised. `Group.main` is not used: it ends the process itself where
    a pipe breaks, with an exit code of its own.
    """
    given = intended(words, called)
    if not given:
        click.echo(cli.get_help(click.Context(cli, info_name="tqconv")), err=True)
        return NOTHING_GIVEN
    try:
        with cli.make_context("tqconv", given) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    return code if isinstance(code, int) else 0
