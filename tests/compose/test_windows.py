"""Convolutions, transposed convolutions and pools of one to three axes, against loops in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from composed import assert_composed
from numpy.typing import NDArray
from window_reference import conv as conv_reference
from window_reference import same_padding, windows
from window_reference import transposed as transposed_reference

from tqconv.compose import conv, pool, transposed
from tqconv.compose.builder import Builder
from tqconv.compose.windows import SAME, SAME_LOWER, VALID, Padding, Window, windows_over
from tqconv.ir.graph import Graph
from tqconv.ir.types import Source

Array = NDArray[Any]
SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 4)}
PADDINGS: list[Padding] = [SAME, SAME_LOWER, VALID, (1, 1), (0, 1)]


def pairs_of(padding: Padding, sizes: Any, kernel: Any, strides: Any, rates: Any) -> Any:
    """The padding of each axis as pairs."""
    if isinstance(padding, tuple):
        return [padding] * len(sizes)
    pairs = [same_padding(*each) for each in zip(sizes, kernel, strides, rates, strict=True)]
    return pairs if padding == SAME else [pair[::-1] for pair in pairs]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(axes: int, padding: Padding, groups: int) -> None:
    x = numbers(2, *SIZES[axes], 4)
    kernel, strides, rates = [3, 2, 2][:axes], [2, 1, 2][:axes], [1, 2, 1][:axes]
    w = numbers(*kernel, 4 // groups, 6, seed=1)
    pairs = pairs_of(padding, x.shape[1:-1], kernel, strides, rates)
    expected = conv_reference(x, w, strides, pairs, rates)
    over = windows_over(kernel, strides, rates, padding)
    assert_composed(lambda b, x: conv.conv(b, x, b.const(w), over), [x], expected)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("each", [1, 2])
def test_a_group_for_each_channel_is_a_depthwise_convolution(axes: int, each: int) -> None:
    x, kernel = numbers(2, *SIZES[axes], 3), [3, 2][:axes]
    w = numbers(*kernel, 1, 3 * each, seed=1)
    types: list[str] = []

    def make(b: Any, x: Any) -> Any:
        y = conv.conv(b, x, b.const(w), windows_over(kernel))
        types.extend(op.type for op in b.graph.ops)
        return y

    assert_composed(make, [x], conv_reference(x, w, [1] * axes, "VALID"))
    assert "DEPTHWISE_CONV_2D" in types
    assert "CONV_2D" not in types


@pytest.mark.parametrize("padding", [SAME, SAME_LOWER, (1, 2)])
def test_convolution_of_unknown_sizes(padding: Padding) -> None:
    x, w = numbers(2, 9, 7, 4), numbers(3, 2, 4, 5, seed=1)
    pairs = pairs_of(padding, (9, 7), (3, 2), (2, 2), (1, 1))
    over = windows_over([3, 2], [2, 2], padding=padding)
    expected = conv_reference(x, w, (2, 2), pairs)
    made = lambda b, x: conv.conv(b, x, b.const(w), over)  # noqa: E731
    assert_composed(made, [x], expected, open_axes=(0, 1, 2))


def test_padding_below_zero_cuts() -> None:
    x, w = numbers(1, 9, 7, 2), numbers(3, 3, 2, 3, seed=1)
    over = windows_over([3, 3], padding=[(-1, 2), (1, -2)])
    expected = conv_reference(
        np.pad(x[:, 1:, :-2], [(0, 0), (0, 2), (1, 0), (0, 0)]), w, (1, 1), "VALID"
    )
    assert_composed(lambda b, x: conv.conv(b, x, b.const(w), over), [x], expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", [SAME, (1, 0)])
def test_depthwise_convolution(axes: int, padding: Padding) -> None:
    x, kernel = numbers(2, *SIZES[axes], 3), [2, 3, 2][:axes]
    w = numbers(*kernel, 3, 2, seed=1)
    pairs = pairs_of(padding, x.shape[1:-1], kernel, [1] * axes, [1] * axes)
    expected = conv_reference(x, w.reshape(*kernel, 1, 6), [1] * axes, pairs)
    over = windows_over(kernel, padding=padding)
    assert_composed(lambda b, x: conv.depthwise(b, x, b.const(w), over), [x], expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", [SAME, VALID, (1, 0), (1, 2)])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("extra", [0, 1])
def test_transposed_convolution(axes: int, padding: Padding, groups: int, extra: int) -> None:
    x = numbers(2, *[4, 3, 3][:axes], 4)
    kernel, strides = [3, 3, 4][:axes], [2, 3, 2][:axes]
    w = numbers(*kernel, 6 // groups, 4, seed=1)
    over = windows_over(kernel, strides, padding=padding)
    around = (0, 0) if padding == SAME else padding
    sizes = [
        n * s if padding == SAME else (n - 1) * s + k - sum(around) + extra
        for n, s, k in zip(x.shape[1:-1], strides, kernel, strict=True)
    ]
    pairs = pairs_of(padding, sizes, kernel, strides, [1] * axes)
    halves = zip(np.split(x, groups, -1), np.split(w, groups, -1), strict=True)
    expected = np.concatenate(
        [transposed_reference(part, f, sizes, strides, pairs) for part, f in halves], -1
    )

    def make(b: Any, x: Any) -> Any:
        found = transposed.spread_sizes(b, x, 6, over, [extra] * axes)
        assert found == [2, *sizes, 6]
        return transposed.transposed(b, x, b.const(w), over, found)

    assert_composed(make, [x], expected)


def test_transposed_convolution_of_an_unknown_size() -> None:
    x, w = numbers(2, 4, 3, 4), numbers(3, 3, 5, 4, seed=1)
    over = windows_over([3, 3], [2, 2], padding=(1, 1))
    expected = transposed_reference(x, w, (7, 5), (2, 2), [(1, 1)] * 2)

    def make(b: Any, x: Any) -> Any:
        sizes = transposed.spread_sizes(b, x, 5, over)
        return transposed.transposed(b, x, b.const(w), over, sizes)

    assert_composed(make, [x], expected, open_axes=(0, 1, 2))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("rate", [1, 2])
def test_max_pool(axes: int, padding: Padding, rate: int) -> None:
    x, kernel, strides = -np.abs(numbers(2, *SIZES[axes], 3)), [2] * axes, [2, 1, 2][:axes]
    pairs = pairs_of(padding, x.shape[1:-1], kernel, strides, [rate] * axes)
    seen = windows(x, kernel, strides, pairs, [rate] * axes, value=-np.inf)
    expected = seen.max(axis=tuple(range(1 + axes, 1 + 2 * axes)))
    over = windows_over(kernel, strides, [rate] * axes, padding)
    assert_composed(lambda b, x: pool.max_pool(b, x, over), [x], expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("rate", [1, 2])
@pytest.mark.parametrize("open_axes", [(), (0, 1)])
def test_average_pool(axes: int, padding: Padding, counts: bool, rate: int, open_axes: Any) -> None:
    x, kernel, strides = numbers(2, *SIZES[axes], 3), [3, 2, 2][:axes], [2, 1, 2][:axes]
    rates = [rate, 1, 1][:axes]
    pairs = pairs_of(padding, x.shape[1:-1], kernel, strides, rates)
    inner = tuple(range(1 + axes, 1 + 2 * axes))
    total = windows(x, kernel, strides, pairs, rates).sum(axis=inner)
    count = windows(np.ones_like(x), kernel, strides, pairs, rates, value=int(counts))
    over = windows_over(kernel, strides, rates, padding)
    counted = pairs if counts else None
    expected = total / count.sum(axis=inner)

    def make(b: Any, x: Any) -> Any:
        return pool.average_pool(b, x, over, counted)

    assert_composed(make, [x], expected, open_axes=open_axes)


@pytest.mark.parametrize(
    ("size", "window", "count"),
    [
        (8, Window(3, 2), 4),  # one more than fits
        (7, Window(3, 2), 3),
        (7, Window(2, 3, padding=(1, 1)), 3),
        (6, Window(2, 3, padding=(1, 1)), 3),
        (5, Window(2, 3, padding=(0, 1)), 2),  # a third would begin in the padding
        (4, Window(1, 4, padding=(1, 1)), 2),
        (9, Window(2, 2, 3, padding=(1, 0)), 4),
    ],
)
def test_windows_rounded_up(size: int, window: Window, count: int) -> None:
    made = pool.ceiled(window, size)
    assert isinstance(made.padding, tuple)
    assert made.padding[0] == window.padding[0]
    room = size + sum(made.padding) - window.reach
    assert (room // window.stride + 1, room % window.stride) == (count, 0)


@pytest.mark.parametrize(
    "window", [Window(3), Window(3, 2, padding=(1, 1)), Window(2, 3, padding=(0, 1)), Window(1, 4)]
)
def test_windows_rounded_up_over_any_size(window: Window) -> None:
    made = pool.ceiled(window, None)
    for size in range(window.reach, 20):
        counts = [
            (size + sum(w.padding) - w.reach) // w.stride  # type: ignore[arg-type]
            for w in (made, pool.ceiled(window, size))
        ]
        assert counts[0] == counts[1]


def test_places_of_maxima() -> None:
    x = numbers(2, 6, 5, 3)
    over = [Window(2, 2, padding=(1, 1)), Window(2, 1, 2)]
    y = windows(x, (2, 2), (2, 1), [(1, 1), (0, 0)], (1, 2), value=-np.inf)
    flat = np.arange(x.size).reshape(x.shape)
    index = windows(flat, (2, 2), (2, 1), [(1, 1), (0, 0)], (1, 2), value=-1)
    n, rows, columns = y.shape[:3]
    best = y.reshape(n, rows, columns, 4, 3).argmax(axis=3)[:, :, :, None]
    places = np.take_along_axis(index.reshape(n, rows, columns, 4, 3), best, axis=3)[:, :, :, 0]
    steps = [6 * 5 * 3, 5 * 3, 3, 1]
    expected = y.max(axis=(3, 4)), places.astype(np.int64)
    assert_composed(lambda b, x: pool.max_pool_places(b, x, over, steps), [x], *expected)


def test_weights_that_operators_share_are_turned_once() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (1, 5, 5, 4), np.dtype(np.float32))
    w = graph.constant("w", numbers(3, 3, 4, 4))
    over = windows_over([3, 3], [1, 1], [1, 1], SAME)
    for name in ("first", "second"):
        x = conv.conv(Builder(graph, Source(name, "Conv2D", ""), name), x, w, over)
    first, second = (op.input(1) for op in graph.ops)
    assert first is second
    np.testing.assert_array_equal(first.data, w.data.transpose(3, 0, 1, 2))
