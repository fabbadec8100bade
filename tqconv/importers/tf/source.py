"""Frozen graphs of TensorFlow as a source."""

from __future__ import annotations

from tqconv.importers.source import Format
from tqconv.importers.tf.graphdef import load
from tqconv.importers.tf.outline import outline

FORMAT = Format(load, outline)
