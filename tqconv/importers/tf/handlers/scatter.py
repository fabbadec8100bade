"""Writing elements to computed places."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.errors import Unsupported
from tqconv.importers.tf.handlers.gather import true_places
from tqconv.importers.tf.handlers.operands import int32_of, static_size
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)


@handles("ScatterNd")
def scatter_nd(
    b: TFBuilder, indices: Tensor, updates: Tensor, shape: Tensor, *, bad_indices_policy: str = ""
) -> Tensor:
    """Add updates to zeros at coordinates: the last dimension of `indices`."""
    _check_policy(bad_indices_policy)
    y: Tensor = b("SCATTER_ND", int32_of(b, indices), updates, int32_of(b, shape))
    return y


def _check_policy(policy: str) -> None:
    if policy not in ("", "DEFAULT", "ERROR"):
        raise Unsupported(f"bad_indices_policy `{policy}`")


@handles("TensorScatterAdd", "TensorScatterSub", "ScatterNdNonAliasingAdd")
def tensor_scatter_add(
    b: TFBuilder, x: Tensor, indices: Tensor, updates: Tensor, *, bad_indices_policy: str = ""
) -> Tensor:
    """Add updates to `x`, or subtract them, at coordinates; updates of one place add up."""
    _check_policy(bad_indices_policy)
    type = "SUB" if b.node.op == "TensorScatterSub" else "ADD"
    y: Tensor = b(type, x, b("SCATTER_ND", int32_of(b, indices), updates, b.shape_of(x)))
    return y


@handles("TensorScatterMax", "TensorScatterMin")
def tensor_scatter_extreme(
    b: TFBuilder, x: Tensor, indices: Tensor, updates: Tensor, *, bad_indices_policy: str = ""
) -> Tensor:
    """Take the larger (smaller) of `x` and the updates at coordinates.

    The updates of one place form a segment; a place without any gets the lowest (highest) number.
    """
    _check_policy(bad_indices_policy)
    segments, combine = {
        "TensorScatterMax": ("UNSORTED_SEGMENT_MAX", "MAXIMUM"),
        "TensorScatterMin": ("UNSORTED_SEGMENT_MIN", "MINIMUM"),
    }[b.node.op]
    rows, inner = _rows(b, x, indices, updates)
    found = b(segments, rows.updates, rows.ids, np.array(rows.count, INT32))
    return b.reshape(b(combine, b.reshape(x, (rows.count, inner)), found), x.shape)


@handles("TensorScatterUpdate")
def tensor_scatter_update(
    b: TFBuilder, x: Tensor, indices: Tensor, updates: Tensor, *, bad_indices_policy: str = ""
) -> Tensor:
    """Replace elements at coordinates; of several updates of one place the last one stays."""
    _check_policy(bad_indices_policy)
    rows, inner = _rows(b, x, indices, updates)
    last = last_writer(b, rows.ids, np.array(rows.count, INT32))
    written = b("GREATER_EQUAL", last, np.zeros((), INT32))
    taken = b("GATHER", rows.updates, b("MAXIMUM", last, np.zeros((), INT32)), axis=0)
    flat = b.reshape(x, (rows.count, inner))
    return b.reshape(b("SELECT_V2", b.reshape(written, (rows.count, 1)), taken, flat), x.shape)
