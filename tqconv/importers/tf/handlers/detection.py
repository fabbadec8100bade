"""Selection of boxes: non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.sizes import operand, size_of
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)
ANY_SCORE = np.array(np.finfo(np.float32).min, FLOAT32)
NEARLY_ONE = np.array(1 - 2**-22, FLOAT32)
"""The overlap of a box with itself is 1 to within a rounding."""
FAR = np.array(2**23, FLOAT32)
"""From here, float32 still tells a million whole numbers apart."""
ALONG, UNIT_BOX = np.array([[1, 0, 1, 0]], FLOAT32), np.array([[0, 0, 1, 1]], FLOAT32)


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
    T_threshold: TypeNumber | None = None,  # noqa: N803
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
    """Return indices of the boxes that are kept, zeros behind if asked for, and their number."""
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
    """Return indices and lowered scores of the boxes that are kept, and their number.

    With a sigma, TensorFlow drops no box for its overlap; LiteRT always does: here, equal boxes.
    """
    soft = b("GREATER", soft_nms_sigma, np.zeros((), FLOAT32))
    overlap = b("SELECT_V2", soft, NEARLY_ONE, _dropping(b, iou_threshold))
    operands = (max_output_size, overlap, score_threshold, soft_nms_sigma)
    indices, kept, count = b("NON_MAX_SUPPRESSION_V5", _solid(b, boxes), scores, *operands)
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
    """Return the indices of the boxes that are kept, zeros behind them, and their number.

    Boxes of equal score come in LiteRT's order, not by index as in TensorFlow.
    """
    operands = (max_output_size, _dropping(b, iou_threshold), score_threshold)
    drops_nothing = iou_threshold.data is not None and float(iou_threshold.data) >= 1
    places = (_apart if drops_nothing else _solid)(b, boxes)
    indices, count = b("NON_MAX_SUPPRESSION_V4", places, scores, *operands)
    return indices, count


def _dropping(b: TFBuilder, threshold: Tensor) -> Tensor:
    """Return LiteRT's threshold: it drops overlap >= threshold, TensorFlow overlap > threshold.

    The next number above a constant says the same. From 1 on, no box would drop itself: `_solid`.
    """
    if threshold.data is not None:
        threshold = b.const(np.nextafter(threshold.data, FLOAT32.type(np.inf)), what="overlap")
    return b("MINIMUM", threshold, NEARLY_ONE)


def _solid(b: TFBuilder, boxes: Tensor) -> Tensor:
    """Return the boxes with those of no area replaced by others that overlap nothing.

    LiteRT 2.3 takes a chosen box off its list because it overlaps itself. A box of no area does
    not, and is chosen again and again; TensorFlow chooses it once.
    """
    corners, two = np.zeros((2, 2), INT32), np.array([-1, 2], INT32)
    corners[1, 1] = 2
    low, high = (b("SLICE", boxes, corner, two) for corner in corners)
    area = b("REDUCE_PROD", b("SUB", high, low), np.array([1], INT32), keep_dims=True)
    flat = b("EQUAL", area, np.zeros((), FLOAT32))
    return b("SELECT_V2", flat, _apart(b, boxes), boxes)


def _apart(b: TFBuilder, boxes: Tensor) -> Tensor:
    """Return as many unit boxes, far from each other and from all that images hold."""
    rows = b("RANGE", np.array(0, INT32), operand(size_of(b, boxes, 0)), np.array(1, INT32))
    place = b("ADD", b("MUL", b.cast(rows, FLOAT32), np.array(2, FLOAT32)), FAR)
    column = b("EXPAND_DIMS", place, np.array(1, INT32))
    return b("ADD", b("MUL", column, ALONG), UNIT_BOX)


def _first(b: TFBuilder, x: Tensor, count: Tensor) -> Tensor:
    """Return the first `count` elements of a vector."""
    return b("SLICE", x, np.array([0], INT32), b("RESHAPE", count, np.array([1], INT32)))
