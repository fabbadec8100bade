"""Every row of the operator table against LiteRT."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import Run, run_litert
from numpy.typing import NDArray
from op_example import Example

from tqconv.errors import UnsupportedError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.emit import emit
from tqconv.ops.options import option_names
from tqconv.ops.spec import QuantRule
from tqconv.ops.table import spec, table

FAMILIES = [
    import_module(f"tests.{p.stem}") for p in sorted(Path(__file__).parent.glob("op_examples_*.py"))
]
EXAMPLES: list[Example] = [e for family in FAMILIES for e in family.EXAMPLES]
MODELS = {name: case for f in FAMILIES for name, case in getattr(f, "MODELS", {}).items()}
"""Operators that need others beside them: name -> (operators, function that makes the case)."""

STORED = {"INT8": np.dtype(np.int8), "UINT8": np.dtype(np.uint8), "INT16": np.dtype(np.int16)}

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)
each_kernel = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])


def test_every_row_has_an_example() -> None:
    shown = {e.type for e in EXAMPLES} | {name for names, _ in MODELS.values() for name in names}
    assert sorted(set(table()) - shown) == []


@each_kernel
@each_example
def test_litert_finds_the_inferred_shape_and_type(example: Example, delegate: bool) -> None:
    inferred = [(t.shape, t.dtype) for t in example.build(Graph("known"))]
    graph = graph_of(example)
    for tensor in graph.outputs:
        # Wrong on purpose: what LiteRT says afterwards is then its own.
        tensor.shape = (1,) * tensor.rank
    measured = run_litert(graph, example.arrays(), delegate)
    assert [(a.shape, a.dtype) for a in measured] == inferred


FOLDED = [e for e in EXAMPLES if spec(e.type).fold is not None and e.type != "FULLY_CONNECTED"]
"""FULLY_CONNECTED folds over a depth of zero only, which LiteRT refuses: test_empty.py."""


@each_kernel
@pytest.mark.parametrize("example", FOLDED, ids=str)
def test_litert_computes_the_fold(example: Example, delegate: bool) -> None:
    measured = run_litert(graph_of(example), example.arrays(), delegate)
    for mine, theirs in zip(example.folded(), measured, strict=True):
        assert mine.data is not None
        assert_equal(mine.data, theirs, example.error)


def graph_of(example: Example) -> Graph:
    """Return a graph of the operator; SHAPE and RANK fold where the input's size is known."""
    graph = Graph("main")
    if all(t.is_constant for t in example.build(graph)):
        graph = Graph("main")
        example.build(graph, unknown=True)
    return graph


def assert_equal(mine: NDArray[Any], theirs: NDArray[Any], error: float) -> None:
    """Compare integers exactly, reals up to `error` of the largest one."""
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
    if mine.dtype.kind not in "fc":
        np.testing.assert_array_equal(mine, theirs)
        return
    finite = np.abs(theirs[np.isfinite(theirs)])
    largest = float(finite.max()) if finite.size else 0.0
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=error * largest)


@each_example
@pytest.mark.parametrize("free", [False, True], ids=["constants", "free"])
def test_unknown_sizes_do_not_contradict_known_ones(example: Example, free: bool) -> None:
    known = [(t.shape, t.dtype) for t in example.build(Graph("known"))]
    try:
        vague = [(t.shape, t.dtype) for t in example.build(Graph("vague"), unknown=True, free=free)]
    except UnsupportedError:
        assert free, "unknown sizes alone must not stop the shape rule"
        return
    assert len(vague) == len(known)
    for (shape, dtype), (vague_shape, vague_dtype) in zip(known, vague, strict=True):
        assert vague_dtype == dtype
        assert len(vague_shape) == len(shape)
        assert all(v in (None, n) for v, n in zip(vague_shape, shape, strict=True))


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if spec(e.type).quant is not None], ids=str
)
def test_litert_registers_the_versions_of_integer_operators(example: Example) -> None:
    rule = spec(example.type).quant
    assert rule is not None
    for stored in [STORED[name] for name in sorted(rule.types)]:
        for per_channel in (False, True) if rule.weight else (False,):
            graph = graph_of(example)
            if not graph.ops:  # RANK always folds
                return
            retype(graph.ops[-1], rule, stored, per_channel)
            load(graph)


