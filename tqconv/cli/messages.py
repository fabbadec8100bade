"""What a command says: results on stdout, notes on stderr, less with --quiet."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tqconv.cli.arguments import Given
from tqconv.cli.streams import is_stdout


def print_notes(given: Given, notes: Iterable[str]) -> None:
    """Print sentences for the user where they do not disturb results."""
    for note in () if given.get("quiet") else notes:
        click.echo(f"note: {note}", err=True)


def print_result(given: Given, text: str, target: str) -> None:
    """Print what became of a run; on stderr where stdout is the target itself."""
    if given.get("json") or not given.get("quiet"):
        click.echo(text, err=is_stdout(target))
