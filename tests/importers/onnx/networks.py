"""Small ONNX models, and what LiteRT computes from their conversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from conftest import run_litert
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.ir.graph import Model

Array = NDArray[Any]
OPSET = 17
DELEGATES = (True, False)


def network(
    nodes: Sequence[Any],
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    *,
    opset: int = OPSET,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
) -> Any:
    """Return a model whose inputs have the types of example arrays, and their shapes by default."""
    shapes = {} if shapes is None else shapes
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(a.dtype), shapes.get(name, a.shape)
            )
            for name, a in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(a, name) for name, a in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports)


def load(model: Any, folder: Path, options: LoadOptions | None = None) -> Model:
    """Import a model through its file."""
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return api.load(path, options)


def computed(model: Any, folder: Path, inputs: Mapping[str, Array]) -> list[list[Array]]:
    """Return the outputs of the optimized conversion, with and without the default delegate."""
    converted = api.optimize(load(model, folder))
    for graph in converted.all_graphs():
        graph.check()
    return [run_litert(converted, dict(inputs), delegate) for delegate in DELEGATES]


def assert_like_reference(
    model: Any,
    folder: Path,
    inputs: Mapping[str, Array],
    expected: Sequence[Array] | None = None,
    rtol: float = 1e-5,
) -> None:
    """Compare with `expected`, or with what the reference evaluator computes.

    rtol: of the largest magnitude; float32 sums in another order differ by less.
    """
    if expected is None:
        expected = ReferenceEvaluator(model).run(None, dict(inputs))
    for found in computed(model, folder, inputs):
        for have, want in zip(found, expected, strict=True):
            assert have.shape == np.shape(want)
            scale = float(np.abs(want).max(initial=1e-30))
            np.testing.assert_allclose(have, want, rtol=0, atol=rtol * scale)


def node(op: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> Any:
    """Return a node; names are separated by blanks, `_` stands for one that is left out."""
    read = ["" if name == "_" else name for name in inputs.split()]
    made = ["" if name == "_" else name for name in outputs.split()]
    return onnx.helper.make_node(op, read, made, domain=domain, **attributes)
