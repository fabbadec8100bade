"""Operations of Keras 3 that numpy has under the same name compute what numpy does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_keras import computed, functional, given, write_h5

F = np.float32
RNG = np.random.default_rng(23)
X = RNG.uniform(0.1, 0.9, (3, 4)).astype(F)
Y = RNG.uniform(0.2, 0.8, (3, 4)).astype(F)
"""Inside the domains of all functions here, away from their poles."""

UNARY = [
    "Abs",
    "Absolute",
    "Arccos",
    "Arcsin",
    "Arcsinh",
    "Arctan",
    "Arctanh",
    "Cbrt",
    "Ceil",
    "Conj",
    "Conjugate",
    "Cos",
    "Cosh",
    "Deg2rad",
    "Exp",
    "Exp2",
    "Expm1",
    "Floor",
    "Isfinite",
    "Isinf",
    "Isnan",
    "Log",
    "Log10",
    "Log1p",
    "Log2",
    "LogicalNot",
    "Negative",
    "Reciprocal",
    "Round",
    "Sign",
    "Signbit",
    "Sin",
    "Sinh",
    "Sqrt",
    "Square",
    "Tan",
    "Tanh",
    "Trunc",
    "OnesLike",
    "ZerosLike",
    "Ravel",
    "Transpose",
    "Copy",
]
BINARY = [
    "Add",
    "Arctan2",
    "Divide",
    "Equal",
    "FloorDivide",
    "Greater",
    "GreaterEqual",
    "Hypot",
    "Less",
    "LessEqual",
    "Logaddexp",
    "LogicalAnd",
    "LogicalOr",
    "LogicalXor",
    "Maximum",
    "Minimum",
    "Mod",
    "Multiply",
    "NotEqual",
    "Power",
    "Subtract",
    "TrueDivide",
]
REDUCTIONS = ["Amax", "Amin", "Max", "Mean", "Min", "Prod", "Std", "Sum", "Var"]


def snake(name: str) -> str:
    """Return numpy's name of an operation: GreaterEqual -> greater_equal."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def tensor(layer: str) -> dict[str, Any]:
    config = {"shape": [3, 4], "dtype": "float32", "keras_history": [layer, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def operation(op: str, inputs: list[str], **config: Any) -> dict[str, Any]:
    call = {"args": [tensor(name) for name in inputs], "kwargs": {}}
    return {
        "module": "keras.src.ops.numpy",
        "class_name": op,
        "config": {"name": "tested", **config},
        "name": "tested",
        "inbound_nodes": [call],
    }


def result(folder: Path, op: str, *arrays: np.ndarray, **config: Any) -> np.ndarray:
    names = ["x", "y"][: len(arrays)]
    entries = [given(name, [3, 4]) for name in names]
    ends = [[name, 0, 0] for name in names]
    model = functional(
        *entries, operation(op, names, **config), inputs=ends, outputs=["tested", 0, 0]
    )
    return computed(write_h5(folder / "m.h5", model, {}, "3.15.1"), *arrays)[0]


def compare(made: np.ndarray, expected: np.ndarray) -> None:
    # float32, a few roundings; composed functions (Cbrt, Exp2) are a power of another base
    np.testing.assert_allclose(made, expected, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("op", UNARY)
def test_functions_of_one_tensor(tmp_path: Path, op: str) -> None:
    compare(result(tmp_path, op, X), getattr(np, snake(op))(X))


@pytest.mark.parametrize("op", BINARY)
def test_functions_of_two_tensors(tmp_path: Path, op: str) -> None:
    y = Y.copy()
    y[0] = X[0]  # equal ones, too
    compare(result(tmp_path, op, X, y), getattr(np, snake(op))(X, y))


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(tmp_path: Path, op: str, keepdims: bool) -> None:
    made = result(tmp_path, op, X, axis=1, keepdims=keepdims)
    compare(made, getattr(np, snake(op))(X, axis=1, keepdims=keepdims))
