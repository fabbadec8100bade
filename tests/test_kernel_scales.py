"""Scales and zero points that kernels compute with, as LiteRT 2.3.0 answers about them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_runs import CONV, DENSE, first_examples, loaded, runs, scaled
from op_example import Example
from test_table import EXAMPLES

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import FormatError
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.kernels import FIRST_VERSIONS
from tqconv.ops.table import spec

SCALED = Quant.per_tensor(1 / 64, 0)


def added(a: Quant | None, b: Quant, y: Quant, dtype: type, rank: int = 1) -> bytes:
    """Return a file that adds two tensors of integers."""
    graph = Graph("main")
    shapes = {"a": (2,) * rank, "b": tuple(1 + i % 2 for i in range(rank))}
    y_ = Tensor("y", shapes["a"], np.dtype(dtype), quant=y)
    xs = [graph.add_input(name, shape, np.dtype(dtype)) for name, shape in shapes.items()]
    xs[0].quant, xs[1].quant = a, b
    graph.add(Op("ADD", tuple(xs), (y_,), version=2))
    graph.outputs.append(y_)
    return bytes(serialize(Model([graph])))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (added(None, SCALED, SCALED, np.int8), "ADD computes with 'a', which has no scale"),
        (added(Quant.per_tensor(0, 0), SCALED, SCALED, np.int8), "'a', which has a scale of 0"),
        (added(Quant(np.ones(2), np.zeros(2, int)), SCALED, SCALED, np.int8), "has 2 scales"),
        (added(SCALED, Quant.per_tensor(np.nan, 0), SCALED, np.int8), "'b' has a scale of nan"),
        (added(SCALED, Quant.per_tensor(-1, 0), SCALED, np.int8), "'b' has a scale of -1.0"),
        (
            added(SCALED, Quant.per_tensor(1, 9), SCALED, np.int16),
            "'b' of int16 has a zero point of 9, not 0",
        ),
        (added(Quant.per_tensor(1e9, 0), SCALED, SCALED, np.int8), "in steps of 0.0156 ('y')"),
        (added(SCALED, SCALED, SCALED, np.int8, 9), "takes at most 8 dimensions, not 9"),
    ],
)
def test_scales_that_kernels_cannot_compute_with(content: bytes, words: str) -> None:
    assert not runs(content)
    with pytest.raises(FormatError, match=re.escape(words)):
        reader.parse(content, "n.tflite")
    tenth = Quant.per_tensor(0.1, 0)
    assert loaded(added(tenth, tenth, tenth, np.int16))


def test_a_zero_that_the_type_cannot_hold_is_damage() -> None:
    """No converter writes one, although some kernels compute with it."""
    with pytest.raises(FormatError, match="'b' has a zero point of 128, which int8 lacks"):
        reader.parse(added(SCALED, Quant.per_tensor(1, 128), SCALED, np.int8), "n.tflite")


SCALED_EXAMPLES = [
    (e, kind) for e in first_examples() for kind in sorted(getattr(spec(e.type).quant, "types", ()))
]

SCALED_RESULTS = [
    (e, kind)
    for e, kind in SCALED_EXAMPLES
    if scaled(e, kind).ops[-1].outputs[0].quant is not None
    if e.type != "UNIDIRECTIONAL_SEQUENCE_LSTM"  # its integers: `tests/test_kernels.py`
]
"""Not those of comparisons, places and shapes, which have no scale."""


def twice(quant: Quant) -> Quant:
    return replace(quant, scale=quant.scale * 2)


def shifted(quant: Quant) -> Quant:
    return replace(quant, zero_point=quant.zero_point + 1)


@pytest.mark.parametrize("change", [twice, shifted])
@pytest.mark.parametrize(("example", "kind"), SCALED_RESULTS, ids=str)
def test_results_in_other_steps(
    example: Example, kind: str, change: Callable[[Quant], Quant]
) -> None:
    """LOGISTIC alone looks at the scale that it builds in, and not at the zero point; some kernels
    of int16 look at no zero point, which is 0 by specification."""
    graph = scaled(example, kind)
    made = graph.ops[-1].outputs[0]
    assert made.quant is not None
    content = bytes(serialize(Model([graph])))
    assert loaded(content)
    assert runs(content)
    made.quant = change(made.quant)
    content = bytes(serialize(Model([graph])))
    refused = change is shifted and (kind == "INT16" or example.type == "LOGISTIC")
    assert loaded(content) == (runs(content) and not refused)


FLOORED = [
    (e, kind)
    for e, kind in SCALED_EXAMPLES
    if (rule := spec(e.type).quant) is not None and rule.floor is not None
]


@pytest.mark.parametrize("operand", [1.0, 9e18, 9.3e18, 1.6e38, 1.8e38])
@pytest.mark.parametrize("made", [1.0, 3.2e32, 3.3e32, 1.03e34, 1.05e34, 2.1e34, 1e36, 3e38])
@pytest.mark.parametrize(("example", "kind"), FLOORED, ids=str)
def test_steps_near_the_largest_number(
    example: Example, kind: str, operand: float, made: float
) -> None:
    """Factors that are infinite in float32 end the process."""
    graph = scaled(example, kind)
    op = graph.ops[-1]
    for tensor, step in ((op.input(0), operand), (op.output, made)):
        assert tensor.quant is not None
        tensor.quant = replace(tensor.quant, scale=np.full(tensor.quant.scale.size, step))
    content = bytes(serialize(Model([graph])))
    if example.type == "SUB" and operand >= 2**18 * made:
        return  # the kernel runs, in steps that are too fine for it
    assert loaded(content) == runs(content)


@pytest.mark.parametrize("shape", [(2, 3), (3,), (1,)], ids=str)
@pytest.mark.parametrize("steps", [(10, 11, 10), (10, 10, 10), (10, 10, 9), (9, 10, 10)], ids=str)
@pytest.mark.parametrize("near", [1.0, 1.0005, 1.01])
@pytest.mark.parametrize("type", ["ADD", "SUB"])
def test_int16_in_steps_that_are_powers_of_two(
    type: str, near: float, steps: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    graph, int16 = Graph("main"), np.dtype(np.int16)
    quants = [Quant.per_tensor(near * 2.0**-step, 0) for step in steps]
    a, b = (graph.add_input(n, s, int16) for n, s in (("a", (2, 3)), ("b", shape)))
    y = Tensor("y", (2, 3), int16)
    a.quant, b.quant, y.quant = quants
    graph.add(Op(type, (a, b), (y,), version=FIRST_VERSIONS.get(type, 1)))
    graph.outputs.append(y)
    content = bytes(serialize(Model([graph])))
    assert loaded(content) == runs(content)


@pytest.mark.parametrize(
    ("example", "kind", "operand", "quant", "words"),
    [
        (DENSE, "UINT8", 2, Quant.per_tensor(1, 0), "the scale of 'y/b' is 1, its products have"),
        (DENSE, "INT8", 1, None, "computes with 'y/w', which has no scale"),
        (CONV, "UINT8", 2, Quant.per_tensor(1, 0), "the scale of 'y/b' is 1, its products have"),
        (CONV, "INT8", 1, None, "computes with 'y/w', which has no scale"),
        (CONV, "INT8", 2, Quant.per_tensor(1 / 4096, 3), "a bias has zero points of 0"),
    ],
    ids=str,
)
def test_scales_of_sums(
    example: Example, kind: str, operand: int, quant: Quant | None, words: str
) -> None:
    graph = scaled(example, kind)
    assert loaded(bytes(serialize(Model([graph]))))
    graph.ops[-1].input(operand).quant = quant
    content = bytes(serialize(Model([graph])))
    assert not runs(content)
    with pytest.raises(FormatError, match=words):
        reader.parse(content, "n.tflite")


def test_scales_of_channels_go_through_a_slice_of_everything(tmp_path: Path) -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(np.int8))
    x.quant = Quant(np.array([0.5, 0.25]), np.zeros(2, np.int64))
    y = Tensor("y", (2, 3), np.dtype(np.int8), quant=replace(x.quant))
    constants = [graph.constant(n, np.array(v, np.int32)) for n, v in zip("bes", ENDS, strict=True)]
    graph.add(Op("STRIDED_SLICE", (x, *constants), (y,), version=2))
    graph.outputs.append(y)
    source, target = tmp_path / "a.tflite", tmp_path / "b.tflite"
    source.write_bytes(serialize(Model([graph])))
    api.convert(source, target)
    made = reader.load(target, LoadOptions()).main.outputs[0].quant
    assert made is not None
    assert made.scale.tolist() == [0.5, 0.25]


ENDS = ([0, 0], [2, 3], [1, 1])


def test_clamps_fit_into_the_steps_of_a_result() -> None:
    example = next(e for e in EXAMPLES if str(e) == "MUL-relu6")
    graph = scaled(example, "INT8")
    assert loaded(bytes(serialize(Model([graph]))))
    graph.ops[-1].outputs[0].quant = Quant.per_tensor(1e-9, 0)
    content = bytes(serialize(Model([graph])))
    assert not runs(content)
    with pytest.raises(FormatError, match="MUL cannot clamp in steps of 1e-09"):
        reader.parse(content, "n.tflite")
