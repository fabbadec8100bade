"""Matrix products by the kernels that compute them right."""

from __future__ import annotations

import numpy as np

from tqconv.importers.tf.handlers.sizes import size_of, sizes_of
from tqconv.importers.tf.handlers.sizes import reshaped
from tqconv.importers.tf.registry import TFBuilder
from tqconv.ir.graph import Tensor


def integer_product(b: TFBuilder, x: Tensor, w: Tensor) -> Tensor:
    """Return x: [..., m, k] times w: [..., k, n] of integers, exact modulo their width.

    The sum of all products of two elements: BATCH_MATMUL has no kernel for raw integers.
    """
    left = reshaped(b, x, [*sizes_of(b, x), 1])
    right = reshaped(b, w, [*sizes_of(b, w)[:-2], 1, size_of(b, w, -2), size_of(b, w, -1)])
    terms = b("MUL", left, right)
    y: Tensor = b("SUM", terms, np.array([terms.rank - 2], np.int32))
    return y
