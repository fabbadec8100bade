"""Selection of boxes: non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)
ANY_SCORE = np.array(np.finfo(np.float32).min, FLOAT32)


@handles("NonMaxSuppression")
def non_max_suppression(
    b: TFBuilder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size: Tensor,
    *,
    iou_threshold: float = 0.5,
) -> Tensor:
    """Return the indices of the boxes that are kept, best first."""
    overlap = b.const(iou_threshold, FLOAT32, "iou_threshold")
    return non_max_suppression_v3(b, boxes, scores, max_output_size, overlap)


@handles("NonMaxSuppressionV2", "NonMaxSuppressionV3")
def non_max_suppression_v3(
    b: TFBuilder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size: Tensor,
    iou_threshold: Tensor,
    score_threshold: Tensor | None = None,
    *,
    T_threshold: TypeNumber | None = None,  # noqa: N803  (the attribute's name)
) -> Tensor:
    """Return the indices of the boxes that are kept, best first."""
    lowest = ANY_SCORE if score_threshold is None else score_threshold
    indices, count = suppressed(b, boxes, scores, max_output_size, iou_threshold, lowest)
    return _first(b, indices, count)


@handles("NonMaxSuppressionV4")
def non_max_suppression_v4(
    b: TFBuilder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size: Tensor,
    iou_threshold: Tensor,
    score_threshold: Tensor,
    *,
    T_threshold: TypeNumber | None = None,  # noqa: N803
    pad_to_max_output_size: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the indices of the boxes that are kept, zeros behind them if asked for, and their number."""
    lowest = score_threshold
    indices, count = suppressed(b, boxes, scores, max_output_size, iou_threshold, lowest)
    return indices if pad_to_max_output_size else _first(b, indices, count), count


@handles("NonMaxSuppressionV5")
def non_max_suppression_v5(
    b: TFBuilder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size: Tensor,
    iou_threshold: Tensor,
    score_threshold: Tensor,
    soft_nms_sigma: Tensor,
    *,
    pad_to_max_output_size: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return indices and lowered scores of the boxes that are kept, and their number."""
    indices, kept, count = b(
        "NON_MAX_SUPPRESSION_V5",
        boxes,
        scores,
        max_output_size,
        _above(iou_threshold),
        score_threshold,
        soft_nms_sigma,
    )
    if pad_to_max_output_size:
        return indices, kept, count
    return _first(b, indices, count), _first(b, kept, count), count


def suppressed(
    b: TFBuilder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size: Tensor | NDArray[np.int32],
    iou_threshold: Tensor,
    score_threshold: Tensor | NDArray[np.float32],
) -> tuple[Tensor, Tensor]:
    """Return the indices of the boxes that are kept, zeros behind them, and their number."""
    operands = (max_output_size, _above(iou_threshold), score_threshold)
    indices, count = b("NON_MAX_SUPPRESSION_V4", boxes, scores, *operands)
    return indices, count


def _above(threshold: Tensor) -> Tensor | NDArray[np.float32]:
    """Return the next larger constant: TensorFlow drops overlap > threshold, LiteRT overlap >= threshold.

    LiteRT takes none above 1, so there, equal boxes are dropped although TensorFlow keeps them.
    """
    if threshold.data is None:
        return threshold
    return np.minimum(np.nextafter(threshold.data, FLOAT32.type(np.inf)), FLOAT32.type(1))


def _first(b: TFBuilder, x: Tensor, count: Tensor) -> Tensor:
    """Return the first `count` elements of a vector."""
    y: Tensor = b("SLICE", x, np.array([0], INT32), b("RESHAPE", count, np.array([1], INT32)))
    return y
