"""Random graphs: what LiteRT computes before and after optimization, and what the folds compute."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tqconv.ir.graph import Graph, Tensor
from tqconv.ops.emit import emit
from tqconv.passes.driver import run_stage
from tqconv.passes.pipeline import STAGES

UNARY = ("RELU", "RELU6", "TANH", "LOGISTIC", "NEG", "ABS", "SQUARE", "HARD_SWISH", "ELU")
BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
PERMUTATIONS = ((0, 3, 1, 2), (0, 2, 3, 1), (0, 2, 1, 3), (0, 1, 3, 2))
TOLERANCE = 1e-4
"""Relative to the largest value: a chain of up to 14 float32 operators, some of which square."""


class Generator:
    """Grows a graph of rank-4 tensors, one random operator at a time."""

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng(number)
        self.graph = Graph("random")
        shape = tuple(int(d) for d in self.rng.integers(2, 6, 3))
        self.pool: list[Tensor] = [
            self.graph.add_input(f"x{i}", (1, *shape), np.dtype(np.float32)) for i in range(2)
        ]

    def grow(self, count: int) -> Graph:
        """Add operators and take the last tensors as outputs."""
        steps = (self.unary, self.binary, self.constant, self.transpose, self.conv, self.window,
                 self.reduce, self.join, self.pad, self.cut, self.dense, self.rows, self.spread,
                 self.product, self.softmax, self.distance)  # fmt: skip
        for index in range(count):
            step = steps[self.rng.integers(len(steps))]
            made = step(f"t{index}")
            if made is not None:
                self.pool.append(made)
        used = [t for t in self.pool if t.producer is not None]
        self.graph.outputs[:] = used[-2:] or [emit(self.graph, "RELU", self.pool[0], name="y")]
        self.graph.prune()
        return self.graph

    def pick(self) -> Tensor:
        """Return one of the recent tensors."""
        recent = self.pool[-5:]
        return recent[self.rng.integers(len(recent))]

    def numbers(self, *shape: int) -> np.ndarray:
        """Return a small random constant."""
        return self.rng.uniform(-0.7, 0.7, shape).astype(np.float32)

    def unary(self, name: str) -> Tensor:
        return emit(self.graph, UNARY[self.rng.integers(len(UNARY))], self.pick(), name=name)

    def binary(self, name: str) -> Tensor | None:
        a = self.pick()
        others = [t for t in self.pool if t.shape == a.shape]
        b = others[self.rng.integers(len(others))]
        return emit(self.graph, BINARY[self.rng.integers(len(BINARY))], a, b, name=name)

    def constant(self, name: str) -> Tensor:
        x = self.pick()
        c = self.numbers(*((x.shape[-1],) if self.rng.integers(2) else (1, 1, x.shape[2], 1)))
        operands = (x, c) if self.rng.integers(2) else (c, x)
        return emit(self.graph, BINARY[self.rng.integers(3)], *operands, name=name)

    def transpose(self, name: str) -> Tensor:
        perm = np.array(PERMUTATIONS[self.rng.integers(len(PERMUTATIONS))], np.int32)
        return emit(self.graph, "TRANSPOSE", self.pick(), perm, name=name)

    def conv(self, name: str) -> Tensor:
        x = self.pick()
        channels, out = x.shape[-1], int(self.rng.integers(1, 4))
        padding = "SAME" if self.rng.integers(2) or min(x.shape[1:3]) < 2 else "VALID"
        common = {"padding": padding, "stride_h": 1, "stride_w": 1}
        if self.rng.integers(2):
            w, b = self.numbers(out, 2, 2, channels), self.numbers(out)
            return emit(self.graph, "CONV_2D", x, w, b, name=name, **common)
        w, b = self.numbers(1, 2, 2, channels), self.numbers(channels)
        return emit(
            self.graph, "DEPTHWISE_CONV_2D", x, w, b, name=name, depth_multiplier=1, **common
        )

    def window(self, name: str) -> Tensor:
        kind = ("AVERAGE_POOL_2D", "MAX_POOL_2D")[self.rng.integers(2)]
        options = {
            "padding": "SAME",
            "stride_h": 1,
            "stride_w": 1,
            "filter_height": 2,
            "filter_width": 2,
        }
        return emit(self.graph, kind, self.pick(), name=name, **options)

    def reduce(self, name: str) -> Tensor:
        kind = ("MEAN", "SUM", "REDUCE_MAX")[self.rng.integers(3)]
        axes = np.array([[1, 2], [3], [1], [2, 3]][self.rng.integers(4)], np.int32)
        return emit(self.graph, kind, self.pick(), axes, name=name, keep_dims=True)

    def join(self, name: str) -> Tensor | None:
        a = self.pick()
        axis = int(self.rng.integers(1, 4))
        parts = [
            t for t in self.pool if all(t.shape[i] == a.shape[i] for i in range(4) if i != axis)
        ]
        return emit(self.graph, "CONCATENATION", *parts[:3], name=name, axis=axis)

    def pad(self, name: str) -> Tensor:
        amounts = np.zeros((4, 2), np.int32)
        amounts[1:] = self.rng.integers(0, 2, (3, 2))
        return emit(self.graph, "PAD", self.pick(), amounts, name=name)

    def cut(self, name: str) -> Tensor | None:
        x = self.pick()
        begin = [int(self.rng.integers(0, d)) for d in x.shape]
        size = [d - b for d, b in zip(x.shape, begin, strict=True)]
        return emit(
            self.graph, "SLICE", x, np.array(begin, np.int32), np.array(size, np.int32), name=name
        )

    def op(self, type: str, *operands: object, **options: object) -> Tensor:
        return emit(self.graph, type, *operands, name="part", **options)

    def shaped(self, x: Tensor, *shape: int) -> Tensor:
        return self.op("RESHAPE", x, np.array(shape, np.int32))

    def dense(self, name: str) -> Tensor:
        """A dense layer over the last axis, or two, with what people put around them."""
        x = self.pick()
        rows = self.shaped(x, x.size // (x.shape[-1] or 1), x.shape[-1])
        for _ in range(int(self.rng.integers(1, 3))):
            rows = self.op("FULLY_CONNECTED", rows, self.numbers(3, rows.shape[-1]))
            if self.rng.integers(2):
                rows = self.op(UNARY[self.rng.integers(len(UNARY))], rows)
        return self.op("RELU6", self.shaped(rows, *x.shape[:-1], 3))

    def rows(self, name: str) -> Tensor:
        """Something element by element between two reshapes."""
        x = self.pick()
        flat = self.shaped(x, *((x.shape[1:]) if self.rng.integers(2) else (-1, x.shape[-1])))
        made = self.op(UNARY[self.rng.integers(len(UNARY))], flat)
        made = self.op("MUL", made, flat) if self.rng.integers(2) else made
        return self.shaped(made, *x.shape)

    def spread(self, name: str) -> Tensor:
        """A reduced tensor that meets the whole one again: as it is, repeated, or without a 1."""
        x = self.pick()
        part = self.op("MEAN", x, np.array([1, 2], np.int32), keep_dims=True)
        way = self.rng.integers(3)
        if way == 0:
            part = self.op("TILE", part, np.array([1, *x.shape[1:3], 1], np.int32))
        elif way == 1:
            part = self.shaped(self.shaped(part, 1, x.shape[3]), 1, 1, 1, x.shape[3])
        operands = (x, part) if self.rng.integers(2) else (part, x)
        return self.op(BINARY[self.rng.integers(len(BINARY))], *operands)

    def product(self, name: str) -> Tensor:
        """Every row with every row: the second operand is transposed."""
        x = self.pick()
        across = self.op("TRANSPOSE", x, np.array([0, 1, 3, 2], np.int32))
        return self.op("TANH", self.op("BATCH_MATMUL", x, across))

    def softmax(self, name: str) -> Tensor:
        """Exponentials over their sum, along the last axis or another one."""
        x, axis = self.op("TANH", self.pick()), np.array([self.rng.integers(1, 4)], np.int32)
        peak = self.op("REDUCE_MAX", x, axis, keep_dims=True)
        made = self.op("EXP", self.op("SUB", x, peak) if self.rng.integers(2) else x)
        return self.op("DIV", made, self.op("SUM", made, axis, keep_dims=True))

    def distance(self, name: str) -> Tensor:
        """A normalization: differences, squares, a root, a negative."""
        x = self.pick()
        mean = self.op("MEAN", x, np.array([3], np.int32), keep_dims=True)
        apart = self.op("SUB", x, mean)
        square = self.op("MUL", apart, apart)
        if self.rng.integers(2):
            return self.op("ADD", x, self.op("MUL", self.op("NEG", mean), square))
        root = self.op("SQRT", self.op("ADD", square, np.array(0.5, np.float32)))
        return self.op("MUL", apart, self.op("DIV", np.array(1, np.float32), root))


@seed(20_261_121)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 10**6), count=st.integers(2, 14))
def test_optimization_keeps_what_a_random_graph_computes(number: int, count: int) -> None:
    before, after = Generator(number).grow(count), Generator(number).grow(count)
    for stage in STAGES:
        run_stage(stage, after, check=True)
    rng = np.random.default_rng(number)
    inputs = {t.name: rng.uniform(-1, 1, t.shape).astype(np.float32) for t in before.inputs}
    want, got = run_litert(before, inputs), run_litert(after, inputs)
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=TOLERANCE * max(1.0, float(np.abs(a).max())))


@seed(20_261_122)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 10**6), count=st.integers(2, 14))
def test_the_folds_compute_what_litert_computes(number: int, count: int) -> None:
    generator = Generator(number)
    generator.conv = generator.unary  # windows, convolutions and dense layers have no fold
    generator.dense = generator.rows
    generator.window = generator.binary
    graph = generator.grow(count)
    rng = np.random.default_rng(number)
    inputs = {t.name: rng.uniform(-1, 1, t.shape).astype(np.float32) for t in graph.inputs}
    want = run_litert(graph, inputs, delegate=False)
    got = evaluate(graph, inputs)
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=TOLERANCE * max(1.0, float(np.abs(a).max())))


def evaluate(graph: Graph, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Compute a graph with the folds of the operator table alone."""
    folded = Graph("folded")
    values = {id(t): folded.constant(t.name, inputs[t.name]) for t in graph.inputs}
    for op in graph.ops:
        operands = [None if t is None else values.get(id(t), t) for t in op.inputs]
        made = emit(folded, op.type, *operands, name=op.output.name, **op.options)
        for old, new in zip(op.outputs, made if isinstance(made, tuple) else (made,), strict=True):
            assert new.data is not None, f"{op.type} did not fold"
            values[id(old)] = new
    return [values[id(t)].data for t in graph.outputs]


def test_the_generator_makes_transposes_that_vanish() -> None:
    """The fuzz is worth its time only while its graphs give the layout pass something to do."""
    counts = []
    for number in range(40):
        graph = Generator(number).grow(14)
        before = sum(op.type == "TRANSPOSE" for op in graph.ops)
        for stage in STAGES:
            run_stage(stage, graph)
        counts.append((before, sum(op.type == "TRANSPOSE" for op in graph.ops)))
    before, after = (sum(side) for side in zip(*counts, strict=True))
    assert before - after >= 10


def test_the_generator_reaches_the_passes() -> None:
    fired: set[str] = set()
    for number in range(80):
        graph = Generator(number).grow(14)
        for stage in STAGES:
            run_stage(stage, graph, observe=lambda name, _: fired.add(name))
    assert fired >= {
        *("sink_reshapes", "keep_dense_dims", "drop_copies", "drop_leading_ones"),
        *("transpose_in_product", "settle_layout", "recognize_softmax"),
        *("recognize_reciprocal_root", "recognize_squared_difference", "subtract_negatives"),
    }


if __name__ == "__main__":
    pytest.main([__file__])
