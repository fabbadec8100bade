"""What operators of ai.onnx.ml make of scores: other scores, and the label of a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import activations, functions
from tqconv.compose.sizes import reshaped
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder
from tqconv.ir.graph import Tensor

F = np.float32
ZERO = F(1e-7)
"""Scores closer to 0 than this are none to SOFTMAX_ZERO (onnxruntime: ml_common.h)."""
LAST = np.array([-1], np.int32)


def rows_of(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Return features as reals: [n, features]; a vector is one row."""
    return b.cast(reshaped(b, x, [1, -1]) if x.rank == 1 else x, F)


def transformed(b: ONNXBuilder, scores: Tensor, post_transform: str) -> Tensor:
    """Return scores: [n, k] as `post_transform` wants them.

    A single score shares with nobody: SOFTMAX leaves it as it is (onnxruntime: ml_common.h).
    """
    if post_transform == "NONE" or (scores.shape[1] == 1 and "SOFTMAX" in post_transform):
        return scores
    if post_transform == "SOFTMAX":
        return activations.softmax(b, scores)
    if post_transform == "LOGISTIC":
        return b("LOGISTIC", scores)
    if post_transform == "PROBIT":
        return functions.ndtri(b, scores)
    if post_transform == "SOFTMAX_ZERO":
        counts = b("GREATER", b("ABS", scores), ZERO)
        shifted = b("EXP", b("SUB", scores, b("REDUCE_MAX", scores, LAST, keep_dims=True)))
        shown = b("SELECT_V2", counts, shifted, F(0))
        return b("DIV", shown, b("SUM", shown, LAST, keep_dims=True))
    raise UnsupportedError(f"post_transform `{post_transform}`")


def opposed(b: ONNXBuilder, score: Tensor, post_transform: str, *, shares: bool) -> Tensor:
    """Return the scores of both classes from that of the second: [n, 1] to [n, 2].

    shares: a score is a share, so that the other class has the rest of 1; else it is on the side of
    one class or of the other.
    """
    if post_transform == "PROBIT":
        raise UnsupportedError("post_transform `PROBIT` of a single score")
    if shares and post_transform != "LOGISTIC":
        return b("CONCATENATION", b("SUB", F(1), score), score, axis=1)
    both = b("CONCATENATION", b("NEG", score), score, axis=1)
    return b("LOGISTIC", both) if post_transform == "LOGISTIC" else both


def labelled(b: ONNXBuilder, place: Tensor, numbers: Sequence[int], words: Sequence[str]) -> Any:
    """Return the labels of classes, numbers or words, from their places: [n]."""
    if words:
        texts = np.array([w.encode() if isinstance(w, str) else w for w in words], object)
        return b("GATHER", b.const(texts), place)
    return b("GATHER", np.array(numbers, np.int64), place)
