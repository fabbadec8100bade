"""A click command whose options are a table of flags."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import click

from tqconv.cli.arguments import read
from tqconv.cli.flag import ACCEPTED, FIXED, REFUSED, Flag, spelled
from tqconv.cli.layout import HANG, wrapped
from tqconv.errors import UsageError

HELP = ("-h", "--help", "--helpfull")
WIDTH = 100
MORE = " \\"


class FlagCommand(click.Command):
    """Reads its arguments against a table; its callback receives `given`.

    examples: command lines that the help shows.
    """

    def __init__(
        self,
        name: str,
        table: Sequence[Flag],
        argument: str,
        *,
        examples: Sequence[str] = (),
        **attributes: Any,
    ) -> None:
        settings = {"max_content_width": WIDTH}
        super().__init__(name, add_help_option=False, context_settings=settings, **attributes)
        self.table = table
        self.argument = argument
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Fill `ctx.params`; print the help where it is asked for, the usage without any words."""
        if any(word in HELP for word in args):
            click.echo(ctx.get_help())
            ctx.exit()
        if not args:
            click.echo(f"{ctx.get_usage()}\n\nList all flags with --help.", err=True)
            ctx.exit(UsageError.exit_code)
        given = read(args, self.table)
        given.line = shlex.join(["tqconv", str(self.name), *args])
        ctx.params = {"given": given}
        return []

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the words behind the command's name in the usage line."""
        return [self.argument, "[FLAGS]"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the flags group by group."""
        with formatter.section("Examples"):
            room = formatter.width - formatter.current_indent
            for line in self.examples:
                for part in _continued(line, room):
                    formatter.write(f"{'':{formatter.current_indent}}{part}\n")
        for group in dict.fromkeys(flag.group for flag in self.table):
            flags = [flag for flag in self.table if flag.group == group]
            with formatter.section(group):
                if group in (ACCEPTED, FIXED, REFUSED):
                    formatter.write_text(" ".join(map(_short, flags)))
                else:
                    formatter.write_dl([(_left(f), _right(f)) for f in flags], col_max=34)


def _continued(line: str, room: int) -> list[str]:
    """Return the lines of a command as a shell reads them: what goes on ends in a backslash."""
    *parts, last = wrapped(line, room - len(MORE), room - len(MORE) - HANG)
    lines = [part + MORE for part in parts] + [last]
    return [lines[0], *(" " * HANG + line for line in lines[1:])]


def _short(flag: Flag) -> str:
    return spelled(flag.name) + ("" if flag.only is None else f"={str(flag.only).lower()}")


def _left(flag: Flag) -> str:
    return f"{spelled(flag.name)} {flag.metavar}".strip()


def _right(flag: Flag) -> str:
    others = ", ".join(map(spelled, flag.names[1:]))
    return flag.help + (f" (also {others})" if others else "")
