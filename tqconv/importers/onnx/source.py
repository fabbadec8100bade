"""ONNX models as a source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tqconv.config import LoadOptions
from tqconv.errors import TqconvError
from tqconv.importers.onnx.evaluate import evaluator
from tqconv.importers.onnx.load import load
from tqconv.importers.onnx.model import read
from tqconv.importers.onnx.outline import outline
from tqconv.importers.source import Format


def companions(path: Path, options: LoadOptions) -> Iterable[Path]:
    """Return the files beside the model that hold its large tensors."""
    try:
        body = read(path).body
    except TqconvError:
        return ()  # what is wrong with the file is said when it is loaded
    places = {
        e.value for t in body.constants.values() for e in t.external_data if e.key == "location"
    }
    return [path.parent / place for place in sorted(places) if "\0" not in place]


FORMAT = Format(
    load,
    outline,
    channels_first=True,
    names_dims=True,
    companions=companions,
    evaluator=evaluator,
)
