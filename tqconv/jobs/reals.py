"""A quantized model computed with reals: what it would say if its values were not rounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.copy import copy_graph
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant


def in_reals(model: Model) -> Model:
    """Return the model with float32 in the place of all integers that stand for reals.

    The weights are those of the file, so the difference is what activations lose. Raises
    UnsupportedError where graphs run other graphs.
    """
    if len(model.all_graphs()) > 1:
        raise UnsupportedError(
            "a model of several graphs is not computed with reals",
            hint="name the float model: --reference FILE",
        )
    graph = copy_graph(model.main).graph
    for tensor in list(graph.tensors()):
        _make_real(tensor)
    for op in list(graph.ops):
        op.version = None
        if op.type in ("QUANTIZE", "DEQUANTIZE"):
            _leave_out(graph, op)
    graph.prune()
    graph.sort()
    return replace(model, graphs=[graph], signatures=[], metadata={}, notes=[])


def _make_real(tensor: Tensor) -> None:
    if tensor.quant is None:
        return
    if tensor.data is not None:
        tensor.data = reals_of(tensor.data, tensor.quant)
    tensor.dtype, tensor.quant = np.dtype(np.float32), None


def reals_of(data: NDArray[np.generic], quant: Quant) -> NDArray[np.float32]:
    """Return what stored integers stand for."""
    return np.asarray(quant.decode(data), np.float32)


def _leave_out(graph: Graph, op: Op) -> None:
    """Let the readers of a conversion read what it converts."""
    source = op.input(0)
    if source.dtype != np.float32:
        return
    graph.replace(op.output, source, keep_name=False)
