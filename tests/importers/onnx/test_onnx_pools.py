"""Pools, their places, and padding, against ONNX's own reference or numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node

from tqconv.errors import UnsupportedError

F = np.float32
RNG = np.random.default_rng(7)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("storage_order", [0, 1])
@pytest.mark.parametrize("ceil_mode", [0, 1])
def test_places_of_the_largest(
    tmp_path: Path, rank: int, storage_order: int, ceil_mode: int
) -> None:
    shape = (2, 3, 5, 6, 7)[: 2 + rank]
    x = RNG.permutation(np.prod(shape)).reshape(shape).astype(F)
    told: dict[str, Any] = {"kernel_shape": [2, 3, 2][:rank], "strides": [2, 1, 2][:rank]}
    told |= {"pads": [0, 1, 0][:rank] + [1, 0, 0][:rank], "ceil_mode": ceil_mode}
    nodes = [node("MaxPool", "x", "y i", storage_order=storage_order, **told)]
    plain = [node("MaxPool", "x", "y", **told)]
    from onnx.reference import ReferenceEvaluator

    judge = ReferenceEvaluator(network(plain, {"x": x}, ["y"]))
    largest = judge.run(None, {"x": x})[0]
    flat = np.moveaxis(x, range(2, x.ndim), range(x.ndim - 1, 1, -1)) if storage_order else x
    flat = flat.reshape(-1)
    at = np.empty(flat.size, np.int64)
    at[flat.astype(np.int64)] = np.arange(flat.size)
    want = [largest, at[largest.astype(np.int64)]]
    assert_like_reference(network(nodes, {"x": x}, ["y", "i"]), tmp_path, {"x": x}, want)


def seen_by_windows(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> list[range]:
    """Return the places that each window sees, rounded up; a last one in the padding is none."""
    starts = range(-pads[0], size, stride)
    most = -(-(size + sum(pads) - kernel) // stride) + 1
    return [range(start, start + kernel) for start in starts[:most]]


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "counted"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pads"), [(3, 2, (1, 1)), (2, 2, (0, 0)), (2, 3, (0, 1)), (3, 3, (1, 0))]
)
def test_partial_windows_over_an_unknown_size(
    tmp_path: Path, op: str, size: int, kernel: int, stride: int, pads: tuple[int, int]
) -> None:
    x = RNG.normal(size=(2, 3, size)).astype(F)
    told: dict[str, Any] = {"kernel_shape": [kernel], "strides": [stride], "pads": list(pads)}
    want = []
    for places in seen_by_windows(size, kernel, stride, pads):
        inner = x[:, :, max(places.start, 0) : min(places.stop, size)]
        counted = len(range(places.start, min(places.stop, size + pads[1])))
        totals = {"MaxPool": inner.max(2), "AveragePool": inner.mean(2)}
        want.append(totals.get(op, inner.sum(2) / counted))
    if op == "counted":
        op, told = "AveragePool", told | {"count_include_pad": 1}
    nodes = [node(op, "x", "y", ceil_mode=1, **told)]
    model = network(nodes, {"x": x}, ["y"], opset=19, shapes={"x": ["n", 3, "t"]})
    assert_like_reference(model, tmp_path, {"x": x}, [np.stack(want, 2)])


@pytest.mark.parametrize("size", [5, 6, 7])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_padding_that_counts_over_an_unknown_size(tmp_path: Path, auto_pad: str, size: int) -> None:
    x = RNG.normal(size=(2, 3, size)).astype(F)
    told: dict[str, Any] = {"kernel_shape": [4], "strides": [2], "count_include_pad": 1}
    need = max((-(-size // 2) - 1) * 2 + 4 - size, 0)
    less, more = need // 2, need - need // 2
    around = (less, more) if auto_pad == "SAME_UPPER" else (more, less)
    wide = np.pad(x, [(0, 0), (0, 0), around])
    want = np.lib.stride_tricks.sliding_window_view(wide, 4, 2)[:, :, ::2].mean(-1)
    nodes = [node("AveragePool", "x", "y", auto_pad=auto_pad, **told)]
    model = network(nodes, {"x": x}, ["y"], opset=19, shapes={"x": ["n", 3, "t"]})
    assert_like_reference(model, tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("padding", [{"auto_pad": "SAME_LOWER"}, {"pads": [1, 0, 0, 1]}])
def test_norms_of_windows(tmp_path: Path, p: int, padding: Any) -> None:
    x = RNG.normal(size=(2, 3, 5, 6)).astype(F)
    told = {"kernel_shape": [2, 3], "strides": [2, 1], "p": p, **padding}
    nodes = [node("LpPool", "x", "y", **told)]
    around = [(1, 0), (1, 1)] if "auto_pad" in padding else [(1, 0), (0, 1)]
    wide = np.pad(np.abs(x.astype(np.float64)) ** p, [(0, 0), (0, 0), *around])
    seen = np.lib.stride_tricks.sliding_window_view(wide, (2, 3), (2, 3))[:, :, ::2]
    want = seen.sum((-1, -2)) ** (1 / p)
    assert_like_reference(network(nodes, {"x": x}, ["y"], opset=18), tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norms_of_channels(tmp_path: Path, p: int) -> None:
    x = RNG.normal(size=(2, 3, 5, 6)).astype(F)
    want = (np.abs(x) ** p).sum((2, 3), keepdims=True) ** (1 / p)
    model = network([node("GlobalLpPool", "x", "y", p=p)], {"x": x}, ["y"])
    assert_like_reference(model, tmp_path, {"x": x}, [want])


MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", ["computed", "of unknown sizes", "both"])
def test_padding(tmp_path: Path, mode: str, given: str) -> None:
    x = RNG.normal(size=(2, 4, 3)).astype(F)
    pads = np.array([0, 2, 1, 1, 0, 2])
    computed = given != "of unknown sizes"
    feeds: dict[str, Any] = {"x": x, **({"p": pads} if computed else {})}
    shapes = {} if given == "computed" else {"x": ["n", "t", "c"]}
    constants = {"v": np.array(0.5, F), **({} if computed else {"p": pads})}
    nodes = [node("Pad", "x p v" if mode == "constant" else "x p", "y", mode=mode)]
    model = network(nodes, feeds, ["y"], constants, opset=19, shapes=shapes)
    values = {"constant_values": 0.5} if mode == "constant" else {}
    want = np.pad(x, pads.reshape(2, 3).T.tolist(), MODES[mode], **values)
    assert_like_reference(model, tmp_path, feeds, [want])


def test_computed_padding_may_cut(tmp_path: Path) -> None:
    x = RNG.normal(size=(5, 4)).astype(F)
    feeds = {"x": x, "p": np.array([-2, 3])}
    model = network([node("Pad", "x p _ a", "y")], feeds, ["y"], {"a": np.array([0])}, opset=18)
    assert_like_reference(model, tmp_path, feeds, [np.pad(x[2:], ((0, 3), (0, 0)))])


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (4, 5), (7, 2)])
def test_center_crop_pad(tmp_path: Path, shape: tuple[int, int], known: bool) -> None:
    feeds = {"x": RNG.normal(size=(2, 5, 4)).astype(F)}
    wanted = {"s": np.array(shape)}
    nodes = [node("CenterCropPad", "x s", "y", axes=[-1, 1])]
    constants, more = (wanted, {}) if known else ({}, wanted)
    model = network(nodes, feeds | more, ["y"], constants, opset=18)
    assert_like_reference(model, tmp_path, feeds | more)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_that_is_placed_by_itself_may_count(
    tmp_path: Path, auto_pad: str, stride: int
) -> None:
    x = RNG.normal(size=(1, 2, 5, 6)).astype(np.float32)
    said = {"kernel_shape": [3, 2], "strides": [stride, stride], "count_include_pad": 1}
    total = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in ((5, 3), (6, 2))]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    pads = [*less, *more] if auto_pad == "SAME_UPPER" else [*more, *less]
    spread = [(0, 0), (0, 0), *zip(pads[:2], pads[2:], strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, spread), (3, 2), (2, 3))
    want = windows[:, :, ::stride, ::stride].mean((4, 5))
    model = network([node("AveragePool", "x", "y", auto_pad=auto_pad, **said)], {"x": x}, ["y"])
    assert_like_reference(model, tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("read", [False, True])
def test_statistics_of_training_that_nobody_reads_are_left_out(tmp_path: Path, read: bool) -> None:
    x = RNG.normal(size=(4, 2, 3, 3)).astype(np.float32)
    constants = {
        n: np.array(v, np.float32)
        for n, v in zip("sbmv", ([2, 1], [0, 1], [5, 5], [9, 9]), strict=True)
    }
    nodes = [node("BatchNormalization", "x s b m v", "y m1 v1 m2 v2")]
    model = network(nodes, {"x": x}, ["y", "m1"] if read else ["y"], constants, opset=11)
    if read:
        with pytest.raises(UnsupportedError, match="statistics"):
            load(model, tmp_path)
        return
    own = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    scale, shift = (constants[n].reshape(1, 2, 1, 1) for n in "sb")
    want = (x - own[0]) / np.sqrt(own[1] + 1e-5) * scale + shift
    assert_like_reference(model, tmp_path, {"x": x}, [want])
