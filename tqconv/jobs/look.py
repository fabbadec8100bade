"""What a model is made of, as facts; also where it has no translation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError, UsageError
from tqconv.importers.outline import Outline
from tqconv.importers.source import source_of
from tqconv.jobs import footprint
from tqconv.jobs.record import Record
from tqconv.jobs.stages import nodes_instead
from tqconv.output import write_atomically

if TYPE_CHECKING:
    from tqconv.exporters.report import ModelFacts


def inspect(
    path: str | Path, options: LoadOptions | None = None, *, nodes: bool = False
) -> ModelFacts | Outline:
    """Return what a model is made of, before any optimization.

    `nodes`: its nodes as the file states them, where the format shows them; so too where it has no
    translation. Raises what `load` raises where nodes do not help.
    """
    from tqconv.exporters.report import describe

    options = LoadOptions() if options is None else options
    source = source_of(Path(path), options)
    outline = source.outline(options) if nodes else None
    if outline is not None:
        return outline
    try:
        return describe(source.load(options))
    except (UnsupportedError, UsageError) as error:
        return nodes_instead(source, options, error)


def write_report(
    path: str | Path, report: str | Path, options: LoadOptions | None = None, *, command: str = ""
) -> int:
    """Write the report of `inspect`, and return its size; raises what `load` raises."""
    options = LoadOptions() if options is None else options
    source = source_of(Path(path), options)
    footprint.of_report(source, Path(report), options).check()
    model = source.load(options)
    from tqconv.importers.detect import NAMES
    from tqconv.jobs.page import identity_of, page_of

    made = page_of(
        model,
        Record(),
        title=source.path.name,
        done=NAMES[source.kind],
        identity=identity_of(source.path),
        command=command,
    )
    return write_atomically(Path(report), made)
