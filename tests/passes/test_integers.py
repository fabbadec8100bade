"""What passes may do to integers that stand for reals, and to state: nothing that changes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.errors import UnsupportedError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.emit import emit
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES, LAST

INT8 = np.dtype(np.int8)
DELEGATES = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])


class Builder:
    """A graph over int8, operator by operator, each with the parameters of its result."""

    def __init__(self, *shape: int) -> None:
        self.graph = Graph("main")
        self.x = self.graph.add_input("x", shape, INT8)
        self.x.quant = Quant.per_tensor(0.05, 3)

    def __call__(
        self,
        type: str,
        *inputs: Tensor | np.ndarray,
        shape: tuple[int, ...],
        scale: float = 0.05,
        zero: int = 3,
        dtype: np.dtype = INT8,
        **options: Any,
    ) -> Tensor:
        name = f"{type.lower()}{len(self.graph.ops)}"
        read = [
            self.graph.constant(f"{name}/c{i}", t) if isinstance(t, np.ndarray) else t
            for i, t in enumerate(inputs)
        ]
        y = Tensor(self.graph.unique(name), shape, dtype, quant=Quant.per_tensor(scale, zero))
        self.graph.add(Op(type, tuple(read), (y,), options))
        return y

    def constant(self, data: np.ndarray, scale: float, zero: int = 0) -> Tensor:
        made = self.graph.constant(f"c{len(self.graph.ops)}", data)
        made.quant = Quant.per_tensor(scale, zero)
        return made

    def optimized(self, *outputs: Tensor, delegate: bool) -> list[str]:
        """Optimize; the operators that are left, after what they compute was compared."""
        self.graph.outputs[:] = list(outputs)
        model = Model([self.graph])
        source = bytes(serialize(model))
        run_stages(model, (*FLOAT_STAGES, LAST), check=True)
        x = np.random.default_rng(3).integers(-128, 128, self.x.shape).astype(np.int8)
        want, got = (run_litert(m, [x], delegate) for m in (source, model))
        for a, b in zip(want, got, strict=True):
            np.testing.assert_array_equal(b, a)
        return [op.type for op in self.graph.ops]


@DELEGATES
def test_a_tensor_requantized_to_two_scales_is_requantized_twice(delegate: bool) -> None:
    b = Builder(1, 4)
    y = b("QUANTIZE", b.x, shape=(1, 4), scale=0.1, zero=0)
    z = b("QUANTIZE", b.x, shape=(1, 4), scale=0.02, zero=7)
    again = b("QUANTIZE", b.x, shape=(1, 4), scale=0.1, zero=0)
    total = b("ADD", y, z, shape=(1, 4), scale=0.2)
    last = b("ADD", total, again, shape=(1, 4), scale=0.3)
    assert b.optimized(last, delegate=delegate) == ["QUANTIZE", "QUANTIZE", "ADD", "ADD"]


@DELEGATES
def test_a_dimension_more_keeps_the_scale(delegate: bool) -> None:
    b = Builder(1, 5, 2)
    y = b("EXPAND_DIMS", b.x, np.array(1, np.int32), shape=(1, 1, 5, 2))
    w = b.constant(np.arange(-6, 6, dtype=np.int8).reshape(2, 1, 3, 2), 0.1)
    bias = b.graph.constant("bias", np.array([5, -9], np.int32))
    bias.quant = Quant.per_tensor(0.005, 0)
    options = {"padding": "SAME", "stride_h": 1, "stride_w": 1}
    z = b("CONV_2D", y, w, bias, shape=(1, 1, 5, 2), scale=0.2, **options)
    last = b("SQUEEZE", z, shape=(1, 5, 2), scale=0.2, squeeze_dims=[1])
    assert b.optimized(last, delegate=delegate) == ["RESHAPE", "CONV_2D", "RESHAPE"]
    assert all(t.quant is not None for t in b.graph.tensors() if t.dtype == INT8)


@DELEGATES
def test_dilation_over_the_batch_stays_over_integers(delegate: bool) -> None:
    b = Builder(1, 8, 8, 2)
    block, pads = np.array([2, 2], np.int32), np.array([[2, 2], [2, 2]], np.int32)
    folded = b("SPACE_TO_BATCH_ND", b.x, block, pads, shape=(4, 6, 6, 2))
    w = b.constant(np.arange(-18, 18, dtype=np.int8).reshape(2, 3, 3, 2), 0.1)
    bias = b.graph.constant("bias", np.array([5, -9], np.int32))
    bias.quant = Quant.per_tensor(0.005, 0)
    options = {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    y = b("CONV_2D", folded, w, bias, shape=(4, 4, 4, 2), scale=0.4, **options)
    crops = np.zeros((2, 2), np.int32)
    last = b("BATCH_TO_SPACE_ND", y, block, crops, shape=(1, 8, 8, 2), scale=0.4)
    left = b.optimized(last, delegate=delegate)
    assert left == ["SPACE_TO_BATCH_ND", "CONV_2D", "BATCH_TO_SPACE_ND"]


@DELEGATES
def test_transposes_meet_before_a_requantization(delegate: bool) -> None:
    b = Builder(1, 2, 3, 4)
    order, back = np.array([0, 3, 1, 2], np.int32), np.array([0, 1, 3, 2], np.int32)
    y = b("TRANSPOSE", b.x, order, shape=(1, 4, 2, 3))
    z = b("TRANSPOSE", y, back, shape=(1, 4, 3, 2))
    last = b("QUANTIZE", z, shape=(1, 4, 3, 2), dtype=np.dtype(np.uint8), zero=131)
    assert b.optimized(last, delegate=delegate) == ["TRANSPOSE", "QUANTIZE"]


@DELEGATES
def test_a_stored_zero_is_not_the_number_zero(delegate: bool) -> None:
    b = Builder(1, 4)
    y = b("ADD", b.x, b.constant(np.array(0, np.int8), 0.1, 20), shape=(1, 4))
    z = b("MUL", y, b.constant(np.array(1, np.int8), 0.5), shape=(1, 4))
    assert b.optimized(z, delegate=delegate) == ["ADD", "MUL"]


@DELEGATES
def test_a_reshape_to_another_scale_stays(delegate: bool) -> None:
    """LiteRT copies what is stored; who reads it takes it for other reals."""
    b = Builder(1, 4)
    y = b("RESHAPE", b.x, np.array([4], np.int32), shape=(4,), scale=0.1)
    z = b("RESHAPE", y, np.array([1, 4], np.int32), shape=(1, 4), scale=0.1)
    last = b("ADD", z, b.x, shape=(1, 4), scale=0.2)
    assert b.optimized(last, delegate=delegate) == ["RESHAPE", "RESHAPE", "ADD"]


def test_equal_states_are_two_states() -> None:
    graph = parse("""x: f32[1,3] -> y
    y = RELU(x)""")
    zeros = graph.constant("zeros", np.zeros((1, 3), np.float32))
    for name in ("h", "c"):
        state = Tensor(graph.unique(name), (1, 3), np.dtype(np.float32), variable=True)
        graph.add(Op("MAXIMUM", (zeros, zeros), (state,), {}))
        total = emit(graph, "ADD", state, graph.inputs[0], name=f"{name}/sum")
        graph.outputs.append(total)
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    states = [op.output for op in graph.ops if op.type == "MAXIMUM"]
    assert [t.variable for t in states] == [True, True]
    assert states[0] is not states[1]


def test_floats_beside_integers_are_left_to_the_last_bit() -> None:
    """A sum that is rounded otherwise may become another integer in the operator behind it."""
    graph = parse("""x: f32[1,4] -> z
    y = FULLY_CONNECTED(x, f32[4,4], f32[4])
    z = MUL(y, f32[4])""")
    stored = Tensor("q", (1, 4), INT8, quant=Quant.per_tensor(0.1, 0))
    graph.add(Op("QUANTIZE", (graph.outputs[0],), (stored,), {}))
    graph.outputs[:] = [stored]
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    assert [op.type for op in graph.ops] == ["FULLY_CONNECTED", "MUL", "QUANTIZE"]


def test_emit_passes_parameters_on_where_elements_move() -> None:
    b = Builder(1, 4)
    y = emit(b.graph, "RESHAPE", b.x, np.array([4], np.int32), name="y")
    assert b.x.quant is not None
    assert b.x.quant.equals(y.quant)


@pytest.mark.parametrize("type", ["TANH", "RELU"])
def test_emit_refuses_integers_of_unknown_meaning(type: str) -> None:
    b = Builder(1, 4)
    with pytest.raises(UnsupportedError, match="needs to be told the scale"):
        emit(b.graph, type, b.x, name="y")


def test_emit_refuses_to_move_what_has_a_scale_per_channel() -> None:
    b = Builder(2, 4)
    b.x.quant = Quant(np.array([0.1, 0.2]), np.array([0, 0]), 0)
    with pytest.raises(UnsupportedError, match="needs to be told the scale"):
        emit(b.graph, "TRANSPOSE", b.x, np.array([1, 0], np.int32), name="y")


def test_a_shape_of_integers_has_no_scale() -> None:
    b = Builder(1, 4)
    b.x.shape = (None, 4)
    assert emit(b.graph, "SHAPE", b.x, name="y", out_type="INT32").quant is None


def test_the_writer_refuses_integers_that_lost_their_scale() -> None:
    b = Builder(1, 4)
    y = b("TANH", b.x, shape=(1, 4), scale=1 / 128, zero=0)
    b.graph.outputs[:] = [y]
    y.quant = None
    with pytest.raises(UnsupportedError, match="'tanh0' has no scale and zero point"):
        serialize(Model([b.graph]))
