"""What is taken down while samples are calibrated, so that the float model runs them once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs import memory as memory_page
from tqconv.jobs import quantize as job
from tqconv.jobs.memory import MOST, Memory
from tqconv.runtime.litert import Feed, Session

NETWORK = """
x: f32[1,6,6,3] -> y
h = CONV_2D(x, f32[8,3,3,3], f32[8]) {padding=SAME, stride_h=1, stride_w=1}
r = RELU(h)
d = DEPTHWISE_CONV_2D(r, f32[1,3,3,8], f32[8]) {padding=SAME, stride_h=2, stride_w=2}
m = MEAN(d, [1, 2])
z = FULLY_CONNECTED(m, f32[5,8], f32[5])
y = SOFTMAX(z) {beta=1.0}
"""


def network() -> Model:
    return Model([parse(NETWORK)])


def images(count: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, 6, 6, 3)).astype(np.float32)


def asked(path: Path, count: int) -> QuantizeOptions:
    np.savez(path / "s.npz", x=images(count))
    return QuantizeOptions(mode="int8", calibration_data=str(path / "s.npz"))


@pytest.mark.parametrize("count", [9, 40, MOST + 7])
def test_nothing_depends_on_when_moments_are_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    options = asked(tmp_path, count)
    runs: list[Feed] = []
    run = Session.run

    def counted(self: Session, feed: Feed) -> None:
        runs.append(feed)
        run(self, feed)

    monkeypatch.setattr(Session, "run", counted)
    once, again = network(), network()
    job.quantize(once, options)
    first = len(runs)
    monkeypatch.setattr(job, "sample_count", lambda model, options: None)
    monkeypatch.setattr(memory_page, "RECORDED", 0)
    job.quantize(again, options)
    assert bytes(serialize(once)) == bytes(serialize(again))
    assert first < len(runs) - first


def test_samples_other_than_expected_teach_nothing() -> None:
    model = network()
    feeds = [{"x": image[None]} for image in images(30)]
    for count in (29, 30, 31):
        memory = Memory(model, count, teaches=True)
        for feed in memory.watch(feeds):
            memory.hear(feed, lambda name: np.zeros([d or 1 for d in SHAPES[name]], np.float32))
        assert bool(memory.lessons()) == (count == 30)


SHAPES = {tensor.name: tensor.shape for tensor in network().main.tensors()}


def test_what_is_known_of_samples_that_are_not_kept_goes() -> None:
    memory = Memory(network())
    feeds = [{"x": image[None]} for image in images(MOST + 1)]
    for feed in memory.watch(feeds):
        memory.hear(feed, lambda name: np.zeros(5, np.float32))
    assert [bool(memory.floats(feed)) for feed in feeds[:4]] == [True, False, True, False]
    assert set(memory.floats(feeds[0])) == {"y", "z"}
