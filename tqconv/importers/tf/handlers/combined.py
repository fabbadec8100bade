"""Non-maximum suppression over classes and images."""

from __future__ import annotations

from tqconv.compose.boxes import best_of_classes
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("CombinedNonMaxSuppression")
def combined_non_max_suppression(
    b: Builder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size_per_class: Tensor,
    max_total_size: Tensor,
    iou_threshold: Tensor,
    score_threshold: Tensor,
    *,
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> tuple[Tensor, ...]:
    """Suppress boxes class by class and keep the best of all classes, for each image."""
    each = int(b.scalar(max_output_size_per_class, "max_output_size_per_class"))
    total = int(b.scalar(max_total_size, "max_total_size"))
    if pad_per_class:
        total = min(total, each * static_size(scores, 2))
    thresholds = iou_threshold, score_threshold
    return best_of_classes(b, boxes, scores, each, total, *thresholds, clip_boxes=clip_boxes)
