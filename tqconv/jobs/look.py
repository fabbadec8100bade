"""What a model is made of, as facts or as a picture; also where it has no translation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError, UsageError
from tqconv.jobs.files import load
from tqconv.passes.pipeline import STAGES
from tqconv.passes.pipeline import optimize as run_stages

if TYPE_CHECKING:
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.tf.outline import Outline


def inspect(
    path: str | Path, options: LoadOptions | None = None, *, nodes: bool = False
) -> ModelFacts | Outline:
    """Return what a model is made of, before any optimization.

    `nodes`: for a GraphDef, its nodes as they are; so too where it has no translation. Raises what
    `load` raises, but for GraphDefs only where the file is damaged.
    """
    from tqconv.exporters.report import describe

    options = LoadOptions() if options is None else options
    if nodes and is_graphdef(Path(path), options):
        return outline_of(path, "")
    try:
        return describe(load(path, options))
    except (UnsupportedError, UsageError) as error:
        if not _shows_nodes(Path(path), options):
            raise
        return outline_of(path, str(error))


def draw(
    path: str | Path, options: LoadOptions | None = None, *, optimized: bool = False
) -> tuple[str, list[str]]:
    """Return a model as Graphviz text, and notes; a GraphDef without translation node by node.

    `optimized`: as `convert` would write it. Raises what `load` raises where nodes do not help.
    """
    from tqconv.exporters.dot import dot_text

    options = LoadOptions() if options is None else options
    try:
        model = load(path, options)
    except (UnsupportedError, UsageError) as error:
        if optimized or not _shows_nodes(Path(path), options):
            raise
        from tqconv.exporters.dot_nodes import nodes_text

        found = outline_of(path, str(error))
        return nodes_text(found.origin, found.nodes, found.untranslated), [str(error)]
    if optimized:
        run_stages(model, STAGES)
    return dot_text(model), list(model.notes)


def is_graphdef(path: Path, options: LoadOptions) -> bool:
    """Whether a file holds TensorFlow nodes, which can be shown as they are."""
    from tqconv.importers.detect import kind_of

    return kind_of(path, options.format) in ("graphdef", "meta_graph")


def _shows_nodes(path: Path, options: LoadOptions) -> bool:
    """Whether the nodes are shown where an import fails; not for what the user named wrongly."""
    named = options.inputs is not None or options.outputs is not None
    return not named and is_graphdef(path, options)


def outline_of(path: str | Path, reason: str) -> Outline:
    """Return the nodes of a GraphDef as they are; `reason`: why it has no translation."""
    from tqconv.importers.tf.outline import outline

    return outline(Path(path), reason)
