"""tqconv dot: a picture of a model in Graphviz's language."""

from __future__ import annotations

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import DOT
from tqconv.cli.messages import print_notes, print_result
from tqconv.cli.options import load_options
from tqconv.cli.places import model_file, source_of, target_of
from tqconv.errors import counted

HELP = """Draw a model in Graphviz's language; render it with `dot -Tsvg`.

Without --output_file the text goes to stdout. Nothing is optimized, unless --optimize asks for
it. A GraphDef that has no translation is drawn node by node."""


def run(given: Given) -> None:
    """Write the picture, or print it."""
    source = source_of(given)
    options = load_options(given)
    target = None if given.get("target", "-") == "-" else target_of(given, source, ".dot")[0]
    from tqconv import api

    with model_file(source) as path:
        text, notes = api.draw(path, options, optimized=given.get("optimize", False), target=target)
    print_notes(given, notes)
    if target is None:
        click.echo(text, nl=False)
    else:
        print_result(given, f"{target}: {counted(len(text.encode()), 'byte')}", target)


command = FlagCommand("dot", DOT, "MODEL", callback=run, help=HELP)
