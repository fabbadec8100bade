"""Random configurations of every layer equal their evaluation in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from layer_example import EXAMPLES, Draw, Example, F, run
from networks_keras import Array

from tqconv import api

for path in sorted(Path(__file__).parent.glob("layer_examples_*.py")):
    import_module(path.stem)  # fills the table

RUN = settings(deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples overwrite."""
    return tmp_path_factory.mktemp("random")


@pytest.mark.parametrize("op", sorted(EXAMPLES))
def test_a_layer_computes_what_numpy_does(folder: Path, op: str) -> None:
    maker = EXAMPLES[op]

    @settings(RUN, max_examples=maker.count)
    @drawn(st.data())
    def check(data: st.DataObject) -> None:
        d = Draw(data, maker.majors)
        example = maker.make(d, op)
        path = example.write(folder, op, d.major)
        model = api.optimize(api.load(path))
        runs = example.runs()
        made = run(model, [inputs for inputs, _ in runs], delegate=d.flag())
        for ys, (_, expected) in zip(made, runs, strict=True):
            compare(example, ys, expected)

    check()


def compare(example: Example, made: Sequence[Array], results: Sequence[Array]) -> None:
    for y, expected in zip(made, results, strict=True):
        assert y.shape == expected.shape
        assert y.dtype == (F if expected.dtype.kind == "f" else expected.dtype)
        np.testing.assert_allclose(y, expected, atol=example.atol, rtol=example.rtol)
