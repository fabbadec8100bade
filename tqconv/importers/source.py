"""A file to read: which format it has, and what can be asked of that format.

Each format is one `Format` record, in the module that `HOMES` names; jobs ask the record and never
which format it is. To add one: give its module a `FORMAT`, list the module in `HOMES`, and teach
`detect` to recognize its files. A module is imported when a file of its format is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tqconv.config import LoadOptions
from tqconv.errors import UsageError
from tqconv.importers.detect import kind_of
from tqconv.importers.outline import Outline
from tqconv.ir.graph import Model
from tqconv.records import dataclass

HOMES: Mapping[str, str] = {
    "graphdef": "tqconv.importers.tf.source",
    "keras": "tqconv.importers.keras.source",
    "meta_graph": "tqconv.importers.tf.source",
    "onnx": "tqconv.importers.onnx.source",
    "saved_model": "tqconv.importers.tf.saved_model",
    "tflite": "tqconv.importers.tflite.reader",
}
"""Kind of file (a key of `detect.NAMES`) -> the module that holds its `FORMAT`."""


Feed = Mapping[str, "NDArray[Any]"]
Evaluator = tuple[str, Callable[[Feed], "list[NDArray[Any]]"]]
"""The name of a runtime, and inputs by name -> outputs in order."""


@dataclass(frozen=True)
class Format:
    """What a format offers.

    load: returns the model in a file; raises FormatError (damaged), UsageError (names that are not
    there), UnsupportedError (what has no translation, all of it). outline: returns the nodes of a
    file as it states them, and the reason that is given for showing no more; None where a model can
    always be loaded. channels_first: images are [n, c, h, w]. has_signatures: tags and signatures
    choose among the models in it. names_dims: dimensions of inputs have names. is_apart: the
    architecture may stand in a file of its own. companions: the
    files that `load` may read beside the one named. evaluator: the name of another runtime that
    computes the whole model, and a function that does so; None where none is installed.
    """

    load: Callable[[Path, LoadOptions], Model]
    outline: Callable[[Path, LoadOptions, str], Outline] | None = None
    channels_first: bool = False
    has_signatures: bool = False
    names_dims: bool = False
    is_apart: bool = False
    companions: Callable[[Path, LoadOptions], Iterable[Path]] = lambda path, options: ()
    evaluator: Callable[[Path, LoadOptions], Evaluator | None] = lambda path, options: None


@dataclass(frozen=True)
class SourceFile:
    """A file whose format is known; `kind` is a key of `detect.NAMES`."""

    path: Path
    kind: str
    format: Format

    def load(self, options: LoadOptions) -> Model:
        """Return the model; see `Format.load`."""
        return self.format.load(self.path, options)

    def companions(self, options: LoadOptions) -> Iterable[Path]:
        """Return the files that `load` may read beside the model's own."""
        return self.format.companions(self.path, options)

    def evaluator(self, options: LoadOptions) -> Evaluator | None:
        """Return what else computes the whole model; None where nothing does."""
        return self.format.evaluator(self.path, options)

    def outline(self, options: LoadOptions, reason: str = "") -> Outline | None:
        """Return the nodes as the file states them; None where the format shows none."""
        make = self.format.outline
        return None if make is None else make(self.path, options, reason)


def source_of(path: Path, options: LoadOptions) -> SourceFile:
    """Look at a file once; `options.format` overrides what its content says.

    Raises UsageError where there is nothing to read or the options do not fit the format,
    FormatError where the format is unknown.
    """
    kind = kind_of(path, options.format)
    format: Format = import_module(HOMES[kind]).FORMAT
    chooses = options.signature is not None or options.tags != LoadOptions().tags
    if chooses and not format.has_signatures:
        raise UsageError(f"{path} is no SavedModel: it has neither tags nor signatures to choose")
    if options.dims and not format.names_dims:
        raise UsageError(
            f"{path} names no dimensions, as ONNX does", hint="give whole shapes: --input_shapes"
        )
    if options.keras_config is not None and not format.is_apart:
        raise UsageError(f"--keras_config goes with the weights of a Keras model, not with {path}")
    return SourceFile(path, kind, format)
