"""The published node tests: what is converted is right, and how much is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from published import cases, difference, holds_tensors

from tqconv.errors import TqconvError

LEAST_RIGHT = 1100
"""So many of the tests are right with every version of the package since 1.20."""

KNOWN_WRONG = (
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal_expanded",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal_expanded",
)
"""They return a sum of numbers and -inf, of which the builtin ADD makes the least finite number."""

OTHER_CORNERS = (
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
)
"""They align corners of sizes before rounding; ONNX Runtime and PyTorch, of those after it."""


@pytest.mark.slow
def test_no_published_node_test_is_wrong(tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    wrong = []
    for case in cases():
        if not holds_tensors(case):
            continue
        try:
            different = difference(case, tmp_path, delegate=False)
        except TqconvError:
            found["refused"] += 1
            continue
        except (RuntimeError, ValueError) as error:
            found["refused by LiteRT"] += 1
            different = "" if "tflite" in str(error) or "Invalid" in str(error) else str(error)
        found["wrong" if different else "right"] += 1
        if different and case.name not in KNOWN_WRONG + OTHER_CORNERS:
            wrong.append(f"{case.name}: {different}")
    assert wrong == []
    assert found["right"] >= LEAST_RIGHT
