"""Fitted rounding, and the moments that it is fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize
from tqconv.quant.fit import moments as moments_page
from tqconv.quant.fit import products as products_page
from tqconv.quant.fit.codes import is_clustered
from tqconv.quant.fit.moments import Windows, empty, portions, selection
from tqconv.quant.fit.products import Products, summed
from tqconv.quant.fit.rounding import fitted_codes

RNG = np.random.default_rng(8)


def test_the_output_error_is_lower_than_with_the_nearest_integers() -> None:
    mixed = RNG.normal(size=(400, 150)) @ RNG.normal(size=(150, 150))
    w = RNG.normal(size=(1, 8, 150))
    scale = np.abs(w).max(axis=2) / 7
    codes = fitted_codes(w, scale, 0.0, (-7, 7), (mixed.T @ mixed)[None])
    nearest = np.clip(np.round(w / scale[..., None]), -7, 7)

    def error(chosen: np.ndarray) -> float:
        return float(np.square(mixed @ (w - chosen * scale[..., None])[0].T).sum())

    assert np.abs(codes).max() <= 7
    assert error(codes) < 0.6 * error(nearest)


def test_independent_inputs_leave_the_nearest_integers() -> None:
    w = RNG.normal(size=(2, 3, 5))
    scale = np.abs(w).max(axis=2) / 127
    codes = fitted_codes(w, scale, 0.0, (-127, 127), np.broadcast_to(np.eye(5), (2, 5, 5)))
    assert np.array_equal(codes, np.round(w / scale[..., None]))


def test_zeros_stay_and_the_others_make_good_for_them() -> None:
    mixed = RNG.normal(size=(400, 60)) @ RNG.normal(size=(60, 60))
    w = RNG.normal(size=(1, 8, 60)) * (RNG.random((1, 8, 60)) < 0.5)
    scale = np.abs(w).max(axis=2) / 7
    codes = fitted_codes(w, scale, 3.0, (-7, 7), (mixed.T @ mixed)[None])
    assert np.all(codes[w == 0] == 3)
    assert np.any(codes != np.clip(np.round(w / scale[..., None]) + 3, -7, 7))


@pytest.mark.parametrize("scaled", [False, True])
def test_clustered_weights_keep_their_clusters(tmp_path: Path, scaled: bool) -> None:
    centers = RNG.normal(size=4)
    graph = parse("x: f32[1,16] -> y\ny = FULLY_CONNECTED(x, f32[40,16], zeros[40])")
    picked = RNG.choice(centers, (40, 16)) * (RNG.uniform(0.5, 2, (40, 1)) if scaled else 1)
    weights = picked.astype(np.float32)
    graph.ops[0].input(1).data = weights
    mixed = RNG.normal(size=(64, 4)) @ RNG.normal(size=(4, 16))
    np.savez(tmp_path / "s.npz", x=(mixed + 0.1 * RNG.normal(size=(64, 16))).astype(np.float32))
    model = Model([graph])
    quantize(model, QuantizeOptions(mode="int16x8", calibration_data=str(tmp_path / "s.npz")))
    codes = next(t.data for t in model.main.tensors() if t.shape == (40, 16) and t.is_constant)
    assert codes is not None
    for row, stored in zip(weights, codes, strict=True):
        assert np.unique(stored).size <= np.unique(row).size


def test_weights_of_eight_bits_are_fitted_again() -> None:
    graph = parse("x: f32[1,600] -> y\ny = FULLY_CONNECTED(x, f32[8,600])")
    weights = graph.ops[0].input(1)
    assert weights.data is not None
    rounded = np.round(weights.data / 0.0079).astype(np.float32) * np.float32(0.0079)
    weights.data = rounded
    assert not is_clustered(graph.ops[0])
    weights.data = np.sign(rounded) * np.abs(rounded) ** np.float32(1.3)
    assert is_clustered(graph.ops[0])


def test_the_same_inputs_give_the_same_integers() -> None:
    w, x = RNG.normal(size=(1, 4, 20)), RNG.normal(size=(50, 20))
    runs = [fitted_codes(w, np.ones((1, 4)), 3.0, (0, 255), (x.T @ x)[None]) for _ in range(2)]
    assert np.array_equal(*runs)


WINDOW = "stride_h=2, stride_w=1, dilation_h_factor=1, dilation_w_factor=2"


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    "product",
    [
        "CONV_2D(x, f32[5,3,2,4], zeros[5])",
        "DEPTHWISE_CONV_2D(x, f32[1,3,2,8], zeros[8])",
    ],
)
def test_columns_times_weights_are_what_litert_computes(
    run: Run, product: str, padding: str
) -> None:
    stride = WINDOW if product.startswith("CONV") else WINDOW.replace("_h=2", "_h=1")
    graph = parse(f"x: f32[2,7,6,4] -> y\ny = {product} {{padding={padding}, {stride}}}")
    x = RNG.normal(size=(2, 7, 6, 4)).astype(np.float32)
    op = graph.ops[0]
    met = Windows(op, x.shape, 10_000).columns(x)
    w = op.inputs[1].data
    if op.type == "CONV_2D":
        mine = met[:, :, 0] @ w.reshape(5, -1).T
    else:
        per_channel = w.reshape(6, 4, 2).transpose(1, 2, 0)
        mine = np.einsum("rng,gon->rgo", met, per_channel).reshape(len(met), -1)
    wanted = run(graph, [x])[0]
    np.testing.assert_allclose(mine.reshape(wanted.shape), wanted, atol=1e-4)


def test_a_sample_without_a_window_is_refused() -> None:
    options = "{padding=VALID, stride_h=1, stride_w=1}"
    graph = parse(f"x: f32[1,8,4,3] -> y\ny = CONV_2D(x, f32[2,5,1,3], zeros[2]) {options}")
    with pytest.raises(UsageError, match="too small for 'y'"):
        Windows(graph.ops[0], (1, 4, 4, 3), 10)


def test_moments_sum_over_samples_whatever_the_portions() -> None:
    op = parse("x: f32[3,4] -> y\ny = FULLY_CONNECTED(x, f32[2,4])").ops[0]
    rows = RNG.normal(size=(30, 4)).astype(np.float32)
    moments = empty([op], 10)
    for part in np.split(rows, 10):
        moments.add(Windows(op, part.shape, 100).columns(part))
    moments.settle()
    assert moments.rows == 30
    np.testing.assert_allclose(moments.second.whole()[0], rows.T @ rows, rtol=1e-4)
    np.testing.assert_allclose(moments.first[0], rows.sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize("band", [1, 3, 4, 256])
def test_half_of_the_products_is_all_of_them(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_page, "BAND", band)
    columns = RNG.normal(size=(2, 20, 7)).astype(np.float32)
    parts = [Products(2, 7), Products(2, 7)]
    for part, half in zip(parts, np.split(columns, 2, axis=1), strict=True):
        part.add(half)
    wanted = columns.transpose(0, 2, 1) @ columns
    np.testing.assert_allclose(summed(parts).whole(), wanted, rtol=1e-4, atol=1e-5)
    assert parts[0].nbytes <= wanted.nbytes
    assert band > 1 or parts[0].nbytes == 2 * 4 * (7 * 8 // 2)


def test_memory_of_moments_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """x: f32[64,32] -> z
    a = FULLY_CONNECTED(x, f32[8,32], zeros[8])
    b = FULLY_CONNECTED(a, f32[32,8], zeros[32])
    z = FULLY_CONNECTED(b, f32[4,32], zeros[4])"""
    ops = parse(text).ops
    assert [set(part) for part in portions(ops, 10)] == [set(ops)]
    monkeypatch.setattr(moments_page, "BUDGET", 32 * 32 * 4)
    assert sorted(portions(ops, 10), key=lambda part: part[0].name) == [[op] for op in ops]


def test_what_needs_most_samples_is_taught_while_calibrating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = """x: f32[1,20,20,8] -> z
    a = CONV_2D(x, f32[8,1,1,8], zeros[8]) {stride_h=1, stride_w=1}
    b = MAX_POOL_2D(a) {filter_height=20, filter_width=20, stride_h=1, stride_w=1, padding=VALID}
    z = FULLY_CONNECTED(b, f32[4,8], zeros[4])"""
    wide, _, narrow = parse(text).ops
    monkeypatch.setattr(moments_page, "BUDGET", 1)
    assert portions([wide, narrow], 100) == [[narrow], [wide]]
    samples = range(100)
    assert list(selection([narrow], samples)) == list(samples)
    assert 12 <= len(selection([wide], samples)) < 20


def test_what_cannot_be_fitted_has_no_second_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    op = parse("x: f32[1,400] -> y\ny = FULLY_CONNECTED(x, f32[2,400])").ops[0]
    assert empty([op], 4).second is not None  # few columns, but quick
    monkeypatch.setattr(moments_page, "SMALL", 400 * 400 * 2 - 1)
    assert empty([op], 799).second is None
    assert empty([op], 800).second is not None


def test_few_columns_are_believed_less() -> None:
    op = parse("x: f32[40,80] -> y\ny = FULLY_CONNECTED(x, f32[30,80])").ops[0]
    rng = np.random.default_rng(0)
    mix, w = rng.normal(size=(5, 80)), rng.normal(size=(1, 30, 80))
    scale = np.abs(w).max(axis=2) / 7

    def seen(count: int) -> np.ndarray:
        mixed = rng.normal(size=(count, 5)) @ mix + rng.normal(size=(count, 80))
        return np.asarray(mixed, np.float32)

    few, new = seen(20), seen(2000)

    def lost(codes: np.ndarray) -> float:
        return float(np.square(new @ (w - codes * scale[..., None])[0].T).sum())

    moments = empty([op], 1)
    moments.add(few[:, :, None])
    moments.settle()
    alone = fitted_codes(w, scale, 0.0, (-7, 7), moments.second.whole())
    believed = fitted_codes(w, scale, 0.0, (-7, 7), moments.believed())
    assert lost(believed) < 0.8 * lost(alone)
    assert lost(believed) < 0.5 * lost(np.round(w / scale[..., None]))


def test_columns_that_wait_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    op = parse("x: f32[40,8] -> y\ny = FULLY_CONNECTED(x, f32[2,8])").ops[0]
    monkeypatch.setattr(moments_page, "TOGETHER_BYTES", 100 * 8 * 4)
    seen = empty([op], 10)
    for _ in range(5):
        seen.add(RNG.normal(size=(40, 8, 1)).astype(np.float32))
        assert sum(part.nbytes for part in seen.waiting) < 100 * 8 * 4


def test_the_plan_does_not_depend_on_the_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = RNG.normal(size=(20, 40, 4)) @ RNG.normal(size=(4, 12))
    np.savez(tmp_path / "s.npz", h0=mixed.astype(np.float32))
    layers = [f"h{i + 1} = FULLY_CONNECTED(h{i}, f32[12,12], zeros[12])" for i in range(3)]
    weights = [RNG.normal(size=(12, 12)).astype(np.float32) for _ in layers]
    made = []
    for budget in (1, 1 << 26):
        monkeypatch.setattr(moments_page, "BUDGET", budget)
        graph = parse("\n".join(["h0: f32[40,12] -> h3", *layers]))
        for op, data in zip(graph.ops, weights, strict=True):
            op.input(1).data = data
        model = Model([graph])
        quantize(model, QuantizeOptions(mode="int8", calibration_data=str(tmp_path / "s.npz")))
        made.append([op.input(1).data.tobytes() for op in model.main.ops if len(op.inputs) == 3])
    assert len(made[0]) == 3
    assert made[0] == made[1]


def test_many_samples_show_few_columns_each_of_a_channel_alone() -> None:
    layer = "DEPTHWISE_CONV_2D(x, f32[1,3,3,8], zeros[8]) {stride_h=1, stride_w=1}"
    graph = parse(f"x: f32[1,16,16,8] -> y\ny = {layer}")
    (op,) = graph.ops
    few, many = moments_page.rows_each(op, 4), moments_page.rows_each(op, 40)
    assert 4 * few >= 6 * 9 + 512  # of few samples, which look alike, all that are worth it
    assert 20 * 9 <= 40 * many < 250
