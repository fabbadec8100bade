"""tqconv dot: a picture of a model in Graphviz's language."""

from __future__ import annotations

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import DOT
from tqconv.cli.options import load_options, source_of
from tqconv.cli.streams import is_stdout

HELP = """Draw a model in Graphviz's language; render it with `dot -Tsvg`.

Without --output_file the text goes to stdout. Nothing is optimized, unless --optimize asks for
it. A GraphDef that has no translation is drawn node by node."""


def run(given: Given) -> None:
    """Write the picture, or print it."""
    source = source_of(given)
    options = load_options(given)
    target = None if given.get("target") == "-" else given.get("target")
    from tqconv import api

    text, notes = api.draw(source, options, optimized=given.get("optimize", False), target=target)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if target is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{target}: {len(text.encode())} bytes", err=is_stdout(target))


command = FlagCommand("dot", DOT, "MODEL", callback=run, help=HELP)
