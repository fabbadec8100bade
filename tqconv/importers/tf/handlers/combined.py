"""Non-maximum suppression over classes and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tqconv.compose.operands import static_size
from tqconv.importers.tf.handlers.detection import suppressed
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)
WORST = np.array(np.finfo(np.float32).min, FLOAT32)
ROWS = np.array([0], INT32)


@dataclass(frozen=True)
class Kept:
    """Boxes that survive in one class: [m, 4], their scores [m] (WORST behind), how many."""

    boxes: Tensor
    scores: Tensor
    count: Tensor


@handles("CombinedNonMaxSuppression")
def combined_non_max_suppression(
    b: TFBuilder,
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
    """Suppress boxes class by class and keep the best of all classes, for each image.

    boxes: [n, boxes, classes or 1, 4], scores: [n, boxes, classes]; one NON_MAX_SUPPRESSION_V4 per
    image and class. Returns boxes, scores, classes, with zeros behind, and their number.
    """
    each = int(b.scalar(max_output_size_per_class, "max_output_size_per_class"))
    total, classes = int(b.scalar(max_total_size, "max_total_size")), static_size(scores, 2)
    if pad_per_class:
        total = min(total, each * classes)
    each = min(each, static_size(boxes, 1))
    images = []
    for image in range(static_size(scores, 0)):
        kept = []
        for number in range(classes):
            own = number if static_size(boxes, 2) > 1 else 0
            places = _column(b, boxes, (image, 0, own, 0), (1, -1, 1, 4), (-1, 4))
            values = _column(b, scores, (image, 0, number), (1, -1, 1), (-1,))
            kept.append(_of_class(b, places, values, each, iou_threshold, score_threshold))
        images.append(_best(b, kept, each, total, clip_boxes))
    return tuple(
        b("PACK", *made, axis=0, values_count=len(made)) for made in zip(*images, strict=True)
    )


def _column(
    b: TFBuilder, x: Tensor, begin: Sequence[int], size: Sequence[int], shape: Sequence[int]
) -> Tensor:
    part = b("SLICE", x, np.array(begin, INT32), np.array(size, INT32))
    return b("RESHAPE", part, np.array(shape, INT32))


def _of_class(
    b: TFBuilder, boxes: Tensor, scores: Tensor, each: int, overlap: Tensor, threshold: Tensor
) -> Kept:
    indices, count = suppressed(b, boxes, scores, np.array(each, INT32), overlap, threshold)
    found = b("LESS", np.arange(each, dtype=INT32), count)
    values = b("SELECT_V2", found, b("GATHER", scores, indices, axis=0), WORST)
    return Kept(b("GATHER", boxes, indices, axis=0), values, count)


def _best(
    b: TFBuilder, kept: Sequence[Kept], each: int, total: int, clip_boxes: bool
) -> tuple[Tensor, ...]:
    """Return the best of all classes: boxes [total, 4], scores, classes [total], how many."""
    boxes = _joined(b, [k.boxes for k in kept])
    scores = _joined(b, [k.scores for k in kept])
    taken = min(total, each * len(kept))
    values, places = b("TOPK_V2", scores, np.array(taken, INT32))
    found = b("GREATER", values, WORST)
    classes = np.repeat(np.arange(len(kept), dtype=FLOAT32), each)
    zero = np.zeros((), FLOAT32)
    rows = b("GATHER", boxes, places, axis=0)
    if clip_boxes:
        rows = b("MINIMUM", b("MAXIMUM", rows, zero), np.ones((), FLOAT32))
    mask = b("RESHAPE", found, np.array([taken, 1], INT32))
    made = (
        b("SELECT_V2", mask, rows, zero),
        b("SELECT_V2", found, values, zero),
        b("SELECT_V2", found, b("GATHER", classes, places, axis=0), zero),
    )
    count = b("SUM", b.cast(found, INT32), ROWS)
    return (*(_extended(b, part, total - taken) for part in made), count)


def _joined(b: TFBuilder, parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else b("CONCATENATION", *parts, axis=0)


def _extended(b: TFBuilder, x: Tensor, count: int) -> Tensor:
    pairs = np.zeros((x.rank, 2), INT32)
    pairs[0, 1] = count
    return b("PAD", x, pairs) if count else x
