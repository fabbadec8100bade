"""The node tests that the onnx package carries, run through a conversion and LiteRT."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
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


TRAINING = "ai.onnx.preview.training"
INF_IS_LOST = "a sum of -inf, of which the builtin ADD makes the least finite number"
OTHER_CORNERS = (
    "aligns corners of sizes before rounding; ONNX Runtime and PyTorch, of those after it"
)
ROUNDING = "expects the rounding errors of numpy's transform where 0 is due"
KNOWN_WRONG = {
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal_expanded": INF_IS_LOST,
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal_expanded": INF_IS_LOST,
    "test_resize_downsample_scales_linear_align_corners": OTHER_CORNERS,
    "test_resize_downsample_scales_cubic_align_corners": OTHER_CORNERS,
    "test_dft_inverse": ROUNDING,
    "test_dft_inverse_opset19": ROUNDING,
}
"""Test -> why the result differs from what it expects."""


@dataclass(frozen=True)
class Outcome:
    """What became of a test.

    kind: right, wrong, refused, or apart, where its values are no tensors of LiteRT's types.
    """

    name: str
    kind: str
    reason: str = ""


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Run all tests, in the builtin kernels; `folder` holds one model after the other."""
    for case in cases():
        apart = apart_for(case)
        yield Outcome(case.name, "apart", apart) if apart else _outcome(case, folder)


def _outcome(case: Any, folder: Path) -> Outcome:
    try:
        different = difference(case, folder, delegate=False)
    except TqconvError as error:
        return Outcome(case.name, "refused", _reason(str(error)))
    except (RuntimeError, ValueError) as error:
        different = str(error)
    if not different:
        return Outcome(case.name, "right")
    return Outcome(case.name, "wrong", KNOWN_WRONG.get(case.name, different))


def _reason(message: str) -> str:
    """Return an error without the names of files and tensors."""
    first, *rest = message.splitlines()
    if rest and "no TFLite translation" in first:
        return f"no translation of {' and '.join(line.split()[0] for line in rest)}"
    if " in model.onnx: " in first:
        op = first.split()[0]
        return f"{op}: {re.sub(PLACE, '', first.split(' in model.onnx: ', 1)[1])}"
    return first.split("model.onnx ", 1)[-1]


PLACE = r" \('[^']*'\)|\S+: (?=\w+\[)"
"""Tensors' names in a message."""


def apart_for(case: Any) -> str:
    """Return why a test is set apart, or nothing: its types are not LiteRT's, or it trains."""
    if any(node.domain == TRAINING for node in case.model.graph.node):
        return "training"
    return next(
        filter(None, map(_lacking, [*case.model.graph.input, *case.model.graph.output])), ""
    )


def _lacking(info: Any) -> str:
    if not info.type.HasField("tensor_type"):
        return str(info.type.WhichOneof("value")).removesuffix("_type")
    number = info.type.tensor_type.elem_type
    try:
        lacks = number in NARROW or dtype_of(number) == STRING
    except TqconvError:
        lacks = True
    return TensorProto.DataType.Name(number).lower() if lacks else ""


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
