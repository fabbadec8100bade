"""Fourier transforms, boxes, folded columns and sequences, against numpy or ONNX's reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node
from onnx import TensorProto, helper

from tqconv.errors import UnsupportedError

F = np.float32
RNG = np.random.default_rng(8)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("length", [None, 5, 9])
@pytest.mark.parametrize("axis", [1, -2])
def test_spectra(tmp_path: Path, parts: int, half: int, length: int | None, axis: int) -> None:
    x = RNG.normal(size=(2, 6, 7, parts)).astype(F)
    given = {} if length is None else {"l": np.array(length)}
    constants = given | {"a": np.array(axis)}
    nodes = [node("DFT", f"x {'l' if given else '_'} a", "y", onesided=half)]
    signal = x[..., 0] + (1j * x[..., 1] if parts == 2 else 0)
    along = axis % 4
    found = np.fft.fft(signal, length, along)
    if half:
        found = np.take(found, range(found.shape[along] // 2 + 1), along)
    want = np.stack([found.real, found.imag], -1)
    shapes = {"x": ["n", *x.shape[1:]]}
    model = network(nodes, {"x": x}, ["y"], constants, opset=20, shapes=shapes)
    assert_like_reference(model, tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("half", [0, 1])
def test_signals_of_spectra(tmp_path: Path, half: int) -> None:
    x = RNG.normal(size=(2, 6, 2)).astype(F)
    nodes = [node("DFT", "x", "y", axis=1, inverse=1, onesided=half)]
    spectrum = x[..., 0] + 1j * x[..., 1]
    found = np.fft.irfft(spectrum, axis=1) if half else np.fft.ifft(spectrum, axis=1)
    want = found[..., None] if half else np.stack([found.real, found.imag], -1)
    assert_like_reference(network(nodes, {"x": x}, ["y"]), tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_short_spectra(tmp_path: Path, windowed: bool, is_open: bool) -> None:
    x = RNG.normal(size=(2, 40, 1)).astype(F)
    constants = {"s": np.array(6), "l": np.array(16), "w": np.hanning(16).astype(F)}
    nodes = [node("STFT", "x s w l" if windowed else "x s _ l", "y")]
    frames = np.lib.stride_tricks.sliding_window_view(x[..., 0], 16, 1)[:, ::6]
    found = np.fft.rfft(frames * (constants["w"] if windowed else 1))
    want = np.stack([found.real, found.imag], -1)
    shapes = {"x": ["n", "samples", 1]} if is_open else None
    model = network(nodes, {"x": x}, ["y"], constants, shapes=shapes)
    assert_like_reference(model, tmp_path, {"x": x}, [want])


def test_short_spectra_of_both_parts_under_a_computed_window(tmp_path: Path) -> None:
    x = RNG.normal(size=(2, 24, 2)).astype(F)
    frames = np.lib.stride_tricks.sliding_window_view(x[..., 0] + 1j * x[..., 1], 8, 1)[:, ::4]
    for feeds in ({"x": x}, {"x": x, "w": np.hanning(8).astype(F)}):
        nodes = [node("STFT", "x s w _" if "w" in feeds else "x s _ l", "y", onesided=0)]
        found = np.fft.fft(frames * feeds.get("w", np.ones(8)))
        want = np.stack([found.real, found.imag], -1)
        constants = {"s": np.array(4), "l": np.array(8)}
        model = network(nodes, feeds, ["y"], constants)
        assert_like_reference(model, tmp_path, feeds, [want])


@pytest.mark.parametrize("center", [0, 1])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("most", [2, 2**40])
def test_suppression(tmp_path: Path, center: int, known: bool, most: int) -> None:
    corners = RNG.uniform(0, 4, size=(2, 12, 2))
    boxes = np.concatenate([corners, corners + RNG.uniform(1, 3, size=(2, 12, 2))], 2).astype(F)
    feeds = {"x": boxes, "s": RNG.uniform(size=(2, 3, 12)).astype(F)}
    limits: dict[str, Any] = {"m": np.array([most]), "o": np.array([0.3], F)}
    limits["t"] = np.array([0.4], F)
    nodes = [node("NonMaxSuppression", "x s m o t", "y", center_point_box=center)]
    constants, more = (limits, {}) if known else ({}, limits)
    model = network(nodes, feeds | more, ["y"], constants, opset=11)
    assert_like_reference(model, tmp_path, feeds | more)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_columns_become_images(tmp_path: Path, rank: int) -> None:
    sizes, kernel = [7, 6, 5][:rank], [2, 3, 2][:rank]
    strides, rates, before, after = ([2, 1, 2], [1, 2, 1], [1, 0, 0], [0, 2, 1])
    told = {"strides": strides[:rank], "dilations": rates[:rank]}
    told["pads"] = before[:rank] + after[:rank]
    counts = [
        (s + p + q - (k - 1) * r - 1) // t + 1
        for s, p, q, k, r, t in zip(sizes, before, after, kernel, rates, strides, strict=False)
    ]
    taps, blocks = int(np.prod(kernel)), int(np.prod(counts))
    x = RNG.normal(size=(2, 3 * taps, blocks)).astype(F)
    want = np.zeros((2, 3, *(s + p + q for s, p, q in zip(sizes, before, after, strict=False))))
    columns = x.reshape(2, 3, *kernel, *counts)
    for tap in np.ndindex(*kernel):
        for block in np.ndindex(*counts):
            at = [t * r + c * s for t, r, c, s in zip(tap, rates, block, strides, strict=False)]
            want[(..., *at)] += columns[(..., *tap, *block)]
    inner = tuple(slice(p, p + s) for p, s in zip(before, sizes, strict=False))
    constants = {"i": np.array(sizes), "k": np.array(kernel)}
    model = network([node("Col2Im", "x i k", "y", **told)], {"x": x}, ["y"], constants, opset=18)
    assert_like_reference(model, tmp_path, {"x": x}, [want[(..., *inner)]])


def test_sequences_are_known_while_a_model_is_read(tmp_path: Path) -> None:
    x = RNG.normal(size=(5, 3)).astype(F)
    nodes = [
        node("SplitToSequence", "x two", "s", axis=0),
        node("SequenceErase", "s one", "t"),
        node("SequenceInsert", "t x zero", "u"),
        node("SequenceLength", "u", "n"),
        node("SequenceAt", "u last", "part"),
        node("ConcatFromSequence", "u", "y", axis=0),
    ]
    numbers = {"two": 2, "one": 1, "zero": 0, "last": -1}
    constants = {name: np.array(number) for name, number in numbers.items()}
    model = network(nodes, {"x": x}, ["n", "part", "y"], constants, opset=18)
    want = [np.array(3), x[4:], np.concatenate([x, x[:2], x[4:]])]
    assert_like_reference(model, tmp_path, {"x": x}, want)


def test_a_loop_with_a_sequence_is_written_out(tmp_path: Path) -> None:
    x = RNG.normal(size=(3, 4)).astype(F)
    sequence = helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
    body = helper.make_graph(
        [
            node("Gather", "x i", "row"),
            node("Mul", "row row", "square"),
            node("SequenceInsert", "s square", "t"),
            node("Identity", "c", "d"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("c", TensorProto.BOOL, ()),
            helper.make_value_info("s", sequence),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, ()),
            helper.make_value_info("t", sequence),
        ],
    )
    nodes = [
        node("SequenceEmpty", "", "none"),
        node("Loop", "n t none", "rows", body=body),
        node("ConcatFromSequence", "rows", "y", axis=0, new_axis=1),
    ]
    constants = {"n": np.array(3), "t": np.array(True)}
    model = network(nodes, {"x": x}, ["y"], constants, opset=18)
    assert_like_reference(model, tmp_path, {"x": x}, [x * x])


def test_a_sequence_is_no_result(tmp_path: Path) -> None:
    model = network([node("SequenceConstruct", "x x", "y")], {"x": np.zeros(2, F)}, ["y"])
    with pytest.raises(UnsupportedError, match="output 'y' is a sequence"):
        load(model, tmp_path)
