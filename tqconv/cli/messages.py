"""What a command says: results on stdout, notes on stderr, less with --quiet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import click

from tqconv.cli.arguments import Given
from tqconv.cli.layout import Block, page
from tqconv.cli.streams import is_stdout
from tqconv.cli.terminal import fitted, room

FEW = 3
"""Files of one folder that are told one by one."""


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


def also_written(files: Sequence[Path]) -> Iterator[str]:
    """Yield a line per file beside the result; one for all files of a folder that has many."""
    together = Counter(path.parent for path in files)
    for folder, group in groupby(files, key=lambda path: path.parent):
        first, *others = group
        if together[folder] <= FEW:
            yield from (f"also written: {path}" for path in (first, *others))
        else:
            count = f"{together[folder]} files"
            yield f"also written: {count} in {folder}, {first.name} to {others[-1].name}"


def print_result(given: Given, result: str | Iterable[Block], target: str) -> None:
    """Print what became of a run, JSON or a page; on stderr where stdout is the target itself."""
    if not given.get("json") and given.get("quiet"):
        return
    aside = is_stdout(target)
    if not isinstance(result, str):
        result = page(result, room(sys.stderr if aside else sys.stdout))
    click.echo(result, err=aside)
