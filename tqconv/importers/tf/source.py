"""Frozen graphs of TensorFlow as a source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tqconv.config import LoadOptions
from tqconv.importers.source import Format
from tqconv.importers.tf.graphdef import load
from tqconv.importers.tf.outline import outline


def companions(path: Path, options: LoadOptions) -> Iterable[Path]:
    """Return the files of the checkpoint that is given with a graph."""
    if options.checkpoint is None:
        return ()
    from tqconv.importers.tf.bundle import files_of

    return files_of(Path(options.checkpoint))


FORMAT = Format(load, outline, companions=companions)
