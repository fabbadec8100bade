"""tqconv convert: a model becomes a .tflite."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import CONVERT
from tqconv.cli.options import convert_options, source_of, target_of
from tqconv.cli.progress import progress_bar
from tqconv.cli.streams import is_stdout

if TYPE_CHECKING:
    from tqconv.ir.graph import Graph

HELP = """Convert a model to TensorFlow Lite.

The format is found by content. Flags of TOCO and tflite_convert are understood; `-` and `_` are
alike. Where inputs and outputs are not named, placeholders and unread results are taken."""

EVERY_PASS = 2
"""The verbosity at which each pass is named as it happens."""


def run(given: Given) -> None:
    """Convert and print what came out."""
    source, target = source_of(given), target_of(given)
    options, notes = convert_options(given)
    print_notes(notes)
    log = PassLog(given.get("verbosity", 0))
    from tqconv import api
    from tqconv.cli.facts import result_text
    from tqconv.exporters.report import describe

    with progress_bar("calibrating") as progress:
        report = api.convert(source, target, options, observe=log.observe, progress=progress)
    log.finish()
    print_notes(report.notes)
    facts = describe(report.model)
    if given.get("json"):
        measured = [asdict(difference) for difference in report.differences]
        document = {"file": target, "source": source, "bytes": report.size, **facts.as_dict()}
        text = json.dumps({**document, "verify": measured} if measured else document, indent=1)
    else:
        text = result_text(facts, target, report.size)
    click.echo(text, err=is_stdout(target))


def print_notes(notes: list[str]) -> None:
    """Print sentences for the user where they do not disturb results."""
    for note in notes:
        click.echo(f"note: {note}", err=True)


class PassLog:
    """What the passes did, for -v (a summary) and -vv (as it happens)."""

    def __init__(self, verbosity: int) -> None:
        self.verbosity = verbosity
        self.rounds: Counter[str] = Counter()

    def observe(self, name: str, graph: Graph) -> None:
        """Record that a pass changed a graph."""
        self.rounds[name] += 1
        if self.verbosity >= EVERY_PASS:
            click.echo(f"pass {name}: {graph.name} has {len(graph.ops)} operators", err=True)

    def finish(self) -> None:
        """Print the summary."""
        if self.verbosity > 0:
            names = (
                f"{name} ×{count}" if count > 1 else name for name, count in self.rounds.items()
            )
            click.echo(f"passes that changed something: {', '.join(names) or 'none'}", err=True)


command = FlagCommand("convert", CONVERT, "MODEL", callback=run, help=HELP)
