"""Selection of boxes: non-maximum suppression."""

from __future__ import annotations

from tqconv.compose.boxes import (
    ANY_SCORE,
    FLOAT32,
    first_of,
    soft_suppressed,
    suppressed,
)
from tqconv.compose.builder import Builder
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("NonMaxSuppression")
def non_max_suppression(
    b: Builder,
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
    b: Builder,
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
    return first_of(b, indices, count)


@handles("NonMaxSuppressionV4")
def non_max_suppression_v4(
    b: Builder,
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
    return indices if pad_to_max_output_size else first_of(b, indices, count), count


@handles("NonMaxSuppressionV5")
def non_max_suppression_v5(
    b: Builder,
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
    operands = (max_output_size, iou_threshold, score_threshold, soft_nms_sigma)
    indices, kept, count = soft_suppressed(b, boxes, scores, *operands)
    if pad_to_max_output_size:
        return indices, kept, count
    return first_of(b, indices, count), first_of(b, kept, count), count
