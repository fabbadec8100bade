"""A file in pieces: what is written is what is joined, and large constants are not copied."""

from __future__ import annotations

import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from tqconv.schema import flatbuf, pieces
from tqconv.schema.pieces import Pieces


def arrays() -> list[np.ndarray]:
    numbers = np.arange(4 * 60 * 50, dtype=np.float32).reshape(4, 60, 50)
    return [
        numbers,
        numbers.transpose(2, 0, 1),
        numbers[:, ::2, 5:],
        np.broadcast_to(np.float32(1.5), (70, 80)),
        np.array(3, np.int64),
        np.zeros((0, 7), np.float32),
        numbers.astype(ml_dtypes.bfloat16).T,
        numbers.T.copy().T,
    ]


@pytest.mark.parametrize("block", [1, 100, 1000, 10**6])
@pytest.mark.parametrize("array", arrays(), ids=lambda a: f"{a.dtype}{a.shape}{a.strides}")
def test_blocks_are_the_bytes_in_c_order(
    array: np.ndarray, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", block)
    file = Pieces([b"begin", array, b"end"])
    written = b"".join(bytes(part) for part in file)
    assert written == b"begin" + array.tobytes() + b"end"
    assert bytes(file.joined()) == written
    assert len(file) == len(written)


def test_a_file_in_pieces_is_the_file() -> None:
    model = {"buffers": [{}, *({"data": array} for array in arrays())], "description": "d"}
    written = b"".join(bytes(part) for part in flatbuf.pieces(model))
    assert written == flatbuf.write(model)
    behind = b"".join(bytes(part) for part in flatbuf.pieces(model, limit=1000))
    assert behind == flatbuf.write(model, limit=1000)
    assert behind != written


def test_constants_are_not_copied_to_be_written() -> None:
    large = np.ones((2048, 1024), np.float32)
    tracemalloc.start()
    size = sum(len(part) for part in flatbuf.pieces({"buffers": [{"data": large.T}]}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > large.nbytes
    assert peak < 0.6 * large.nbytes


def test_joining_copies_once() -> None:
    array = np.zeros((1 << 20, 3), np.float32).T
    file = Pieces([b"begin", array, b"end"])
    tracemalloc.start()
    joined = file.joined()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(joined) is bytes
    assert peak < 1.01 * array.nbytes
