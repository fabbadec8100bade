"""Networks that the real TOCO converted: the same operators, scales, zero points and integers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert

from tqconv.api import convert, load
from tqconv.config import ConvertOptions, LoadOptions, QuantizeOptions, TocoOptions
from tqconv.ir.graph import Graph, Op, Tensor

FOLDER = Path(__file__).parent / "toco_cases"
CASES = json.loads((FOLDER / "cases.json").read_text())
RENAMED = {"allow_nudging_weights_to_use_fast_gemm_kernel": "allow_nudging_weights"}


@pytest.fixture
def converted(request, tmp_path):
    """Return the reference and our file of the case that the test is for."""
    name = request.param
    case, flags = CASES[name], dict(CASES[name]["flags"])
    extra = tmp_path / "extra.pbtxt"
    extra.write_text(case["extra"])
    if "default_ranges_min" in flags:
        ends = flags.pop("default_ranges_min"), flags.pop("default_ranges_max")
        flags["default_ranges"] = ends
    custom = flags.pop("allow_custom_ops", False)
    toco = TocoOptions(
        inference_type="uint8",
        arrays_extra_info_file=str(extra) if case["extra"] else None,
        **{RENAMED.get(key, key): value for key, value in flags.items()},
    )
    pairs = (tuple(map(float, pair.split(","))) for pair in case["stats"].split(";"))
    load_options = LoadOptions(outputs=tuple(case["outputs"]), allow_custom_ops=custom)
    options = ConvertOptions(
        load=load_options,
        quantize=QuantizeOptions(mode="uint8", input_stats=tuple(pairs)),
        toco=toco,
    )
    ours = tmp_path / "ours.tflite"
    convert(FOLDER / f"{name}.pb", ours, options)
    return FOLDER / f"{name}.tflite", ours


def operands(op: Op) -> list[Tensor]:
    return [t for t in (*op.inputs, *op.outputs) if t is not None]


def facts(graph: Graph) -> list[tuple[object, ...]]:
    """Return type, activation and the numbers of every operand of every operator."""
    return [
        (op.type, op.options.get("fused_activation_function", "NONE"), *map(numbers, operands(op)))
        for op in graph.ops
    ]


def numbers(tensor: Tensor) -> tuple[object, ...]:
    if tensor.quant is None:
        return (tensor.dtype.name,)
    codes = None if tensor.data is None else tensor.data.reshape(-1).tolist()
    scale = tensor.quant.scale.astype(np.float32).tolist()
    return tensor.dtype.name, scale, tensor.quant.zero_point.tolist(), codes


@pytest.mark.parametrize("converted", CASES, indirect=True)
def test_numbers_are_those_of_toco(converted):
    theirs, ours = (load(path).main for path in converted)
    assert [op.type for op in ours.ops] == [op.type for op in theirs.ops]
    for mine, reference in zip(facts(ours), facts(theirs), strict=True):
        assert mine == reference
    assert [t.name for t in ours.inputs] == [t.name for t in theirs.inputs]


@pytest.mark.parametrize("converted", CASES, indirect=True)
def test_outputs_are_those_of_tocos_file(converted, rng):
    reference, ours = (path.read_bytes() for path in converted)
    graph = load(converted[1]).main
    samples = [rng.integers(0, 256, t.shape).astype(np.uint8) for t in graph.inputs]
    expected = run_litert(reference, samples, delegate=False)
    got = run_litert(ours, samples, delegate=False)
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    run_litert(ours, samples, delegate=True)
