"""The published node tests: what is converted is right, how much is, and what the page says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
from published import KNOWN_WRONG, outcomes

LEAST_RIGHT = 0.97
"""So many of the tests that are not set apart are right with every version of the package."""
PAGE = Path(__file__).parents[3] / "docs" / "ops.md"


@pytest.mark.slow
def test_published_node_tests(tmp_path: Path) -> None:
    """Run `make docs` when the page lists others than are found."""
    found = list(outcomes(tmp_path))
    wrong = [f"{o.name}: {o.reason}" for o in found if o.kind == "wrong"]
    assert [text for text in wrong if text.split(":")[0] not in KNOWN_WRONG] == []
    count = Counter(o.kind for o in found)
    assert count["right"] >= LEAST_RIGHT * (len(found) - count["apart"])
    page = PAGE.read_text()
    if f"onnx {onnx.__version__}" in page:
        assert f"{count['right']:,} of {len(found) - count['apart']:,}" in page
        listed = {word.strip("`,") for word in page.split() if word.startswith("`test_")}
        assert listed == {o.name for o in found if o.kind in ("wrong", "refused")}
