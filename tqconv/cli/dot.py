"""tqconv dot: a picture of a model, for Graphviz or Model Explorer."""

from __future__ import annotations

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import DOT
from tqconv.cli.messages import print_notes, print_result
from tqconv.cli.options import load_options, picture_options
from tqconv.cli.places import model_file, source_of, target_of
from tqconv.errors import counted

HELP = """Draw a model: operators, values, scopes, numbers.

Without --output_file the text goes to stdout; a file .svg, .png or .pdf is drawn by Graphviz, where
that is installed. Large models are folded by their scopes. Nothing is optimized, unless --stage
asks for it. A model that has no translation is drawn node by node."""


def run(given: Given) -> None:
    """Write the picture, or print it."""
    source = source_of(given)
    options, picture = load_options(given), picture_options(given)
    ending = ".json" if picture.format == "model_explorer" else ".dot"
    target = None if given.get("target", "-") == "-" else target_of(given, source, ending)[0]
    from tqconv import api

    with model_file(source) as path:
        drawn = api.draw(path, options, picture, target=target)
    print_notes(given, drawn.notes)
    if target is None:
        click.echo(drawn.text, nl=False)
    else:
        print_result(given, [f"{target}: {counted(drawn.written, 'byte')}"], target)


EXAMPLES = (
    "tqconv dot graph.pb -o graph.dot",
    "tqconv dot graph.pb --optimize -o graph.dot",
)
"""Lines of the help, with the files of a sample model."""

command = FlagCommand("dot", DOT, "MODEL", examples=EXAMPLES, callback=run, help=HELP)
