"""Random configurations of every layer equal their evaluation in numpy."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_example import EXAMPLES, Draw, F, run

from tqconv import api
from tqconv.importers.keras import load as load  # fills the registry
from tqconv.importers.keras.registry import KERAS

for path in sorted(Path(__file__).parent.glob("layer_examples_*.py")):
    import_module(path.stem)  # fills the table

RUN = settings(deadline=None, derandomize=True, database=None)
LAYERS = {n for n in KERAS.all() if n != "*" and not n.startswith(("ops.", "tf."))}
"""What the importer translates, besides operations of Keras 3 and functions of TensorFlow."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples overwrite."""
    return tmp_path_factory.mktemp("random")


def test_every_layer_has_examples() -> None:
    assert sorted(LAYERS ^ EXAMPLES.keys()) == []


@pytest.mark.parametrize("op", sorted(EXAMPLES))
def test_a_layer_computes_what_numpy_does(folder: Path, op: str) -> None:
    maker = EXAMPLES[op]

    @settings(RUN, max_examples=maker.count)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        d = Draw(data, maker.majors)
        example = maker.make(d, op)
        model = api.optimize(api.load(example.write(folder, op, d.major)))
        runs = example.runs()
        made = run(model, [inputs for inputs, _ in runs], delegate=d.flag())
        for outputs, (_, results) in zip(made, runs, strict=True):
            for y, expected in zip(outputs, results, strict=True):
                assert y.shape == expected.shape
                assert y.dtype == (F if expected.dtype.kind == "f" else expected.dtype)
                np.testing.assert_allclose(y, expected, atol=example.atol, rtol=example.rtol)

    check()
