"""Operators of ai.onnx.ml on numbers, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, computed, load, network, node

from tqconv.errors import UnsupportedError

X = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
ML = "ai.onnx.ml"
SIZES: dict[str, Any] = {
    "MAX": X.max(1, keepdims=True),
    "L1": np.abs(X).sum(1, keepdims=True),
    "L2": np.sqrt((X**2).sum(1, keepdims=True)),
}


@pytest.mark.parametrize("norm", SIZES)
def test_normalizer(tmp_path: Path, norm: str) -> None:
    model = network([node("Normalizer", "x", "y", ML, norm=norm)], {"x": X}, ["y"])
    assert_like_reference(model, tmp_path, {"x": X}, [X / SIZES[norm]])


def test_scaler(tmp_path: Path) -> None:
    offset, scale = [0.5, 1.0, -1.0, 0.0, 2.0], [2.0]
    model = network([node("Scaler", "x", "y", ML, offset=offset, scale=scale)], {"x": X}, ["y"])
    want = (X - np.array(offset, np.float32)) * np.float32(2)
    assert_like_reference(model, tmp_path, {"x": X}, [want])


def test_binarizer_and_features(tmp_path: Path) -> None:
    nodes = [
        node("Binarizer", "x", "z", ML, threshold=0.25),
        node("ArrayFeatureExtractor", "z i", "y", ML),
    ]
    model = network(nodes, {"x": X}, ["y"], {"i": np.array([[3, 0]])})
    assert_like_reference(model, tmp_path, {"x": X}, [(X > 0.25)[:, [3, 0]].astype(np.float32)])


@pytest.mark.parametrize("old", [0.0, np.nan], ids=str)
def test_imputer(tmp_path: Path, old: float) -> None:
    x = X.copy()
    x[1, 2] = x[3] = old
    new = [9.0, 8.0, 7.0, 6.0, 5.0]
    made = node("Imputer", "x", "y", ML, imputed_value_floats=new, replaced_value_float=old)
    wrong = np.isnan(x) if np.isnan(old) else x == old
    want = np.where(wrong, np.array(new, np.float32), x)
    assert_like_reference(network([made], {"x": x}, ["y"]), tmp_path, {"x": x}, [want])


def test_one_hot_and_vectorizer(tmp_path: Path) -> None:
    i = np.array([4, 7, 5, 4], np.int64)
    nodes = [
        node("OneHotEncoder", "i", "hot", ML, cats_int64s=[4, 5, 6]),
        node("FeatureVectorizer", "x hot", "y", ML, inputdimensions=[5, 3]),
    ]
    want = np.hstack([X, i[:, None] == [4, 5, 6]]).astype(np.float32)
    given = {"x": X, "i": i}
    assert_like_reference(network(nodes, given, ["y"]), tmp_path, given, [want])


CODES: dict[str, tuple[np.ndarray, dict[str, Any], list[Any]]] = {
    "reals": (
        np.array([1, np.nan, 3], np.float32),
        {"keys_floats": [1.0, np.nan], "values_int64s": [10, 20], "default_int64": -5},
        [10, 20, -5],
    ),
    "integers": (
        np.array([7, 8, 9], np.int64),
        {"keys_int64s": [9, 7], "values_floats": [0.5, 1.5], "default_float": 2.5},
        [1.5, 2.5, 0.5],
    ),
    "words": (
        np.array([0, 5, 1], np.int64),
        {"keys_int64s": [0, 1], "values_strings": ["cat", "dog"], "default_string": "fish"},
        [b"cat", b"fish", b"dog"],
    ),
}


@pytest.mark.parametrize(("x", "codes", "want"), CODES.values(), ids=CODES)
def test_label_encoder(
    tmp_path: Path, x: np.ndarray, codes: dict[str, Any], want: list[Any]
) -> None:
    model = network([node("LabelEncoder", "x", "y", ML, **codes)], {"x": x}, ["y"])
    for (found,) in computed(model, tmp_path, {"x": x}):
        assert found.tolist() == want


W = np.random.default_rng(5).normal(size=(3, 5)).astype(np.float32)
BIAS = np.array([0.5, -0.5, 0.25], np.float32)


def test_linear_regressor(tmp_path: Path) -> None:
    attributes = {"coefficients": W.ravel(), "intercepts": BIAS, "targets": 3}
    model = network([node("LinearRegressor", "x", "y", ML, **attributes)], {"x": X}, ["y"])
    assert_like_reference(model, tmp_path, {"x": X}, [X @ W.T + BIAS])


def test_linear_classifier(tmp_path: Path) -> None:
    attributes = {
        "coefficients": W.ravel(),
        "intercepts": BIAS,
        "classlabels_ints": [5, 6, 9],
        "post_transform": "SOFTMAX",
    }
    made = node("LinearClassifier", "x", "label scores", ML, **attributes)
    scores = X @ W.T + BIAS
    e = np.exp(scores)
    want = [np.array([5, 6, 9])[scores.argmax(1)], e / e.sum(1, keepdims=True)]
    model = network([made], {"x": X}, ["label", "scores"])
    assert_like_reference(model, tmp_path, {"x": X}, want)


def test_one_row_of_two_classes(tmp_path: Path) -> None:
    attributes = {
        "coefficients": W[0],
        "intercepts": BIAS[:1],
        "classlabels_ints": [2, 4],
        "post_transform": "LOGISTIC",
    }
    made = node("LinearClassifier", "x", "label scores", ML, **attributes)
    score = X @ W[:1].T + BIAS[:1]
    want = [np.where(score[:, 0] > 0, 4, 2), 1 / (1 + np.exp(np.hstack([score, -score])))]
    model = network([made], {"x": X}, ["label", "scores"])
    assert_like_reference(model, tmp_path, {"x": X}, want)


KERNELS: dict[str, Any] = {
    "LINEAR": lambda x, s: x @ s.T,
    "POLY": lambda x, s: (0.5 * (x @ s.T) + 2) ** 3,
    "RBF": lambda x, s: np.exp(-0.5 * ((x[:, None] - s) ** 2).sum(2)),
    "SIGMOID": lambda x, s: np.tanh(0.5 * (x @ s.T) + 2),
}
SUPPORTS = np.random.default_rng(6).normal(size=(7, 5)).astype(np.float32)
ALIKE = np.random.default_rng(7).normal(size=(2, 7)).astype(np.float32)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_svm_regressor(tmp_path: Path, kernel: str, one_class: int) -> None:
    attributes = {
        "coefficients": ALIKE[0],
        "kernel_params": [0.5, 2.0, 3.0],
        "kernel_type": kernel,
        "n_supports": 7,
        "rho": [0.25],
        "support_vectors": SUPPORTS.ravel(),
        "one_class": one_class,
    }
    want = KERNELS[kernel](X, SUPPORTS) @ ALIKE[:1].T + 0.25
    want = np.where(want > 0, 1, -1) if one_class else want
    model = network([node("SVMRegressor", "x", "y", ML, **attributes)], {"x": X}, ["y"])
    assert_like_reference(model, tmp_path, {"x": X}, [want])


@pytest.mark.parametrize("counts", [(2, 3, 2), (4, 3)], ids=str)
def test_svm_classifier(tmp_path: Path, counts: tuple[int, ...]) -> None:
    """Each pair of classes is decided by the vectors of both; the class that wins most is named."""
    classes = len(counts)
    rho = [0.1, -0.2, 0.3][: classes * (classes - 1) // 2]
    attributes = {
        "classlabels_ints": [11, 12, 13][:classes],
        "coefficients": ALIKE[: classes - 1].ravel(),
        "kernel_params": [0.5, 2.0, 3.0],
        "kernel_type": "RBF",
        "rho": rho,
        "support_vectors": SUPPORTS.ravel(),
        "vectors_per_class": counts,
    }
    alike, own = KERNELS["RBF"](X, SUPPORTS), np.repeat(range(classes), counts)
    scores, votes = [], np.zeros((len(X), classes))
    for i in range(classes):
        for j in range(i + 1, classes):
            weights = np.where(own == i, ALIKE[j - 1], 0) + np.where(own == j, ALIKE[i], 0)
            scores.append(alike @ weights + rho[len(scores)])
            votes[:, i] += scores[-1] > 0
            votes[:, j] += scores[-1] <= 0
    labels = np.array(attributes["classlabels_ints"])[votes.argmax(1)]
    want = np.stack(scores, 1)
    want = np.hstack([-want, want]) if classes == 2 else want
    made = node("SVMClassifier", "x", "label scores", ML, **attributes)
    model = network([made], {"x": X}, ["label", "scores"])
    assert_like_reference(model, tmp_path, {"x": X}, [labels, want])


def test_a_list_of_maps_is_refused_with_what_to_do(tmp_path: Path) -> None:
    made = node("ZipMap", "x", "y", ML, classlabels_int64s=[0, 1, 2, 3, 4])
    with pytest.raises(UnsupportedError, match="maps") as caught:
        load(network([made], {"x": X}, ["y"]), tmp_path)
    assert "zipmap=False" in (caught.value.hint or "")
