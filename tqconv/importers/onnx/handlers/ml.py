"""Operators of ai.onnx.ml on tensors of numbers, as converters of classical models write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from tqconv.compose.sizes import inserted, reshaped
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.handlers.scores import labelled, opposed, rows_of, transformed
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
WORDS = "it reads text, of which TensorFlow Lite computes nothing"
BEFORE = "do it before the model: cut it behind this node, with --input_arrays"


@handles("ai.onnx.ml:ArrayFeatureExtractor")
def features(b: ONNXBuilder, x: Tensor, places: Tensor) -> Tensor:
    """Take elements along the last axis; of a vector, as one row."""
    taken = b("GATHER", x, reshaped(b, places, [-1]), axis=x.rank - 1)
    return reshaped(b, taken, [1, -1]) if x.rank == 1 else taken


@handles("ai.onnx.ml:Binarizer")
def binarizer(b: ONNXBuilder, x: Tensor, *, threshold: float = 0.0) -> Tensor:
    """1 where x is above the threshold, else 0."""
    return b.cast(b("GREATER", x, np.array(threshold, x.dtype)), x.dtype)


@handles("ai.onnx.ml:Scaler")
def scaler(
    b: ONNXBuilder, x: Tensor, *, offset: Sequence[float] = (), scale: Sequence[float] = ()
) -> Tensor:
    """(x - offset) * scale, one number of each for all features, or one for each."""
    y = b.cast(x, F)
    y = b("SUB", y, np.array(offset, F)) if offset else y
    return b("MUL", y, np.array(scale, F)) if scale else y


@handles("ai.onnx.ml:Normalizer")
def normalizer(b: ONNXBuilder, x: Tensor, *, norm: str = "MAX") -> Tensor:
    """Divide each row by its largest element, the sum of its sizes, or its length."""
    y = b.cast(x, F)
    last = np.array([y.rank - 1], np.int32)
    if norm == "L2":
        size = b("SQRT", b("SUM", b("SQUARE", y), last, keep_dims=True))
    elif norm == "L1":
        size = b("SUM", b("ABS", y), last, keep_dims=True)
    elif norm == "MAX":
        size = b("REDUCE_MAX", y, last, keep_dims=True)
    else:
        raise UnsupportedError(f"norm `{norm}`")
    zero = b("EQUAL", size, np.array(0, F))
    return b("DIV", y, b("SELECT_V2", zero, np.array(1, F), size))


@handles("ai.onnx.ml:Imputer")
def imputer(
    b: ONNXBuilder,
    x: Tensor,
    *,
    imputed_value_floats: Sequence[float] = (),
    imputed_value_int64s: Sequence[int] = (),
    replaced_value_float: float = 0.0,
    replaced_value_int64: int = 0,
) -> Tensor:
    """Put other numbers, one of each feature or one of all, where x is a certain one, or NaN."""
    reals = x.dtype.kind == "f"
    numbers = np.array(imputed_value_floats if reals else imputed_value_int64s, x.dtype)
    old = np.array(replaced_value_float if reals else replaced_value_int64, x.dtype)
    if not numbers.size:
        raise FormatError("no values to put in the place of others")
    wrong = b("NOT_EQUAL", x, x) if old != old else b("EQUAL", x, old)
    return b("SELECT_V2", wrong, numbers if numbers.size > 1 else numbers.reshape(()), x)


@handles("ai.onnx.ml:FeatureVectorizer")
def vectorizer(b: ONNXBuilder, *xs: Tensor, inputdimensions: Sequence[int] = ()) -> Tensor:
    """Join features side by side."""
    rows = [rows_of(b, x) for x in xs]
    return b("CONCATENATION", *rows, axis=1)


@handles("ai.onnx.ml:OneHotEncoder")
def one_hot(
    b: ONNXBuilder,
    x: Tensor,
    *,
    cats_int64s: Sequence[int] = (),
    cats_strings: Sequence[str] = (),
    zeros: int = 1,
) -> Tensor:
    """1 at the place of the category that an element is: [..., categories]."""
    if cats_strings:
        raise UnsupportedError(WORDS, hint=BEFORE)
    categories = np.array(cats_int64s, np.int64)
    return b.cast(b("EQUAL", inserted(b, b.cast(x, np.int64), x.rank), categories), F)


@handles("ai.onnx.ml:LabelEncoder", since=2)
def label_encoder(
    b: ONNXBuilder,
    x: Tensor,
    *,
    keys_floats: Sequence[float] = (),
    keys_int64s: Sequence[int] = (),
    keys_strings: Sequence[str] = (),
    keys_tensor: Any = None,
    values_floats: Sequence[float] = (),
    values_int64s: Sequence[int] = (),
    values_strings: Sequence[str] = (),
    values_tensor: Any = None,
    default_float: float = -0.0,
    default_int64: int = -1,
    default_string: str = "_Unused",
    default_tensor: Any = None,
) -> Any:
    """Look up the value of a key that each element is; of those that are none, the default."""
    if keys_strings or x.dtype.kind not in "fiu":
        raise UnsupportedError(WORDS, hint=BEFORE)
    keys = np.asarray(keys_floats or keys_int64s if keys_tensor is None else keys_tensor, x.dtype)
    if values_strings:
        words = [*values_strings, default_string]
        values = None
    elif values_tensor is not None:
        values = np.append(
            values_tensor,
            values_tensor.dtype.type(
                default_int64 if default_tensor is None else default_tensor.reshape(-1)[0]
            ),
        )
    elif values_floats:
        values = np.array([*values_floats, default_float], F)
    else:
        values = np.array([*values_int64s, default_int64], np.int64)
    count = len(words) if values is None else values.size
    if keys.ndim != 1 or keys.size != count - 1:
        raise FormatError(f"{keys.size} keys and {count - 1} values")
    element = inserted(b, x, x.rank)
    same = b("EQUAL", element, keys)
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        unknown = b("LOGICAL_AND", b("NOT_EQUAL", element, element), np.isnan(keys))
        same = b("LOGICAL_OR", same, unknown)
    last = np.array([x.rank], np.int32)
    place = b("ARG_MAX", b.cast(same, F), last[0], output_type="INT32")
    place = b("SELECT_V2", b("REDUCE_ANY", same, last), place, np.array(keys.size, np.int32))
    return labelled(b, place, (), words) if values is None else b("GATHER", values, place)


@handles("ai.onnx.ml:LinearRegressor")
def linear_regressor(
    b: ONNXBuilder,
    x: Tensor,
    *,
    coefficients: Sequence[float] = (),
    intercepts: Sequence[float] = (),
    targets: int = 1,
    post_transform: str = "NONE",
) -> Tensor:
    """A linear map of the features to the targets: [n, features] to [n, targets]."""
    return transformed(b, _linear(b, x, coefficients, intercepts, targets), post_transform)


@handles("ai.onnx.ml:LinearClassifier")
def linear_classifier(
    b: ONNXBuilder,
    x: Tensor,
    *,
    coefficients: Sequence[float],
    intercepts: Sequence[float] = (),
    classlabels_ints: Sequence[int] = (),
    classlabels_strings: Sequence[str] = (),
    multi_class: int = 0,
    post_transform: str = "NONE",
) -> tuple[Tensor | None, Tensor]:
    """Return the label of the class with the largest linear score, and the scores.

    One score of two classes is that of the second.
    """
    classes = len(classlabels_ints) or len(classlabels_strings)
    rows = len(intercepts) or classes
    scores = _linear(b, x, coefficients, intercepts, rows)
    if rows == 1:
        place = b.cast(b("GREATER", reshaped(b, scores, [-1]), F(0)), np.int32)
    else:
        place = b("ARG_MAX", scores, np.array(1, np.int32), output_type="INT32")
    label = labelled(b, place, classlabels_ints, classlabels_strings) if b.wants(0) else None
    if rows == 1 and classes == 2:
        return label, opposed(b, scores, post_transform, shares=False)
    return label, transformed(b, scores, post_transform)


def _linear(
    b: ONNXBuilder, x: Tensor, coefficients: Sequence[float], intercepts: Sequence[float], rows: int
) -> Tensor:
    if rows < 1 or len(coefficients) % rows or len(intercepts) not in (0, rows):
        raise FormatError(f"{len(coefficients)} coefficients of {rows} rows")
    x = rows_of(b, x)
    weights = np.array(coefficients, F).reshape(rows, -1)
    bias = np.array(intercepts, F) if intercepts else None
    return b("FULLY_CONNECTED", x, weights, bias, keep_num_dims=True)


@handles("ai.onnx.ml:ZipMap")
def zip_map(b: ONNXBuilder, *operands: Any, **attributes: Any) -> NoReturn:
    """Refuse: a list of maps is no tensor."""
    raise UnsupportedError(
        "its result is a list of maps, and TensorFlow Lite has tensors",
        hint="end the model at what it reads, with --output_arrays, or export it with zipmap=False",
    )
