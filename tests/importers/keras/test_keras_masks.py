"""Layers hand the masks of their operands on, or not, as their generation of Keras does.

Layers that compute with masks are tested where their examples are (`Example.carried`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from layer_example import EXAMPLES, VERSIONS, Draw, Example, F, Operand, called_in, mean_of, run
from networks_keras import call3, functional, given, layer, ref3, write_h5
from test_keras_random import RUN

from tqconv import api

HAND_ON = {
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Dense", "Dropout"),
    *("SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "BatchNormalization", "LayerNormalization", "UnitNormalization"),
    *("GroupNormalization", "SyncBatchNormalization", "SpectralNormalization"),
}
"""Layers whose result has the mask of their operand, as tf_keras 2.21 and Keras 3.15.1 have it."""
SINCE_3 = {"Identity", "Rescaling", "Normalization"}
COUNT = {
    *("Masking", "Softmax", "TimeDistributed", "GlobalAveragePooling1D"),
    *("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"),
    *("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
}
"""Layers that compute with masks, or make one."""


@pytest.mark.parametrize("op", sorted(EXAMPLES.keys() - COUNT))
def test_a_mask_is_handed_on_or_lost(tmp_path: Path, op: str) -> None:
    maker = EXAMPLES[op]

    @settings(RUN, max_examples=4)
    @drawn(st.data())
    def check(data: st.DataObject) -> None:
        d = Draw(data, maker.majors)
        example = maker.make(d, op)
        if fits(example):
            compare(tmp_path, op, d.major, example)

    check()


def fits(example: Example) -> bool:
    """Whether operand and result are reals [n, t, c], with two steps at least."""
    x, y = example.xs[0], example.ys[0]
    shown = all(mask is None for mask in example.hidden)
    alone = len(example.xs) == 1 and not example.named and not example.later and shown
    return alone and x.ndim == y.ndim == 3 and x.dtype == y.dtype == F and x.shape[1] > 1


def compare(folder: Path, op: str, major: int, example: Example) -> None:
    """Compare the mean of a result whose operand, any numbers, comes from a table with a mask."""
    x, y = example.xs[0], example.ys[0]
    ids = np.arange(1, x[..., 0].size + 1, dtype=np.int32).reshape(x.shape[:2])
    ids[0, 1] = 0  # the one step that is hidden
    table = np.zeros((ids.max() + 1, x.shape[2]), F)
    table[ids] = x
    options = {"input_dim": len(table), "output_dim": x.shape[2], "mask_zero": True}
    chain = [Operand("x0", (None, *ids.shape[1:]), "int32")]
    chain += [Operand(n, (None, *a.shape[1:]), "float32") for n, a in (("front", x), ("tested", y))]
    entries = [layer("Embedding", "front", **options), layer(op, "tested", **example.config)]
    entries.append(layer("GlobalAveragePooling1D", "behind"))
    called = [called_in(e, [t], {}, major) for e, t in zip(entries, chain, strict=True)]
    border = given("x0", chain[0].shape, "int32")
    model = functional(border, *called, inputs=[["x0", 0, 0]], outputs=[["behind", 0, 0]])
    stored = {"front": [("table:0", table)]}
    stored["tested"] = [(f"tested/{i}:0", w) for i, w in enumerate(example.weights)]
    path = write_h5(folder / "model.h5", model, stored, VERSIONS[major])
    ((made,),) = run(api.optimize(api.load(path)), [[ids]], delegate=True)
    carries = op in HAND_ON or (op in SINCE_3 and major >= 3)
    mask = ids > 0 if carries else np.ones(y.shape[:2], bool)
    np.testing.assert_allclose(made, mean_of(y, mask), atol=1e-4, rtol=1e-4)


TABLE = np.array([[0, 0], [1, 2], [3, 4], [5, 7]], F)
IDS = np.array([[1, 2, 0], [3, 0, 0]], np.int32)


@pytest.mark.parametrize("version", ["3.7.0", "3.8.0", "3.15.1"])
@pytest.mark.parametrize("behind", [1, 2, 4])
def test_attention_takes_the_mask_off_what_it_reads(
    tmp_path: Path, version: str, behind: int
) -> None:
    """Since Keras 3.8, and for what is called after it: the farther from the outputs, the earlier.

    Values are means of what is shown. `none` finds 0 and stands two calls before an output;
    `beside` reads the same tensor and stands so many before another one.
    """
    one, nothing = np.eye(2, dtype=F), np.zeros((2, 1, 2), F)
    beginning = [nothing, np.zeros((1, 2), F)] * 2
    end = [np.zeros((1, 2), F), one[None], np.zeros(2, F)]
    weights = {"none": [*beginning, nothing, *end]}
    weights |= {name: [*beginning, one[:, None], *end] for name in ("after", "beside")}
    heads = {"num_heads": 1, "key_dim": 2}
    entries = [
        call3(layer("Embedding", "e", input_dim=4, output_dim=2, mask_zero=True), ref3("ids")),
        call3(layer("MultiHeadAttention", "none", **heads), ref3("e"), ref3("e")),
        call3(layer("Add", "s"), [ref3("e"), ref3("none")]),
        call3(layer("MultiHeadAttention", "after", **heads), ref3("s"), ref3("s")),
        call3(layer("MultiHeadAttention", "beside", **heads), ref3("e"), ref3("e")),
    ]
    last = "beside"
    for number in range(behind):
        identity = layer("Activation", f"d{number}", activation="linear")
        entries.append(call3(identity, ref3(last)))
        last = f"d{number}"
    border, outputs = given("ids", [None, 3], "int32"), [["after", 0, 0], [last, 0, 0]]
    model = functional(border, *entries, inputs=[["ids", 0, 0]], outputs=outputs)
    stored = {
        name: [(f"{name}/{i}:0", w) for i, w in enumerate(ws)] for name, ws in weights.items()
    }
    path = write_h5(tmp_path / "model.h5", model, {"e": [("table:0", TABLE)], **stored}, version)
    ((after, beside),) = run(api.optimize(api.load(path)), [[IDS]], delegate=True)
    masked, whole = mean_of(TABLE[IDS], IDS > 0), TABLE[IDS].mean(1)
    strips = version != "3.7.0"
    np.testing.assert_allclose(after[:, 0], whole if strips else masked, rtol=1e-6)
    is_late = strips and behind == 1
    np.testing.assert_allclose(beside[:, 0], whole if is_late else masked, rtol=1e-6)
