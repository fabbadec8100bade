"""What a command says: results on stdout, notes on stderr, less with --quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from tqconv.cli.arguments import Given
from tqconv.cli.layout import Block, page
from tqconv.cli.streams import is_stdout
from tqconv.cli.terminal import fitted, room


def print_page(blocks: Iterable[Block]) -> None:
    """Print what was asked for, as wide as the terminal; whole for a program."""
    click.echo(page(blocks, room(sys.stdout)))


def print_notes(given: Given, notes: Iterable[str]) -> None:
    """Print sentences for the user where they do not disturb results."""
    for note in () if given.get("quiet") else notes:
        say(f"note: {note}")


def say(text: str) -> None:
    """Print a sentence on stderr."""
    click.echo(fitted(text, sys.stderr), err=True)


def print_result(given: Given, result: str | Iterable[Block], target: str) -> None:
    """Print what became of a run, JSON or a page; on stderr where stdout is the target itself."""
    if not given.get("json") and given.get("quiet"):
        return
    aside = is_stdout(target)
    if not isinstance(result, str):
        result = page(result, room(sys.stderr if aside else sys.stdout))
    click.echo(result, err=aside)
