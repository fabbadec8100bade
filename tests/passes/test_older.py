"""What a runtime of a release has no kernel for is said with operators that it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.api import load, save
from tqconv.ir.graph import Graph, Model
from tqconv.jobs.placement import fit
from tqconv.targets.device import judge
from tqconv.targets.devices import device

FORMS = {
    "clamp": ("tflite-2.9", "x: f32[2,3] -> y\ny = RELU_0_TO_1(x)"),
    "gelu": ("tflite-2.8", "x: f32[2,3] -> y\ny = GELU(x)"),
    "gelu by tanh": ("tflite-2.8", "x: f32[2,3] -> y\ny = GELU(x) {approximate=True}"),
    "update of rows": (
        "tflite-2.8", "x: f32[5,3] -> y\ny = DYNAMIC_UPDATE_SLICE(x, f32[2,3], [2,0])",
    ),
    "update of columns": (
        "tflite-2.8", "x: f32[5,3] -> y\ny = DYNAMIC_UPDATE_SLICE(x, f32[5,1], [0,2])",
    ),
    "update beyond the end": (
        "tflite-2.8", "x: f32[5,3] -> y\ny = DYNAMIC_UPDATE_SLICE(x, f32[2,3], [9,0])",
    ),
    "groups": (
        "tflite-2.8",
        "x: f32[1,5,5,4] -> y\ny = CONV_2D(x, f32[6,3,3,2], f32[6]) "
        "{padding=SAME, stride_h=1, stride_w=1, fused_activation_function=RELU}",
    ),
    "transposed": (
        "tflite-2.12",
        "x: f32[1,3,3,2] -> y\ny = TRANSPOSE_CONV([1,6,6,4], f32[4,2,2,2], x, f32[4]) "
        "{padding=SAME, stride_h=2, stride_w=2, fused_activation_function=RELU6}",
    ),
    "bias of a transposed one": (
        "tflite-2.2",
        "x: f32[1,3,3,2] -> y\ny = TRANSPOSE_CONV([1,6,6,4], f32[4,2,2,2], x, f32[4]) "
        "{padding=SAME, stride_h=2, stride_w=2}",
    ),
    "sign": ("tflite-2.10", "x: f32[2,3] -> y\ny = SIGN(x)"),
    "segments": ("tflite-2.9", "x: f32[4,3] -> y\ny = UNSORTED_SEGMENT_SUM(x, [0,2,0,1], 3)"),
    "broadcast": ("tflite-2.4", "x: f32[1,3] -> y\ny = BROADCAST_TO(x, [2,3])"),
    "dense without a bias": ("tflite-2.0", "x: f32[2,3] -> y\ny = FULLY_CONNECTED(x, f32[4,3])"),
}  # fmt: skip


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("name", FORMS)
def test_an_older_form_computes_the_same(name: str, delegate: bool) -> None:
    release, text = FORMS[name]
    new, old = parse(text), parse(text)
    assert not judge(device(release), Model([new])).runs
    fit(Model([old]), release)
    assert judge(device(release), Model([old])).refused == ()
    assert [t.name for t in old.outputs] == ["y"]
    old.check()
    x = np.random.default_rng(5).normal(size=[d or 1 for d in new.inputs[0].shape])
    x = x.astype(np.float32)
    x.flat[0] = 0.0
    (wanted,), (got,) = run_litert(new, [x], delegate), run_litert(old, [x], delegate)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def test_all_of_a_row() -> None:
    text = "x: bool[2,3] -> y\ny = REDUCE_ALL(x, [1])"
    new, old = parse(text), parse(text)
    fit(Model([old]), "tflite-2.5")
    assert [op.type for op in old.ops] == ["LOGICAL_NOT", "REDUCE_ANY", "LOGICAL_NOT"]
    x = np.array([[True, True, True], [True, False, True]])
    (wanted,), (got,) = run_litert(new, [x], False), run_litert(old, [x], False)
    np.testing.assert_array_equal(got, wanted)


def test_an_update_where_nobody_knows_the_size() -> None:
    text = "x: f32[?,3] -> y\ny = DYNAMIC_UPDATE_SLICE(x, f32[2,3], [1,0])"
    old = parse(text)
    fit(Model([old]), "tflite-2.8")
    assert judge(device("tflite-2.8"), Model([old])).runs
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    (wanted,), (got,) = run_litert(parse(text), [x], False), run_litert(old, [x], False)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("tflite-2.9", "x: f32[2,3] -> y\ny = GELU(x)"),  # it is there
        ("xnnpack", "x: f32[2,3] -> y\ny = GELU(x)"),  # the CPU runs it beside the delegate
        ("tflite-2.9", "x: f32[2,3], z: f32[2,3] -> y\ny = ATAN2(x, z)"),  # no other form
        ("tflite-1.5", "x: f32[2,3] -> y\ny = SIGN(x)"),  # nor what it would become
    ],
    ids=["taken", "falls back", "no form", "form refused"],
)
def test_what_need_not_or_cannot_change_stays(target: str, text: str) -> None:
    graph = parse(text)
    kinds = [op.type for op in graph.ops]
    fit(Model([graph]), target)
    assert [op.type for op in graph.ops] == kinds


def test_a_version_that_a_file_states_is_lowered_where_that_helps(tmp_path: Path) -> None:
    model = Model([dense()])
    model.main.ops[0].version = 9
    save(model, tmp_path / "m.tflite")
    again = load(tmp_path / "m.tflite")
    assert not judge(device("tflite-2.0"), again).runs
    fit(again, "tflite-2.0")
    assert judge(device("tflite-2.0"), again).runs
    fit(unchanged := load(tmp_path / "m.tflite"), "tflite-2.8")
    assert unchanged.main.ops[0].version == 9


def dense() -> Graph:
    return parse("x: f32[2,3] -> y\ny = FULLY_CONNECTED(x, f32[4,3], f32[4])")
