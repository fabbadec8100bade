"""Functions that decode what a network says: boxes, texts, and places in sorted rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import ctc
from tqconv.compose.sizes import size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.nodes import function, kind, node, nodes
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor

F = np.float32
LEAST = F(1e-7)
"""What is added to chances before their logarithm (`keras.backend.epsilon()`)."""


@function("image.non_max_suppression")
def non_max_suppression(
    b: KerasBuilder,
    boxes: Any,
    *,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
) -> Tensor:
    """The places of the best boxes that do not overlap a better one."""
    told = scores, max_output_size, iou_threshold, score_threshold
    return node(b, "NonMaxSuppressionV3", boxes, *told)


@function("image.combined_non_max_suppression")
def combined_non_max_suppression(
    b: KerasBuilder,
    boxes: Any,
    *,
    scores: Any,
    max_output_size_per_class: Any,
    max_total_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> Sequence[Tensor]:
    """The best boxes of all classes, their scores and classes, and how many they are."""
    sizes = max_output_size_per_class, max_total_size
    thresholds = iou_threshold, score_threshold
    flags = {"pad_per_class": pad_per_class, "clip_boxes": clip_boxes}
    return nodes(b, "CombinedNonMaxSuppression", boxes, scores, *sizes, *thresholds, **flags)


@function("searchsorted")
def searchsorted(
    b: KerasBuilder, rows: Any, *, values: Any, side: str = "left", out_type: Any = "int32"
) -> Tensor:
    """How many elements of a sorted row are below (or equal to) each value."""
    if side not in ("left", "right"):
        raise UnsupportedError(f"places on the side `{side}`")
    rows = tensor(b, rows, None, "sorted_sequence")
    values = tensor(b, values, rows.dtype, "values")
    sizes = [size_of(b, values, axis) for axis in range(values.rank)]
    row, wanted = (b("RESHAPE", t, _rows(t)) for t in (rows, values))
    op = "LowerBound" if side == "left" else "UpperBound"
    found = node(b, op, row, wanted, out_type=kind(out_type))
    return b("RESHAPE", found, vector(b, sizes))


def _rows(t: Tensor) -> np.ndarray[Any, Any]:
    if t.shape[-1] is None:
        raise UnsupportedError("sorted rows of unknown size")
    return np.array([-1, t.shape[-1]], np.int32)


@function("keras.backend.ctc_decode")
def ctc_decode(
    b: KerasBuilder,
    x: Tensor,
    *,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
) -> Sequence[Tensor]:
    """Classes that are said: [n, steps], -1 behind the last, and negative scores of rows."""
    if not greedy:
        raise UnsupportedError("CTC decoding by beams")
    x = b.real(x)
    scores = b("LOG", b("ADD", b.transpose(x, [1, 0, 2]), LEAST))
    lengths = tensor(b, input_length, np.int32, "input_length")
    return ctc.rows(b, scores, lengths, -1, merges=True)
