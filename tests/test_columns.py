"""Columns of the operator table: which rows they hold of, in full."""

from __future__ import annotations

import math

from tqconv.ops.spec import Linear
from tqconv.ops.table import having


def test_clamps() -> None:
    assert having(lambda row: row.clamp) == {
        "RELU": (0.0, math.inf),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
        "RELU_0_TO_1": (0.0, 1.0),
    }


def test_results_within_bounds() -> None:
    assert having(lambda row: row.within) == {
        "LOGISTIC": (0.0, 1.0),
        "SOFTMAX": (0.0, 1.0),
        "TANH": (-1.0, 1.0),
    }


def test_linear_operators() -> None:
    assert having(lambda row: row.linear) == {
        "CONV_2D": Linear(0, 1, 2, 0),
        "DEPTHWISE_CONV_2D": Linear(0, 1, 2, 3),
        "FULLY_CONNECTED": Linear(0, 1, 2, 0),
        "TRANSPOSE_CONV": Linear(2, 1, 3, 0),
    }
