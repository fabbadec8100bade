"""Keras models as a source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tqconv.config import LoadOptions
from tqconv.importers.keras.load import load
from tqconv.importers.keras.outline import outline
from tqconv.importers.source import Format


def companions(path: Path, options: LoadOptions) -> Iterable[Path]:
    """Return the file of the architecture where it is apart from the weights."""
    return () if options.keras_config is None else (Path(options.keras_config),)


FORMAT = Format(load, outline, is_apart=True, companions=companions)
