"""Models read from files of any format and written to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions
from tqconv.importers.source import source_of
from tqconv.ir.graph import Model
from tqconv.output import write_atomically

if TYPE_CHECKING:
    from tqconv.exporters.drawing.gather import Known


def load(path: str | Path, options: LoadOptions | None = None) -> Model:
    """Read a model of any supported format, which is found by content.

    Raises UsageError where the file or a name is missing, FormatError where the file is damaged
    or of no known format, UnsupportedError where it holds something without a translation.
    """
    options = LoadOptions() if options is None else options
    return source_of(Path(path), options).load(options)


def save(model: Model, path: str | Path) -> int:
    """Write a model as .tflite, through a temporary file beside it; return its size in bytes."""
    from tqconv.exporters.tflite import in_pieces

    return write_atomically(Path(path), in_pieces(model))


def picture(model: Model, path: str | Path, known: Known | None = None) -> int:
    """Write a model as a picture, through a temporary file, and return its size in bytes.

    Text for Graphviz, or what it draws where the suffix is .svg, .png or .pdf. `known`: what was
    found out about the model elsewhere.
    """
    from tqconv.exporters.drawing.picture import picture_text
    from tqconv.exporters.graphviz import as_file, kind_of

    kind = kind_of(Path(path))
    return write_atomically(Path(path), as_file(picture_text(model, known), kind))


def write_summary(model: Model, path: Path) -> None:
    """Write the facts that `inspect --json` prints."""
    from tqconv.exporters.report import describe

    content = json.dumps(describe(model).as_dict(), indent=1)
    write_atomically(path, content.encode())


def snapshot(model: Model) -> Model:
    """Return a copy that later edits of the model do not reach."""
    from tqconv.exporters.tflite import serialize
    from tqconv.importers.tflite.reader import parse

    copy = parse(serialize(model), model.origin)
    for mine, theirs in zip(copy.main.inputs, model.main.inputs, strict=True):
        mine.range = theirs.range  # a file has no place for it, and images are scaled to it
    return copy
