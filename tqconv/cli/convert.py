"""tqconv convert: a model becomes a .tflite."""

from __future__ import annotations

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import CONVERT
from tqconv.cli.options import convert_options, source_of, target_of

HELP = """Convert a model to TensorFlow Lite.

The format (frozen GraphDef, .tflite) is found by content. Flags of TOCO and tflite_convert are understood;
`-` and `_` are alike."""


def run(given: Given) -> None:
    """Convert and print what came out."""
    source, target = source_of(given), target_of(given)
    options, notes = convert_options(given)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    from tqconv import api

    report = api.convert(source, target, options)
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{target}: {report.size} bytes")


command = FlagCommand("convert", CONVERT, "MODEL", callback=run, help=HELP)
