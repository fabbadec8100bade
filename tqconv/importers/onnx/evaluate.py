"""An ONNX model computed as the file states it, by a runtime of ONNX: the judge of an import."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.source import Evaluator, Feed


def evaluator(path: Path, options: LoadOptions) -> Evaluator | None:
    """Return onnxruntime where it is installed, else the reference of the `onnx` package.

    None where only a part of the model is meant.
    """
    if options.inputs is not None or options.outputs is not None or options.values:
        return None
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors; its warnings are not about this conversion
        session = onnxruntime.InferenceSession(str(path), settings)
        return "onnxruntime", _guarded(session.run, [i.name for i in session.get_inputs()])
    from onnx.reference import ReferenceEvaluator

    reference = ReferenceEvaluator(str(path))
    return "onnx.reference", _guarded(reference.run, list(reference.input_names))


def _guarded(run: Callable[..., Any], names: list[str]) -> Callable[[Feed], list[np.ndarray]]:
    def outputs(feed: Feed) -> list[np.ndarray]:
        try:
            made = run(None, {name: feed[name] for name in names if name in feed})
        except (RuntimeError, NotImplementedError, TypeError, ValueError, KeyError) as error:
            raise UnsupportedError(
                f"its own runtime does not run the model: {error}",
                hint="compare its conversion instead: tqconv convert, then inspect the result",
            ) from error
        return [np.asarray(array) for array in made]

    return outputs
