"""A model of two dense layers, its weights, and what it computes."""

from __future__ import annotations

import numpy as np
from networks_keras import given, layer, sequential

X = np.array([[1, -2], [3, 4]], np.float32)
W = np.array([[1, 2, 3], [4, 5, -6]], np.float32)
V = np.array([[1, -1], [0.5, 2], [-3, 1]], np.float32)
B = np.array([0.5, -1, 2], np.float32)
DENSE = {"units": 3, "activation": "relu", "use_bias": True}
BARE = {"units": 2, "activation": "linear", "use_bias": False}
RELU = np.maximum(X @ W + B, 0)


def chain() -> dict[str, object]:
    """Return the configuration of the model, as Keras writes it."""
    return sequential(
        given("x", [None, 2]), layer("Dense", "first", **DENSE), layer("Dense", "second", **BARE)
    )


H5 = {"first": [("first/kernel:0", W), ("first/bias:0", B)], "second": [("second/kernel:0", V)]}
