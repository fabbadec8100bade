"""What a model is made of, as facts; also where it has no translation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError, UsageError
from tqconv.importers.outline import Outline
from tqconv.importers.source import source_of
from tqconv.jobs.stages import nodes_instead

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
