"""Non-maximum suppression and custom operators, against loops in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from flatbuffers import flexbuffers
from graphs import DELEGATES, assert_op, attr_value, graph, model_of, node, placeholder, typed
from numpy.typing import NDArray

from tqconv.api import optimize
from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.graphdef import import_graph
from tqconv.importers.tf.node import graph_ref, nodes_of
from tqconv.ir.graph import Model
from tqconv.schema import proto

Array = NDArray[Any]
CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # a score is multiplied by a dozen exponentials


def overlap(one: Array, other: Array) -> float:
    low, high = np.minimum(one[:2], one[2:]), np.maximum(one[:2], one[2:])
    first, last = np.minimum(other[:2], other[2:]), np.maximum(other[:2], other[2:])
    common = np.prod(np.maximum(np.minimum(high, last) - np.maximum(low, first), 0))
    areas = np.prod(high - low), np.prod(last - first)
    return float(common / (areas[0] + areas[1] - common)) if min(areas) > 0 else 0.0


def chosen(
    boxes: Array, scores: Array, most: int, limit: float, lowest: float, sigma: float = 0
) -> Any:
    """Indices and scores as TensorFlow chooses them: with a sigma, overlap only lowers scores."""
    rest = {i: float(s) for i, s in enumerate(scores) if s > lowest}
    kept: list[tuple[int, float]] = []
    while rest and len(kept) < most:
        best = max(rest, key=lambda i: (rest[i], -i))
        kept.append((best, rest.pop(best)))
        for i in list(rest):
            shared = overlap(boxes[best], boxes[i])
            rest[i] *= np.exp(-0.5 * shared**2 / sigma) if sigma else shared <= limit
            if rest[i] <= lowest or (not sigma and shared > limit):
                del rest[i]
    return [i for i, _ in kept], [s for _, s in kept]


def boxes_and_scores(count: int = 12, seed: int = 0, spread: float = 1.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, spread, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.6, (count, 2))], 1)
    scores = rng.permutation(count) / count - 0.2  # no ties: LiteRT orders them its own way
    return boxes.astype(np.float32), scores.astype(np.float32)


BOXES, SCORES = boxes_and_scores()
LIMITS = [0.0, 0.3, 0.5, 0.9, 1.0]


def f32(value: float) -> Array:
    return np.array(value, np.float32)


def i32(value: int) -> Array:
    return np.array(value, np.int32)


@pytest.mark.parametrize("limit", LIMITS)
def test_suppression_without_a_lowest_score(limit: float) -> None:
    expected = np.array(chosen(BOXES, SCORES, 7, limit, -9)[0], np.int32)
    operands = (BOXES, SCORES, i32(7))
    op = "NonMaxSuppression"
    assert_op(op, operands, expected, constants=(2,), iou_threshold=limit)
    assert_op(f"{op}V2", (*operands, f32(limit)), expected, constants=(2, 3))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("limit", LIMITS)
def test_suppression_above_a_lowest_score(limit: float, padded: bool) -> None:
    found, _ = chosen(BOXES, SCORES, 9, limit, 0.1)
    operands = (BOXES, SCORES, i32(9), f32(limit), f32(0.1))
    expected = np.array(found, np.int32)
    assert_op("NonMaxSuppressionV3", operands, expected, constants=(2, 3, 4))
    filled = np.pad(expected, (0, 9 - len(found))) if padded else expected
    outputs = filled, i32(len(found))
    attrs = {"pad_to_max_output_size": padded}
    assert_op("NonMaxSuppressionV4", operands, outputs, constants=(2, 3, 4), **attrs)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize("limit", LIMITS[:-1])
def test_soft_suppression(limit: float, sigma: float, padded: bool) -> None:
    boxes, values = boxes_and_scores(spread=0.2)  # most overlap by more than half
    found, scores = chosen(boxes, values, 9, limit, 0.1, sigma)
    room = (0, 9 - len(found)) if padded else (0, 0)
    outputs = np.pad(np.array(found, np.int32), room), np.pad(np.array(scores, np.float32), room)
    operands = (boxes, values, i32(9), f32(limit), f32(0.1), f32(sigma))
    attrs = {"pad_to_max_output_size": padded}
    op = "NonMaxSuppressionV5"
    constants = (2, 3, 4, 5)
    assert_op(op, operands, (*outputs, i32(len(found))), constants=constants, **attrs, **CLOSE)


def test_suppression_with_operands_at_run_time() -> None:
    found, _ = chosen(BOXES, SCORES, 6, 0.45, 0.1)
    operands = (BOXES, SCORES, i32(6), f32(0.45), f32(0.1))
    assert_op("NonMaxSuppressionV3", operands, np.array(found, np.int32), dynamic=True)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("limit", LIMITS)
def test_equal_boxes_turned_boxes_and_boxes_of_no_area(limit: float, dynamic: bool) -> None:
    corners = [
        [0, 0, 1, 1],
        [0, 0, 1, 1],
        [0, 0, 1, 0.5],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0.5, 0, 0.5, 9],
    ]
    boxes, scores = np.array(corners, np.float32), np.arange(6, 0, -1).astype(np.float32)
    found, _ = chosen(boxes, scores, 10, limit, -1)
    operands = (boxes, scores, i32(10), f32(limit), f32(-1))
    expected = np.array(found, np.int32)
    assert_op("NonMaxSuppressionV3", operands, expected, constants=(2, 3, 4), dynamic=dynamic)


def combined(boxes: Array, scores: Array, each: int, total: int, clip: bool) -> tuple[Array, ...]:
    images = []
    for places, values in zip(boxes, scores, strict=True):
        found = []
        for number in range(values.shape[1]):
            own = places[:, number % places.shape[1]]
            indices, kept = chosen(own, values[:, number], each, 0.4, 0.3)
            found += [(s, own[i], number) for i, s in zip(indices, kept, strict=True)]
        best = sorted(found, key=lambda f: -f[0])[:total]
        rows, best_scores, classes = np.zeros((total, 4)), np.zeros(total), np.zeros(total)
        for i, (score, box, number) in enumerate(best):
            rows[i], best_scores[i], classes[i] = box, score, number
        images.append((np.clip(rows, 0, 1) if clip else rows, best_scores, classes, len(best)))
    made = zip(*images, strict=True)
    kinds = (np.float32, np.float32, np.float32, np.int32)
    return tuple(np.array(part, kind) for part, kind in zip(made, kinds, strict=True))


@pytest.mark.parametrize(
    ("each", "total", "clip", "own_boxes", "pad_per_class"),
    [
        (3, 5, True, 1, False),
        (3, 5, False, 3, True),
        (20, 30, True, 3, True),
        (3, 20, False, 1, True),
    ],
)
def test_combined_suppression(
    each: int, total: int, clip: bool, own_boxes: int, pad_per_class: bool
) -> None:
    drawn = [boxes_and_scores(8, seed) for seed in range(6)]
    boxes = (
        np.stack([d[0] for d in drawn]).reshape(2, 3, 8, 4).transpose(0, 2, 1, 3)[:, :, :own_boxes]
    )
    scores = np.random.default_rng(1).uniform(0, 1, (2, 8, 3)).astype(np.float32)
    room = min(total, each * 3) if pad_per_class else total
    expected = combined(boxes - np.float32(0.2), scores, each, room, clip)
    operands = (boxes - np.float32(0.2), scores, i32(each), i32(total), f32(0.4), f32(0.3))
    attrs = {"clip_boxes": clip, "pad_per_class": pad_per_class}
    op = "CombinedNonMaxSuppression"
    assert_op(op, operands, expected, constants=(2, 3, 4, 5), **attrs)


def with_custom(message: Any, outputs: list[str]) -> Model:
    nodes = nodes_of(iter(message.node), graph_ref)
    options = LoadOptions(outputs=tuple(outputs), allow_custom_ops=True)
    return optimize(import_graph(nodes, {}, "net.pb", options))


def test_an_unknown_operator_becomes_custom_only_if_asked_for() -> None:
    x = placeholder("x", np.float32, (2, 3))
    y = node(
        "y", "Mystery", "x", count=3, ratio=0.5, label="abc", on=True, sizes=[1, 2], T=np.int32
    )
    shapes = proto.messages().AttrValue()
    shapes.list.shape.add().dim.add().size = 7
    shapes.list.shape.add().unknown_rank = True
    types = attr_value([np.float32, np.int64])
    for name, value in {
        "_output_shapes": shapes,
        "_output_types": types,
        "raw": attr_value(b"\xff"),
    }.items():
        y.attr[name].CopyFrom(value)
    with pytest.raises(UnsupportedError, match="Mystery"):
        model_of(graph(x, y), ["y"])
    (op,) = with_custom(graph(x, y), ["y", "y:1"]).main.ops
    assert op.options["custom_code"] == "Mystery"
    assert [(t.shape, t.dtype) for t in op.outputs] == [((7,), np.float32), ((), np.int64)]
    root = flexbuffers.GetRoot(op.options["custom_options"]).AsMap
    assert [key.AsKey for key in root.Keys] == ["count", "label", "on", "ratio", "raw", "sizes"]
    assert (root["count"].AsInt, root["ratio"].AsFloat, root["on"].AsBool) == (3, 0.5, True)
    assert (root["label"].AsString, list(root["sizes"].AsTypedVector.Value)) == ("abc", [1, 2])
    assert root["raw"].IsString


def test_a_custom_operator_without_plain_attributes_has_no_options() -> None:
    x, y = placeholder("x", np.float32, (2,)), node("y", "Mystery", "x", T=np.int32)
    (op,) = with_custom(graph(x, y), ["y"]).main.ops
    assert (op.options["custom_options"], op.output.dtype) == (b"", np.int32)


def test_an_unknown_shape_passes_through_elements_only() -> None:
    x, c = placeholder("x", np.float32, (2,)), node("c", "Mystery", "x", T=np.float32)
    y, axis = node("y", "Relu", "c"), node("a", "Const", dtype=np.int32, value=i32(0))
    model = with_custom(graph(x, c, y), ["y"])
    assert [op.type for op in model.main.ops] == ["CUSTOM", "RELU"]
    total = node("z", "Sum", "y", "a")
    with pytest.raises(UnsupportedError, match="the shape of 'y' is not known"):
        with_custom(graph(x, c, y, axis, total), ["z"])


def test_what_toco_asked_about_integers_is_kept() -> None:
    x = placeholder("x", np.float32, (2,))
    y = node("y", "Mystery", "x", T=np.float32, _output_quantized=True)
    (op,) = with_custom(graph(x, y), ["y"]).main.ops
    assert op.options["takes_integers"] is True
    assert "makes_reals" not in op.options


def test_detection_postprocess_runs_in_litert() -> None:
    boxes, scores, anchors = np.zeros((1, 4, 4)), np.zeros((1, 4, 3)), np.zeros((4, 4))
    anchors[:] = [
        [0.2, 0.2, 0.2, 0.2],
        [0.5, 0.5, 0.2, 0.2],
        [0.8, 0.8, 0.2, 0.2],
        [0.2, 0.8, 0.2, 0.2],
    ]
    scores[0, :, 1], scores[0, 2, 2] = [0.9, 0.3, 0.6, 0.7], 0.8
    feeds = {"b": boxes, "s": scores, "a": anchors}
    feeds = {name: value.astype(np.float32) for name, value in feeds.items()}
    attrs = {"max_detections": 3, "max_classes_per_detection": 1, "detections_per_class": 3}
    attrs |= {"num_classes": 2, "use_regular_nms": False, "_output_quantized": True}
    scales = {"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0}
    thresholds = {"nms_score_threshold": 0.1, "nms_iou_threshold": 0.5}
    y = node("y", "TFLite_Detection_PostProcess", *feeds, **attrs, **scales, **thresholds)
    y.attr["_output_types"].CopyFrom(attr_value([np.float32] * 4))
    inputs = [placeholder(name, np.float32, value.shape) for name, value in feeds.items()]
    model = with_custom(graph(*inputs, y), ["y", "y:1", "y:2", "y:3"])
    shapes = [t.shape for t in model.main.outputs]
    assert shapes == [(1, 3, 4), (1, 3), (1, 3), (1,)]
    for delegate in DELEGATES:
        places, classes, best, count = run_litert(model, feeds, delegate)
        np.testing.assert_allclose(best, [[0.9, 0.8, 0.7]])
        np.testing.assert_array_equal(classes, [[0, 1, 0]])
        np.testing.assert_allclose(places[0, 0], [0.1, 0.1, 0.3, 0.3], rtol=1e-5)
        np.testing.assert_array_equal(count, [3])


def test_audio_features_are_the_custom_operators_of_litert() -> None:
    time = np.arange(1600) / 16000
    x = np.sin(2 * np.pi * 1000 * time).astype(np.float32)[:, None]
    spectrogram = node(
        "s", "AudioSpectrogram", "x", window_size=400, stride=160, magnitude_squared=True
    )
    mfcc = node("y", "Mfcc", "s", "r", dct_coefficient_count=10, upper_frequency_limit=7600.0)
    rate = node("r", "Const", dtype=np.int32, value=i32(16000))
    message = graph(placeholder("x", np.float32, x.shape), rate, spectrogram, mfcc)
    model = model_of(message, ["s", "y"], ["x"])
    assert [t.shape for t in model.main.outputs] == [(1, 8, 257), (1, 8, 10)]
    for delegate in DELEGATES:
        spectrum, features = run_litert(model, {"x": x}, delegate)
        assert (spectrum.shape, features.shape) == ((1, 8, 257), (1, 8, 10))
        np.testing.assert_array_equal(spectrum[0].argmax(1), 32)  # 1000 Hz of 512 bins at 16 kHz


def test_a_type_that_litert_lacks_is_no_output_of_a_custom_operator() -> None:
    y = node("y", "Mystery", "x")
    y.attr["T"].CopyFrom(typed("bfloat16"))
    (op,) = with_custom(graph(placeholder("x", np.float32, (2,)), y), ["y"]).main.ops
    assert op.output.dtype == np.float32
