"""Random quantized files: read and written again, they compute the same to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st
from test_fuzz import Generator

import tqconv
from tqconv.config import QuantizeOptions
from tqconv.errors import QuantizationError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs import quantize
from tqconv.passes.driver import holds_integers

MODES = ("int8", "uint8", "int16x8", "dynamic")


def quantized(number: int, count: int, mode: str) -> bytes | None:
    """Return a random model as a file, with each operator as the generator made it."""
    graph = Generator(number).grow(count)
    model = Model([graph])
    options = QuantizeOptions(mode=mode, random=3, improve=False, min_weight_elements=1)
    try:
        quantize.quantize(model, options)
    except QuantizationError:
        return None
    graph.sort()
    if not holds_integers(graph):
        return None
    return bytes(serialize(model))


@seed(20_261_127)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 10**6), count=st.integers(2, 12), mode=st.sampled_from(MODES))
def test_a_random_quantized_file_keeps_every_bit(
    tmp_path_factory: pytest.TempPathFactory, number: int, count: int, mode: str
) -> None:
    content = quantized(number, count, mode)
    assume(content is not None)
    assert content is not None
    folder = tmp_path_factory.mktemp("files")
    (folder / "source.tflite").write_bytes(content)
    tqconv.convert(folder / "source.tflite", folder / "again.tflite")
    again = (folder / "again.tflite").read_bytes()
    rng = np.random.default_rng(number)
    inputs = [rng.uniform(-1, 1, t.shape).astype(np.float32) for t in Generator(number).pool]
    inputs = inputs[: len(tqconv.load(folder / "source.tflite").main.inputs)]
    for delegate in (True, False):
        want, got = (run_litert(file, inputs, delegate) for file in (content, again))
        for a, b in zip(want, got, strict=True):
            np.testing.assert_array_equal(b, a)


def test_the_files_give_the_passes_something_to_do(tmp_path: Path) -> None:
    """The fuzz is worth its time only while operators are merged in its files."""
    fewer = 0
    for number in range(12):
        content = quantized(number, 12, "int8")
        if content is not None:
            (tmp_path / "source.tflite").write_bytes(content)
            before = tqconv.load(tmp_path / "source.tflite").main
            report = tqconv.convert(tmp_path / "source.tflite", tmp_path / "again.tflite")
            fewer += len(before.ops) - len(report.model.main.ops)
    assert fewer >= 2


if __name__ == "__main__":
    pytest.main([__file__])
