"""Recurrent layers as sources write them out, and what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ops.emit import emit
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES

RNG = np.random.default_rng(7)
TIME, BATCH, INPUTS, CELLS = 4, 2, 3, 5
FLOAT = np.dtype(np.float32)
W = (RNG.standard_normal((4 * CELLS, INPUTS)) * 0.5).astype(np.float32)
R = (RNG.standard_normal((4 * CELLS, CELLS)) * 0.5).astype(np.float32)
B = RNG.standard_normal(4 * CELLS).astype(np.float32)
X = RNG.standard_normal((TIME, BATCH, INPUTS)).astype(np.float32)
H0, C0 = RNG.standard_normal((2, BATCH, CELLS)).astype(np.float32)
ORDER = "icfo"
ROWS = 300
MANY = RNG.standard_normal((ROWS, TIME, INPUTS)).astype(np.float32)
KERNELS = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


class Builder:
    """Emits into a graph with a fresh name each time."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __call__(self, type: str, *operands: Any, **options: Any) -> Any:
        name = f"{type.lower()}_{len(self.graph.ops)}"
        return emit(self.graph, type, *operands, name=name, **options)


def lstm(b: Builder, x: Tensor, h: Tensor, c: Tensor, *, joined: bool) -> tuple[Tensor, Tensor]:
    if joined:
        both = b("CONCATENATION", x, h, axis=1)
        gates = b("ADD", b("FULLY_CONNECTED", both, np.concatenate([W, R], 1)), B)
    else:
        gates = b("ADD", b("FULLY_CONNECTED", x, W, B), b("FULLY_CONNECTED", h, R))
    i, g, f, o = b("SPLIT", np.array(1, np.int32), gates, num_splits=4)
    f = b("ADD", f, np.array(1, np.float32))
    kept = b("MUL", b("LOGISTIC", f), c)
    c = b("ADD", b("MUL", b("LOGISTIC", i), b("TANH", g)), kept)
    return b("MUL", b("TANH", c), b("LOGISTIC", o)), c


def one_row(b: Builder, x: Tensor, h: Tensor) -> Tensor:
    """The product of a state of one row added as if it were a bias, which it then equals."""
    flat = b("RESHAPE", b("FULLY_CONNECTED", h, R[:CELLS]), np.array([CELLS], np.int32))
    total = b("ADD", b("FULLY_CONNECTED", x, W[:CELLS]), flat)
    result: Tensor = b("TANH", b("ADD", total, B[:CELLS]))
    return result


def plain(b: Builder, x: Tensor, h: Tensor) -> Tensor:
    total = b("ADD", b("FULLY_CONNECTED", x, W[:CELLS]), b("FULLY_CONNECTED", h, R[:CELLS]))
    result: Tensor = b("TANH", b("ADD", total, B[:CELLS]))
    return result


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def expected(kind: str, h: np.ndarray, c: np.ndarray) -> np.ndarray:
    steps = []
    for x in X:
        if kind == "plain":
            h = np.tanh(x @ W[:CELLS].T + h @ R[:CELLS].T + B[:CELLS])
        else:
            i, g, f, o = np.split(x @ W.T + h @ R.T + B, 4, 1)
            c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        steps.append(h)
    return np.stack(steps)


def check(graph: Graph, feeds: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> list[str]:
    """Optimize and run three times with and without delegate; return the operators."""
    model = Model([graph])
    run_stages(model, FLOAT_STAGES, check=True)
    for kind in KERNELS:
        interpreter = Interpreter(
            model_content=bytes(serialize(model)), experimental_op_resolver_type=kind
        )
        for detail, value in zip(interpreter.get_input_details(), feeds, strict=True):
            interpreter.resize_tensor_input(detail["index"], value.shape)
        interpreter.allocate_tensors()
        for _ in range(3):
            for detail, value in zip(interpreter.get_input_details(), feeds, strict=True):
                interpreter.set_tensor(detail["index"], value)
            interpreter.invoke()
            for detail, value in zip(interpreter.get_output_details(), want, strict=True):
                # float32 in another order of summation, values below 1
                have = interpreter.get_tensor(detail["index"])
                np.testing.assert_allclose(have, value, rtol=0, atol=2e-6)
    return [op.type for op in model.main.ops]
