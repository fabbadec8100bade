"""Entry point of the `tqconv` command."""

from __future__ import annotations

import sys

import click

from tqconv.errors import TqconvError, render


@click.group()
def cli() -> None:
    """Convert trained models to TensorFlow Lite, without TensorFlow."""


@cli.command()
@click.option("--graph_def_file", "source")
@click.option("--input_arrays")
@click.option("--output_arrays")
@click.option("--input_shapes")
@click.option("--output_file", "target", required=True)
def convert(
    source: str, input_arrays: str, output_arrays: str, input_shapes: str, target: str
) -> None:
    """Convert a model to .tflite."""
    from tqconv import api, config

    shapes, named = config.parse_shapes(input_shapes) if input_shapes else (None, {})
    options = config.LoadOptions(
        inputs=config.parse_names(input_arrays) if input_arrays else None,
        outputs=config.parse_names(output_arrays) if output_arrays else None,
        shapes=shapes,
        named_shapes=named,
    )
    report = api.convert(source, target, api.ConvertOptions(options))
    for note in report.notes:
        click.echo(note, err=True)


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        cli(standalone_mode=False)
    except TqconvError as error:
        print(render(error), file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    return 0
