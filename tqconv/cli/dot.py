"""tqconv dot: a picture of a model in Graphviz's language."""

from __future__ import annotations

from pathlib import Path

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import DOT
from tqconv.cli.options import load_options, source_of

HELP = """Draw a model in Graphviz's language; render it with `dot -Tsvg`.

Without --output_file the text goes to stdout. Nothing is optimized, unless --optimize asks for
it."""


def run(given: Given) -> None:
    """Write the picture, or print it."""
    source = source_of(given)
    options = load_options(given)
    target = given.get("target")
    from tqconv import api
    from tqconv.exporters.dot import dot_text

    if target is not None:
        api.check_target(Path(source), Path(target))
    model = api.load(source, options)
    if given.get("optimize"):
        api.optimize(model)
    for note in model.notes:
        click.echo(f"note: {note}", err=True)
    if target is None:
        click.echo(dot_text(model), nl=False)
    else:
        click.echo(f"{target}: {api.picture(model, target)} bytes")


command = FlagCommand("dot", DOT, "MODEL", callback=run, help=HELP)
