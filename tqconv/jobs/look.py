"""What a model is made of, as facts or as a picture; also where it has no translation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions
from tqconv.errors import TqconvError, UnsupportedError, UsageError
from tqconv.importers.outline import Outline
from tqconv.importers.source import SourceFile, source_of
from tqconv.jobs import footprint
from tqconv.output import write_atomically
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import STAGES

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
    outline = source.outline() if nodes else None
    if outline is not None:
        return outline
    try:
        return describe(source.load(options))
    except (UnsupportedError, UsageError) as error:
        return _nodes_instead(source, options, error)


def draw(
    path: str | Path,
    options: LoadOptions | None = None,
    *,
    optimized: bool = False,
    target: str | Path | None = None,
) -> tuple[str, list[str]]:
    """Return a model as Graphviz text, and notes; one without translation node by node.

    `optimized`: as `convert` would write it; `target`: a file that gets the text, too. Raises what
    `load` raises where nodes do not help.
    """
    options = LoadOptions() if options is None else options
    source = source_of(Path(path), options)
    if target is not None:
        footprint.of_picture(source, Path(target), options).check()
    text, notes = _drawn(source, options, optimized)
    if target is not None:
        write_atomically(Path(target), text.encode())
    return text, notes


def _drawn(source: SourceFile, options: LoadOptions, optimized: bool) -> tuple[str, list[str]]:
    from tqconv.exporters.dot import dot_text

    try:
        model = source.load(options)
    except (UnsupportedError, UsageError) as error:
        if optimized:
            raise
        from tqconv.exporters.dot_nodes import nodes_text

        found = _nodes_instead(source, options, error)
        return nodes_text(found.origin, found.nodes, found.untranslated), [str(error)]
    if optimized:
        run_stages(model, STAGES)
    return dot_text(model), list(model.notes)


def _nodes_instead(source: SourceFile, options: LoadOptions, error: TqconvError) -> Outline:
    """Return the nodes of what cannot be imported; the error where the user named it wrongly."""
    named = options.inputs is not None or options.outputs is not None
    outline = None if named else source.outline(str(error))
    if outline is None:
        raise error
    return outline
