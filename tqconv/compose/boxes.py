"""Boxes: non-maximum suppression, of one class or of many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.arithmetic import next_after
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import operand, size_of
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)
ANY_SCORE = np.array(np.finfo(np.float32).min, FLOAT32)
NEARLY_ONE = np.array(1 - 2**-22, FLOAT32)
"""The overlap of a box with itself is 1 to within a rounding."""
FAR = np.array(2**23, FLOAT32)
"""From here, float32 still tells a million whole numbers apart."""
ALONG, UNIT_BOX = np.array([[1, 0, 1, 0]], FLOAT32), np.array([[0, 0, 1, 1]], FLOAT32)


def suppressed(
    b: Builder,
    boxes: Tensor,
    scores: Tensor,
    max_output_size: Tensor | NDArray[np.int32],
    iou_threshold: Tensor,
    score_threshold: Tensor | NDArray[np.float32],
) -> tuple[Tensor, Tensor]:
    """Return the indices of the boxes that are kept, zeros behind them, and their number.

    Boxes of equal score come in LiteRT's order, not by index.
    """
    operands = (max_output_size, _dropping(b, iou_threshold), score_threshold)
    drops_nothing = iou_threshold.data is not None and float(iou_threshold.data) >= 1
    places = (_apart if drops_nothing else _solid)(b, boxes)
    indices, count = b("NON_MAX_SUPPRESSION_V4", places, scores, *operands)
    return indices, count


def soft_suppressed(
    b: Builder,
    boxes: Tensor,
    scores: Tensor,
    most: Tensor,
    overlap: Tensor,
    threshold: Tensor,
    sigma: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return indices and lowered scores of the boxes that are kept, and their number.

    With a sigma no box is dropped for its overlap; LiteRT always drops some: here, equal boxes.
    """
    soft = b("GREATER", sigma, np.zeros((), FLOAT32))
    overlap = b("SELECT_V2", soft, NEARLY_ONE, _dropping(b, overlap))
    operands = (most, overlap, threshold, sigma)
    indices, kept, count = b("NON_MAX_SUPPRESSION_V5", _solid(b, boxes), scores, *operands)
    return indices, kept, count


def _dropping(b: Builder, threshold: Tensor) -> Tensor:
    """Return LiteRT's threshold: it drops overlap >= threshold where > threshold is asked for.

    The next number above says the same. From 1 on, no box would drop itself: `_solid`.
    """
    if threshold.data is not None:
        threshold = b.const(np.nextafter(threshold.data, FLOAT32.type(np.inf)), what="overlap")
    else:
        threshold = next_after(b, threshold, b.const(np.inf, FLOAT32, "above"))
    return b("MINIMUM", threshold, NEARLY_ONE)


def _solid(b: Builder, boxes: Tensor) -> Tensor:
    """Return the boxes with those of no area replaced by others that overlap nothing.

    LiteRT 2.3 takes a chosen box off its list because it overlaps itself. A box of no area does
    not, and is chosen again and again; it has to be chosen once.
    """
    corners, two = np.zeros((2, 2), INT32), np.array([-1, 2], INT32)
    corners[1, 1] = 2
    low, high = (b("SLICE", boxes, corner, two) for corner in corners)
    area = b("REDUCE_PROD", b("SUB", high, low), np.array([1], INT32), keep_dims=True)
    flat = b("EQUAL", area, np.zeros((), FLOAT32))
    return b("SELECT_V2", flat, _apart(b, boxes), boxes)


def _apart(b: Builder, boxes: Tensor) -> Tensor:
    """Return as many unit boxes, far from each other and from all that images hold."""
    rows = b("RANGE", np.array(0, INT32), operand(size_of(b, boxes, 0)), np.array(1, INT32))
    place = b("ADD", b("MUL", b.cast(rows, FLOAT32), np.array(2, FLOAT32)), FAR)
    column = b("EXPAND_DIMS", place, np.array(1, INT32))
    return b("ADD", b("MUL", column, ALONG), UNIT_BOX)


def first_of(b: Builder, x: Tensor, count: Tensor) -> Tensor:
    """Return the first `count` elements of a vector."""
    return b("SLICE", x, np.array([0], INT32), b("RESHAPE", count, np.array([1], INT32)))


WORST = np.array(np.finfo(np.float32).min, FLOAT32)
ROWS = np.array([0], INT32)


@dataclass(frozen=True)
class Kept:
    """Boxes that survive in one class: [m, 4], their scores [m] (WORST behind), how many."""

    boxes: Tensor
    scores: Tensor
    count: Tensor


def best_of_classes(
    b: Builder,
    boxes: Tensor,
    scores: Tensor,
    each: int,
    total: int,
    overlap: Tensor,
    threshold: Tensor,
    *,
    clip_boxes: bool,
) -> tuple[Tensor, ...]:
    """Suppress boxes class by class and keep the best of all classes, for each image.

    boxes: [n, boxes, classes or 1, 4], scores: [n, boxes, classes]; one NON_MAX_SUPPRESSION_V4 per
    image and class, of which `each` and together `total` are kept. Returns boxes, scores, classes,
    with zeros behind, and their number. `clip_boxes`: into [0, 1].
    """
    classes = static_size(scores, 2)
    each = min(each, static_size(boxes, 1))
    images = []
    for image in range(static_size(scores, 0)):
        kept = []
        for number in range(classes):
            own = number if static_size(boxes, 2) > 1 else 0
            places = _column(b, boxes, (image, 0, own, 0), (1, -1, 1, 4), (-1, 4))
            values = _column(b, scores, (image, 0, number), (1, -1, 1), (-1,))
            kept.append(_of_class(b, places, values, each, overlap, threshold))
        images.append(_best(b, kept, each, total, clip_boxes))
    return tuple(
        b("PACK", *made, axis=0, values_count=len(made)) for made in zip(*images, strict=True)
    )


def _column(
    b: Builder, x: Tensor, begin: Sequence[int], size: Sequence[int], shape: Sequence[int]
) -> Tensor:
    part = b("SLICE", x, np.array(begin, INT32), np.array(size, INT32))
    return b("RESHAPE", part, np.array(shape, INT32))


def _of_class(
    b: Builder, boxes: Tensor, scores: Tensor, each: int, overlap: Tensor, threshold: Tensor
) -> Kept:
    indices, count = suppressed(b, boxes, scores, np.array(each, INT32), overlap, threshold)
    found = b("LESS", np.arange(each, dtype=INT32), count)
    values = b("SELECT_V2", found, b("GATHER", scores, indices, axis=0), WORST)
    return Kept(b("GATHER", boxes, indices, axis=0), values, count)


def _best(
    b: Builder, kept: Sequence[Kept], each: int, total: int, clip_boxes: bool
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


def _joined(b: Builder, parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else b("CONCATENATION", *parts, axis=0)


def _extended(b: Builder, x: Tensor, count: int) -> Tensor:
    pairs = np.zeros((x.rank, 2), INT32)
    pairs[0, 1] = count
    return b("PAD", x, pairs) if count else x
