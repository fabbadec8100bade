"""Ranges of activations measured on samples, as a file."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import CalibrateOptions, Progress
from tqconv.errors import UsageError, counted
from tqconv.importers.source import SourceFile, source_of
from tqconv.ir.graph import Model
from tqconv.jobs import footprint
from tqconv.jobs.images import turn_images
from tqconv.jobs.record import Record
from tqconv.jobs.requests import check_scaling
from tqconv.output import write_atomically
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import INTEGER_STAGES
from tqconv.records import dataclass

if TYPE_CHECKING:
    from tqconv.quant.evidence.ranges import Ranges


@dataclass
class Calibration:
    """What `calibrate` measured."""

    ranges: Ranges
    notes: list[str] = field(default_factory=list)


def calibrate(
    source: str | Path,
    target: str | Path,
    options: CalibrateOptions,
    *,
    progress: Progress | None = None,
) -> Calibration:
    """Measure the ranges of a model's activations on samples and write them as JSON.

    `progress` is called with the number of samples done, and of all where that is known. Raises
    UsageError where there are no samples.
    """
    from tqconv.jobs import quantize
    from tqconv.quant import features
    from tqconv.quant.evidence import inputs
    from tqconv.quant.evidence import ranges as evidence

    asked = options.quantize
    target = Path(target)
    file = source_of(Path(source), options.load)
    footprint.of_calibration(file, target, options).check()
    if asked.calibration_data is None and asked.random is None:
        raise UsageError("there are no samples", hint="add --data PATH (or --random N for trials)")
    check_scaling(asked)
    before = None if options.update is None else evidence.load(Path(options.update))
    model = file.load(options.load)
    turn_images(model, options.load)
    run_stages(model, INTEGER_STAGES)
    inputs.tell(model, asked)
    tables = features.tables(model.main) if asked.calibration_data is not None else []
    samples = features.watched(quantize.samples_of(model, asked), tables)
    total = None if progress is None else quantize.sample_count(model, asked)
    found = quantize.calibrate(model, samples, method=asked.method, progress=progress, total=total)
    count = max((record.samples for record in found.records.values()), default=0)
    model.notes.append(f"measured on {counted(count, 'sample')}")
    if asked.improve:
        model.notes.append(
            "a conversion with --ranges keeps these ranges as they are; with --calibration_data "
            "the same samples also fit rounding and biases, which costs the time of a calibration"
        )
    model.notes += [features.unsaid(table) for table in features.unlike(tables)]
    if before is not None:
        found = before.merged(found)
    made = b"" if options.report is None else _reported(file, target, model, options, found)
    write_atomically(target, evidence.dump(found).encode())
    if options.report is not None:
        write_atomically(Path(options.report), made)
    return Calibration(found, list(model.notes))


def _reported(
    file: SourceFile, target: Path, model: Model, options: CalibrateOptions, found: Ranges
) -> bytes:
    """Return the report of a calibration: the float model, and what was measured on it."""
    from tqconv.jobs.page import identity_of, page_of

    return page_of(
        model,
        Record(ranges=found),
        title=file.path.name,
        done=f"ranges of {counted(len(found.records), 'tensor')} for {target.name}",
        identity=identity_of(file.path),
        command=options.command,
    )
