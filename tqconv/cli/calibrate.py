"""tqconv calibrate: samples become a file of ranges."""

from __future__ import annotations

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import CALIBRATE
from tqconv.cli.options import calibrate_options, source_of, target_of
from tqconv.cli.progress import progress_bar
from tqconv.cli.streams import is_stdout

HELP = """Measure the ranges of a model's activations on samples, for `convert --ranges`.

Samples are an .npz or .npy file, a folder of images, or a folder of raw tensors. The result is JSON
to read, edit and merge."""


def run(given: Given) -> None:
    """Measure and say where the ranges are."""
    source, target = source_of(given), target_of(given, "ranges.json")
    options = calibrate_options(given)
    from tqconv import api

    with progress_bar("calibrating") as progress:
        result = api.calibrate(source, target, options, progress=progress)
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{target}: ranges of {len(result.ranges.records)} tensors", err=is_stdout(target))


command = FlagCommand("calibrate", CALIBRATE, "MODEL", callback=run, help=HELP)
