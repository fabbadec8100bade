"""Weights behind DEQUANTIZE: float kernels that read what is left of them in 8 bits."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse
from op_example import Example

import tqconv as api
from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model
from tqconv.ops.table import spec
from tqconv.quant.weights import quantize
from tqconv.runtime.compare import difference

RNG = np.random.default_rng(13)
TESTS = Path(__file__).parent.parent
FAMILIES = [import_module(p.stem) for p in sorted(TESTS.glob("op_examples_*.py"))]
EXAMPLES: list[Example] = [e for family in FAMILIES for e in family.EXAMPLES]


def build(example: Example) -> Graph:
    graph = Graph("main")
    example.build(graph)
    return graph


def stored(model: Model, mode: str = "weights", **more: object) -> Model:
    quantize(model, QuantizeOptions(mode=mode, min_weight_elements=1, **more))  # type: ignore[arg-type]
    return model


def multiplies(example: Example) -> bool:
    """Whether the operator has weights, and reals come out."""
    rule = spec(example.type).quant
    if rule is None or not {*rule.hybrid, *rule.weight}:
        return False
    graph = build(example)
    return bool(graph.ops) and graph.outputs[0].dtype == np.float32


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("example", [e for e in EXAMPLES if multiplies(e)], ids=str)
def test_every_operator_reads_stored_weights(run: Run, example: Example, delegate: bool) -> None:
    wanted = run(build(example), example.arrays(), delegate)
    model = stored(Model([build(example)]))
    got = run(model, example.arrays(), delegate)
    for a, b in zip(wanted, got, strict=True):
        if a.dtype == np.float32:
            assert difference(a, b)[0] > 25


DENSE = "x: f32[4,64] -> z\na = FULLY_CONNECTED(x, f32[256,64])\nz = FULLY_CONNECTED(a, f32[8,256])"


def test_only_the_weights_are_rounded(run: Run) -> None:
    x = RNG.normal(size=(4, 64)).astype(np.float32) * np.float32([[1], [1], [1], [1]])
    x[:, 0] = 30  # hybrid kernels share one scale with it
    wanted = run(parse(DENSE), [x])[0]
    near = [run(stored(Model([parse(DENSE)]), mode), [x])[0] for mode in ("weights", "dynamic")]
    ratios = [difference(wanted, got)[0] for got in near]
    assert ratios[0] > ratios[1] + 3
    sizes = [len(serialize(stored(Model([parse(DENSE)]), mode))) for mode in ("weights", "dynamic")]
    assert sizes[0] < 1.15 * sizes[1]


@pytest.mark.parametrize(("high", "notes"), [(30.0, 1), (1.0, 0)])
def test_a_note_says_what_rounding_the_inputs_costs(
    tmp_path: Path, high: float, notes: int
) -> None:
    x = np.ones((4, 64), np.float32)  # which 8 bits hold exactly beside nothing larger
    x[:, 1:] += np.float32(high > 1) * RNG.uniform(-0.1, 0.1, (4, 63)).astype(np.float32)
    x[:, 0] = high
    np.savez(tmp_path / "s.npz", x=x[None])
    dense = "x: f32[4,64] -> z\nz = FULLY_CONNECTED(x, f32[16,64])"
    api.save(Model([parse(dense)]), tmp_path / "m.tflite")
    report = api.convert(
        tmp_path / "m.tflite",
        tmp_path / "o.tflite",
        quantize="dynamic",
        verify=str(tmp_path / "s.npz"),
        min_weight_elements=1,
    )
    assert sum("--quantize weights keeps" in note for note in report.notes) == notes


def test_each_channel_has_a_scale_unless_asked_otherwise() -> None:
    def scales(**more: object) -> list[int]:
        model = stored(Model([parse(DENSE)]), **more)
        return [op.input(0).quant.scale.size for op in model.main.ops if op.type == "DEQUANTIZE"]  # type: ignore[union-attr]

    assert scales() == [256, 8]
    assert scales(per_channel=False) == scales(per_channel_dense=False) == [1, 1]


def test_tables_are_stored_by_rows_and_infinities_stay(run: Run) -> None:
    text = "i: i32[3] -> z\nz = GATHER(f32[50,16], i)"
    model = stored(Model([parse(text)]))
    assert [op.type for op in model.main.ops] == ["DEQUANTIZE", "GATHER"]
    i = np.array([3, 1, 49], np.int32)
    assert difference(run(parse(text), [i])[0], run(model, [i])[0])[0] > 40
    graph = parse(text)
    assert graph.ops[0].input(0).data is not None
    graph.ops[0].input(0).data[3, 4] = np.inf  # type: ignore[index]
    broken = stored(Model([graph]))
    assert [op.type for op in broken.main.ops] == ["GATHER"]
    assert "not finite" in broken.notes[0]
