"""A model as it is at a moment of its conversion, from the nodes of its file to what is written."""

from __future__ import annotations

from dataclasses import replace

from tqconv.config import LoadOptions, TocoOptions
from tqconv.errors import TqconvError, UnsupportedError, UsageError, suggestion
from tqconv.importers.outline import Outline
from tqconv.importers.source import SourceFile
from tqconv.ir.graph import Model
from tqconv.jobs.images import turn_images
from tqconv.passes.driver import Stage, run_stages
from tqconv.passes.pipeline import LAST, stages_before

SOURCE, IMPORT, FINAL = "source", "import", "final"
"""The nodes of the file; what they are in TensorFlow Lite's operators; what `convert` writes."""


def stages_of(source: SourceFile) -> tuple[Stage, ...]:
    """Return the stages of a conversion to a float model."""
    first = source.format.channels_first
    return (*stages_before(TocoOptions(), quantizing=False, channels_first=first), LAST)


def check_stage(source: SourceFile, name: str) -> None:
    """Raise UsageError for a word that is no moment of a conversion."""
    known = (SOURCE, IMPORT, *(stage.name for stage in stages_of(source)), FINAL)
    if name not in known:
        raise UsageError(
            f"`{name}` is no stage{suggestion(name, known)}", hint=f"one of: {', '.join(known)}"
        )


def staged(source: SourceFile, options: LoadOptions, name: str) -> Model | Outline:
    """Return a model at that moment; its nodes where the file has them and it cannot be imported.

    Raises what `load` raises where nodes do not help.
    """
    outline = source.outline(options) if name == SOURCE else None
    if outline is not None:
        return outline
    try:
        model = source.load(replace(options, shown=name in (SOURCE, IMPORT)))
    except (UnsupportedError, UsageError) as error:
        if name not in (SOURCE, IMPORT):
            raise
        return nodes_instead(source, options, error)
    if name in (SOURCE, IMPORT):
        return model
    turn_images(model, options)
    for stage in stages_of(source):
        run_stages(model, (stage,))
        if stage.name == name:
            break
    return model


def nodes_instead(source: SourceFile, options: LoadOptions, error: TqconvError) -> Outline:
    """Return the nodes of what cannot be imported; the error where the user named it wrongly."""
    named = options.inputs is not None or options.outputs is not None
    outline = None if named else source.outline(options, str(error))
    if outline is None:
        raise error
    return outline
