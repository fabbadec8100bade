"""Support vector machines of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.sizes import inserted
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.handlers.scores import labelled, opposed, rows_of, transformed
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
Vectors = NDArray[np.float32]


@handles("ai.onnx.ml:SVMRegressor")
def svm_regressor(
    b: ONNXBuilder,
    x: Tensor,
    *,
    coefficients: Sequence[float],
    kernel_params: Sequence[float] = (),
    kernel_type: str = "LINEAR",
    n_supports: int = 0,
    one_class: int = 0,
    post_transform: str = "NONE",
    rho: Sequence[float],
    support_vectors: Sequence[float] = (),
) -> Tensor:
    """A sum of how alike the features and each vector are: [n, features] to [n, 1].

    one_class: whether it is above 0, as 1 or -1.
    """
    x = rows_of(b, x)
    weights = np.array(coefficients, F).reshape(1, -1)
    if n_supports:
        vectors = _rows(support_vectors, n_supports)
        x = _alike(b, x, vectors, kernel_type, kernel_params)
    if x.shape[-1] is not None and x.shape[-1] != weights.shape[1]:
        raise FormatError(f"{weights.shape[1]} coefficients of {x.shape[-1]} vectors")
    y = b("FULLY_CONNECTED", x, weights, np.array(rho[:1], F), keep_num_dims=True)
    if one_class:
        return b("SELECT_V2", b("GREATER", y, F(0)), F(1), F(-1))
    return transformed(b, y, post_transform)


@handles("ai.onnx.ml:SVMClassifier")
def svm_classifier(
    b: ONNXBuilder,
    x: Tensor,
    *,
    classlabels_ints: Sequence[int] = (),
    classlabels_strings: Sequence[str] = (),
    coefficients: Sequence[float],
    kernel_params: Sequence[float] = (),
    kernel_type: str = "LINEAR",
    post_transform: str = "NONE",
    prob_a: Sequence[float] = (),
    prob_b: Sequence[float] = (),
    rho: Sequence[float],
    support_vectors: Sequence[float] = (),
    vectors_per_class: Sequence[int] = (),
) -> tuple[Tensor | None, Tensor]:
    """Return the label of the class that wins the most pairs, and the scores of the pairs."""
    if prob_a or not vectors_per_class:
        raise UnsupportedError(
            "probabilities of classes, which are found by iteration" if prob_a else "a linear one",
            hint="export it with probability=False"
            if prob_a
            else "export it as a linear classifier",
        )
    classes, count = len(vectors_per_class), sum(vectors_per_class)
    pairs = list(combinations(range(classes), 2))
    if len(coefficients) != (classes - 1) * count or len(rho) != len(pairs):
        raise FormatError(f"{len(coefficients)} coefficients of {count} vectors")
    weights = np.array(coefficients, F).reshape(classes - 1, count)
    ends = np.cumsum([0, *vectors_per_class])
    own = np.zeros((len(pairs), count), F)
    votes = np.zeros((classes, len(pairs)), F)
    for row, (i, j) in enumerate(pairs):
        own[row, ends[i] : ends[i + 1]] = weights[j - 1, ends[i] : ends[i + 1]]
        own[row, ends[j] : ends[j + 1]] = weights[i, ends[j] : ends[j + 1]]
        votes[i, row], votes[j, row] = 1, -1
    x = rows_of(b, x)
    alike = _alike(b, x, _rows(support_vectors, count), kernel_type, kernel_params)
    scores = b("FULLY_CONNECTED", alike, own, np.array(rho, F), keep_num_dims=True)
    label = None
    if b.wants(0):
        won = b.cast(b("GREATER", scores, F(0)), F)
        # A pair that the first class does not win is won by the second.
        total = b("FULLY_CONNECTED", won, votes, (votes < 0).sum(1).astype(F), keep_num_dims=True)
        place = b("ARG_MAX", total, np.array(1, np.int32), output_type="INT32")
        label = labelled(b, place, classlabels_ints, classlabels_strings)
    if classes == 2:
        return label, opposed(b, scores, post_transform, shares=False)
    return label, transformed(b, scores, post_transform)


def _rows(numbers: Sequence[float], count: int) -> Vectors:
    if count < 1 or not numbers or len(numbers) % count:
        raise FormatError(f"{len(numbers)} numbers of {count} support vectors")
    return np.array(numbers, F).reshape(count, -1)


def _alike(
    b: ONNXBuilder, x: Tensor, vectors: Vectors, kernel: str, parameters: Sequence[float]
) -> Tensor:
    """Return how alike each row of x: [n, features] and each vector are: [n, vectors]."""
    gamma, shift, degree = map(F, (*parameters, 0, 0, 0)[:3])
    if kernel == "RBF":
        apart = b("SQUARED_DIFFERENCE", inserted(b, x, 1), vectors)
        return b("EXP", b("MUL", b("SUM", apart, np.array([2], np.int32)), -gamma))
    product = b("FULLY_CONNECTED", x, vectors, None, keep_num_dims=True)
    if kernel == "LINEAR":
        return product
    y = b("ADD", b("MUL", product, gamma), shift)
    if kernel == "POLY":
        return b("POW", y, degree)
    if kernel == "SIGMOID":
        return b("TANH", y)
    raise UnsupportedError(f"kernel_type `{kernel}`")
