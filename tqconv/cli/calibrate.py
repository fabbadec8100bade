"""tqconv calibrate: samples become a file of ranges."""

from __future__ import annotations

from pathlib import Path

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import CALIBRATE
from tqconv.cli.messages import also_written, print_notes, print_result
from tqconv.cli.options import calibrate_options
from tqconv.cli.places import model_file, source_of, target_of
from tqconv.cli.progress import progress_line
from tqconv.errors import counted

HELP = """Measure ranges on samples, for `convert --ranges`.

They are those of the model's activations. Samples are an .npz or .npy file, a folder of images, or
a folder of raw tensors. The result is JSON to read, edit and merge."""


def run(given: Given) -> None:
    """Measure and say where the ranges are."""
    source = source_of(given)
    target, notes = target_of(given, source, ".ranges.json")
    options = calibrate_options(given)
    from tqconv import api

    with (
        model_file(source) as path,
        progress_line(quiet=given.get("quiet", False)) as line,
    ):
        progress = None if line is None else line("calibrating", "samples")
        result = api.calibrate(path, target, options, progress=progress)
    print_notes(given, [*notes, *result.notes])
    count = counted(len(result.ranges.records), "tensor")
    more = [] if options.report is None else also_written([Path(options.report)])
    print_result(given, [f"{target}: ranges of {count}", *more], target)


EXAMPLES = (
    "tqconv calibrate graph.pb --data calibration.npz -o ranges.json",
    "tqconv calibrate graph.pb --data calibration.npz -o ranges.json --method percentile",
)
"""Lines of the help, with the files of a sample model."""

command = FlagCommand("calibrate", CALIBRATE, "MODEL", examples=EXAMPLES, callback=run, help=HELP)