@pytest.mark.parametrize(
    "example",
    [e for e in EXAMPLES if getattr(spec(e.type).quant, "hybrid", None)],
    ids=str,
)
def test_litert_registers_the_versions_of_hybrid_operators(example: Example) -> None:
    rule = spec(example.type).quant
    assert rule is not None
    names = spec(example.type).operands
    asymmetric = (False, True) if "asymmetric_quantize_inputs" in option_names(example.type) else ()
    for chosen in asymmetric or (None,):
        graph = graph_of(example)
        op = graph.ops[-1]
        if chosen is not None:
            op.options["asymmetric_quantize_inputs"] = chosen
        for index, tensor in enumerate(op.inputs):
            if tensor is not None and names.name(index) in rule.hybrid:
                store(tensor, np.dtype(np.int8), rule.hybrid[names.name(index)])
        load(graph)


def retype(op: Op, rule: QuantRule, stored: np.dtype, per_channel: bool) -> None:
    """Make the real operands and results of an operator integers, by its quantization rule."""
    names = spec(op.type).operands
    for index, tensor in enumerate(op.inputs):
        if tensor is None or tensor.dtype != np.float32:
            continue
        name = names.name(index)
        if name in rule.weight:
            weights = np.dtype(np.uint8) if stored == np.uint8 else np.dtype(np.int8)
            store(tensor, weights, rule.weight[name] if per_channel else None)
        elif name in rule.bias:
            store(tensor, np.dtype(np.int64 if stored == np.int16 else np.int32), None)
        else:
            store(tensor, stored, None)
    for tensor in op.outputs:
        if tensor.dtype == np.float32:
            store(tensor, stored, None)


def store(tensor: Tensor, dtype: np.dtype, axis: int | None) -> None:
    """Give a tensor an integer type, with one scale or with one for each slice along `axis`."""
    count = 1 if axis is None else tensor.shape[axis] or 1
    tensor.dtype = dtype
    tensor.quant = Quant(np.ones(count), np.zeros(count, np.int64), axis or 0)
    if tensor.data is not None:
        tensor.data = tensor.data.astype(dtype)


def load(graph: Graph) -> None:
    """Raise ValueError where LiteRT has no kernel of the version that the row gives."""
    Interpreter(model_content=bytes(serialize(Model([graph]))))


def test_a_narrow_fake_quant_has_a_symmetric_grid() -> None:
    # LiteRT refuses narrow_range, so the figures are those of 8-bit weights: 254 steps of 1/127.
    x = np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 0.02], np.float32)
    options = {"num_bits": 8, "min": -1.0, "max": 1.0, "narrow_range": True}
    y = emit(Graph("main"), "FAKE_QUANT", x, name="y", **options)
    expected = np.array([-127, -127, 0, 64, 127, 3], np.float32) / np.float32(127)
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("type", "label", "macs"),
    [
        ("CONV_2D", "", 2 * 7 * 9 * 5 * 36),
        ("CONV_2D", "grouped", 2 * 4 * 5 * 6 * 18),
        ("DEPTHWISE_CONV_2D", "", 2 * 4 * 5 * 8 * 9),
        ("TRANSPOSE_CONV", "", 2 * 7 * 9 * 4 * 27),
        ("FULLY_CONNECTED", "flattened", 6 * 5 * 8),
        ("BATCH_MATMUL", "adjoint", 2 * 3 * 5 * 4),
        ("CONV_3D_TRANSPOSE", "", 2 * 4 * 5 * 3 * 36),
        ("RNN", "", 2 * (6 * 3 + 6 * 6)),
    ],
)
def test_multiplications_are_counted(type: str, label: str, macs: int) -> None:
    example = next(e for e in EXAMPLES if (e.type, e.label) == (type, label))
    count = spec(type).macs
    assert count is not None
    assert count(graph_of(example).ops[-1]) == macs


@each_kernel
@pytest.mark.parametrize("name", MODELS)
def test_litert_runs_the_model(name: str, delegate: bool, run: Run) -> None:
    _, make = MODELS[name]
    graphs, inputs, expected = make()
    inferred = [(t.shape, t.dtype) for t in graphs[0].outputs]
    measured = run(Model(graphs), inputs, delegate)
    assert [a.dtype for a in measured] == [dtype for _, dtype in inferred]
    for (shape, _), theirs in zip(inferred, measured, strict=True):
        assert len(shape) == theirs.ndim
        assert all(d in (None, n) for d, n in zip(shape, theirs.shape, strict=True))
    for mine, theirs in zip(expected, measured, strict=True):
        assert_equal(mine, theirs, 1e-6)
