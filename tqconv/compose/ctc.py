"""Decoding of what a network says step after step (connectionist temporal classification)."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64
from tqconv.compose.reduce import place_of_extreme, reduced
from tqconv.compose.scatter import sparse_to_dense
from tqconv.compose.sizes import calculate, inserted, operand, size_of, vector
from tqconv.compose.slices import along
from tqconv.compose.sparse_math import Sparse, coordinate
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)


def greedy(
    b: Builder, scores: Tensor, lengths: Tensor, blank: int, *, merges: bool
) -> tuple[Sparse, Tensor]:
    """Return the likeliest class of each step, without blanks, and each row's negative score.

    scores: [steps, batch, classes]; a negative `blank` counts from the end. merges: a class that
    follows itself is left out.
    """
    classes = size_of(b, scores, 2)
    blank_ = operand(calculate(b, "ADD", classes, blank) if blank < 0 else blank)
    best = b.transpose(place_of_extreme(b, "ARG_MAX", scores, 2, INT32), [1, 0])
    steps = b("RANGE", ZERO, operand(size_of(b, scores, 0)), ONE)
    within = b("LESS", inserted(b, steps, 0), inserted(b, b.cast(lengths, INT32), 1))
    said = b("LOGICAL_AND", within, b("NOT_EQUAL", best, blank_))
    if merges:
        before = b("PADV2", along(b, best, 1, None, -1), np.array([[0, 0], [1, 0]], INT32), -ONE)
        said = b("LOGICAL_AND", said, b("NOT_EQUAL", best, before))
    top = b.transpose(reduced(b, "REDUCE_MAX", scores, [2]), [1, 0])
    kept = b("SELECT_V2", within, top, np.float32(0))
    score = b("NEG", reduced(b, "SUM", kept, [1], keep_dims=True))
    return _joined(b, best, said), score


def _joined(b: Builder, classes: Tensor, said: Tensor) -> Sparse:
    """Return the classes that are said, moved together in each row."""
    found = b("WHERE", said)
    count = b("CUMSUM", b.cast(said, INT32), ONE)
    place = b("SUB", b("GATHER_ND", count, found), ONE)
    places = b("PACK", coordinate(b, found, 0), place, axis=1, values_count=2)
    most = b("REDUCE_MAX", count, np.array([0, 1], INT32))
    shape = vector(b, [size_of(b, classes, 0), most])
    values = b("GATHER_ND", classes, found)
    assert isinstance(shape, Tensor)
    return Sparse(b.cast(places, INT64), b.cast(values, INT64), b.cast(shape, INT64))


def rows(
    b: Builder, scores: Tensor, lengths: Tensor, blank: int, *, merges: bool
) -> tuple[Tensor, Tensor]:
    """Return the same as a matrix [batch, steps] of int64, -1 behind each row's last class."""
    said, score = greedy(b, scores, lengths, blank, merges=merges)
    shape = vector(b, [size_of(b, scores, 1), size_of(b, scores, 0)])
    sizes = b.const(shape, INT32) if isinstance(shape, np.ndarray) else shape
    none = b.const(np.array(-1, INT64))
    return sparse_to_dense(b, said.places, sizes, said.values, none), score
