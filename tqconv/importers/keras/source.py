"""Keras models as a source."""

from __future__ import annotations

from tqconv.importers.keras.load import load
from tqconv.importers.keras.outline import outline
from tqconv.importers.source import Format

FORMAT = Format(load, outline)
