"""Joining, taking apart, repeating, padding and reordering."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
I32, I64 = np.int32, np.int64
DTYPES = [np.float32, np.int8, np.uint8, np.int16, np.uint16, I32, np.uint32, I64, np.uint64, bool]
PADS = np.array([[1, 0], [0, 2], [1, 1]], I32)


def axis(value: int, dtype: Any = I32) -> Any:
    return np.array(value, dtype)


CASES: list[tuple[str, list[Any], Any, dict[str, Any]]] = [
    ("Transpose", [X, np.array([2, 0, 1], I64)], X.transpose(2, 0, 1), {}),
    ("ConjugateTranspose", [X, np.array([0, 2, 1], I32)], X.transpose(0, 2, 1), {"constants": [1]}),
    ("ConcatV2", [X, X[:, :1], axis(-2)], np.concatenate([X, X[:, :1]], 1), {"constants": [2]}),
    ("ConcatV2", [X[:, :0], X, axis(1)], X, {"constants": [2]}),
    ("Concat", [axis(0), X, X], np.concatenate([X, X]), {"constants": [0], "dynamic": True}),
    ("ParallelConcat", [X[:1], X[1:]], X, {"N": 2, "shape": (2, 3, 4)}),
    ("Pack", [X, X], np.stack([X, X], 3), {"axis": -1}),
    ("Pack", [X], X[:, None], {"axis": 1, "dynamic": True}),
    ("Unpack", [X], tuple(X.transpose(1, 0, 2)), {"num": 3, "axis": -2}),
    ("Split", [axis(-1), X], tuple(np.split(X, 2, 2)), {"num_split": 2, "constants": [0]}),
    ("SplitV", [X, np.array([1, -1], I64), axis(1)], (X[:, :1], X[:, 1:]),
     {"num_split": 2, "constants": [1, 2]}),
    ("SplitV", [X, np.array([2, 1], I32), axis(1)], (X[:, :2], X[:, 2:]),
     {"num_split": 2, "constants": [2]}),
    ("Pad", [X, PADS.astype(I64)], np.pad(X, PADS), {"dynamic": True}),
    ("PadV2", [X, PADS, np.float32(2.5)], np.pad(X, PADS, constant_values=2.5), {}),
    ("MirrorPad", [X, PADS], np.pad(X, PADS, "reflect"), {"mode": "REFLECT"}),
    ("MirrorPad", [X, PADS], np.pad(X, PADS, "symmetric"), {"mode": "SYMMETRIC", "constants": [1]}),
    ("Tile", [X, np.array([1, 2, 3], I64)], np.tile(X, (1, 2, 3)), {}),
    ("ReverseV2", [X, np.array([0, -1], I64)], X[::-1, :, ::-1], {"constants": [1]}),
    ("ReverseV2", [X, np.zeros(0, I32)], X, {"constants": [1]}),
    ("Reverse", [X, np.array([True, False, True])], X[::-1, :, ::-1], {"constants": [1]}),
    ("Roll", [X, np.array([1, -2], I32), np.array([0, 2], I32)], np.roll(X, (1, -2), (0, 2)),
     {"constants": [1, 2]}),
    ("Roll", [X, np.array([4, -7], I64), np.array([0, -1], I64)], np.roll(X, (4, -7), (0, 2)),
     {"constants": [2], "dynamic": True}),
    ("InvertPermutation", [np.array([3, 0, 2, 1], I64)], np.array([1, 3, 2, 0], I64), {}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "operands", "expected", "more"), CASES)
def test_array_operators(op: str, operands: list[Any], expected: Any, more: dict[str, Any]) -> None:
    assert_op(op, operands, expected, **more)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_moved_exactly(dtype: Any) -> None:
    """Extremes of the type, so that a detour through a type that cannot hold them shows."""
    x = np.zeros((2, 3), dtype)
    x[0] = 1
    if x.dtype.kind in "iu":
        x[1] = np.iinfo(x.dtype).max, np.iinfo(x.dtype).min, np.iinfo(x.dtype).max - 1
    assert_op("ConcatV2", [x, x, axis(1)], np.concatenate([x, x], 1), constants=[2])
    assert_op("Unpack", [x], tuple(x), num=2)
    assert_op("Split", [axis(1), x], tuple(np.split(x, 3, 1)), constants=[0], num_split=3)
    assert_op("Pad", [x, PADS[:2]], np.pad(x, PADS[:2]), constants=[1])
    assert_op("ReverseV2", [x, np.array([1], I32)], x[:, ::-1], constants=[1])
    lengths = np.array([2, 3], I32)
    turned = np.array([[*x[0, 1::-1], x[0, 2]], x[1, ::-1]])
    assert_op("ReverseSequence", [x, lengths], turned, seq_dim=1, batch_dim=0)


@pytest.mark.parametrize("rank", range(1, 8))
def test_every_rank(rank: int) -> None:
    shape = (2, 3, 1, 2, 2, 3, 2)[:rank]
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    pads = np.array([[1, 2]] + [[0, 0]] * (rank - 1), I32)
    pads[rank // 2] = 0, 1
    assert_op("Pad", [x, pads], np.pad(x, pads), constants=[1])
    perm = np.arange(rank)[::-1].astype(I32)
    assert_op("Transpose", [x, perm], x.transpose(perm), constants=[1])
    assert_op("ConcatV2", [x, x, axis(-1)], np.concatenate([x, x], -1), constants=[2])
    assert_op("Split", [axis(0), x], tuple(np.split(x, 2)), constants=[0], num_split=2)
    assert_op("ReverseV2", [x, np.arange(rank, dtype=I32)], np.flip(x), constants=[1])


def test_every_axis_of_six_dimensions_is_padded() -> None:
    x = np.arange(144, dtype=np.float32).reshape(2, 3, 1, 2, 4, 3)
    pads = np.array([[1, 0], [0, 2], [1, 1], [0, 1], [2, 0], [1, 1]], I32)
    assert_op("Pad", [x, pads], np.pad(x, pads), constants=[1])


def test_complex_numbers_are_moved_and_conjugated() -> None:
    x = np.array([[1 + 2j, 3, -1j], [0, 5, 1]], np.complex64)
    assert_op("ConjugateTranspose", [x, np.array([1, 0], I32)], x.conj().T, constants=[1])
    assert_op("ConcatV2", [x, x, axis(0)], np.concatenate([x, x]), constants=[2])
    assert_op("PadV2", [x, PADS[:2], np.complex64(1j)], np.pad(x, PADS[:2], constant_values=1j))
