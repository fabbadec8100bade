"""The node tests that the onnx package carries, run through a conversion and LiteRT."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from conftest import run_litert
from onnx import TensorProto, numpy_helper

from tqconv import api
from tqconv.errors import TqconvError, UnsupportedError
from tqconv.importers.onnx.tensors import NARROW, dtype_of
from tqconv.ir.graph import Model
from tqconv.ir.types import STRING


def cases() -> list[Any]:
    """Return the tests, which the package makes anew each time (some 20 seconds)."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(collect_testcases(None))


def holds_tensors(case: Any) -> bool:
    """Whether inputs and outputs are tensors of types that LiteRT has."""
    try:
        return all(
            info.type.HasField("tensor_type")
            and info.type.tensor_type.elem_type not in NARROW
            and dtype_of(info.type.tensor_type.elem_type) != STRING
            for info in (*case.model.graph.input, *case.model.graph.output)
        )
    except TqconvError:
        return False


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def imported(case: Any, path: Path) -> Model:
    """Import a test; inputs that the translation needs as constants (axes, sizes) become such.

    The tests give every operand at run time, where models have an initializer.
    """
    graph = case.model
    while True:
        path.write_bytes(graph.SerializeToString())
        try:
            return api.load(path)
        except UnsupportedError as error:
            given = _needed(case, graph, str(error))
            if not given:
                raise
            graph = type(graph).FromString(graph.SerializeToString())
            graph.graph.initializer.extend(given)


def _needed(case: Any, model: Any, message: str) -> list[Any]:
    """Return the values of the inputs that a message names as not constant."""
    named = set(re.findall(r"is not a constant \('([^']+)'\)", message))
    named -= {t.name for t in model.graph.initializer}
    arrays = zip(case.model.graph.input, case.data_sets[0][0], strict=False)
    return [numpy_helper.from_array(_array(a), i.name) for i, a in arrays if i.name in named]


def difference(case: Any, folder: Path, delegate: bool) -> str:
    """Return how the conversion differs from what is expected, or nothing.

    Raises what `load` raises. The tolerance is that of the package's own test runner.
    """
    model = api.optimize(imported(case, folder / "model.onnx"))
    inputs, outputs = case.data_sets[0]
    feeds = dict(zip((i.name for i in case.model.graph.input), inputs, strict=False))
    wanted = {t.name: t for t in model.main.inputs}
    given = {n: _array(a).astype(wanted[n].dtype) for n, a in feeds.items() if n in wanted}
    found = run_litert(model, given, delegate)
    for have, want in zip(found, map(_array, outputs), strict=True):
        if have.shape != want.shape:
            return f"shape {have.shape}, expected {want.shape}"
        if want.dtype.kind in "fcV":
            want = want.astype(np.complex64 if want.dtype.kind == "c" else np.float32)
            if not np.allclose(have, want, case.rtol, case.atol, equal_nan=True):
                with np.errstate(invalid="ignore"):
                    return f"off by {np.nanmax(np.abs(have - want))}"
        elif not np.array_equal(have, want):
            return "elements differ"
    return ""
