"""Resize, Upsample and ConvTranspose in all their ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Array, assert_like_reference, computed, load, network, node
from onnx.reference import ReferenceEvaluator

from tqconv import api
from tqconv.errors import UnsupportedError

X = np.random.default_rng(1).normal(size=(1, 2, 5, 6)).astype(np.float32)
PLACES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
)
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def resize(x: Array, opset: int = 19, sizes: Any = None, scales: Any = None, **told: Any) -> Any:
    constants = {}
    if scales is not None:
        constants["scales"] = np.array(scales, np.float32)
    if sizes is not None:
        constants["sizes"] = np.array(sizes, np.int64)
    roi = told.pop("roi", None)
    if roi is not None:
        constants["roi"] = np.array(roi, np.float32)
    names = " ".join(n if n in constants else "_" for n in ("roi", "scales", "sizes"))
    one = node("Resize", f"x {names}", "y", **told)
    return network([one], {"x": x}, ["y"], constants, opset=opset)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("scales", [(1, 1, 2, 3), (1, 1, 0.6, 0.5), (1, 2, 1.2, 1)])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_elements_are_interpolated(
    tmp_path: Path, places: str, scales: tuple[float, ...], mode: str
) -> None:
    model = resize(X, scales=scales, mode=mode, coordinate_transformation_mode=places)
    assert_like_reference(model, tmp_path, {"x": X}, rtol=1e-5)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_elements_are_repeated(tmp_path: Path, places: str, rounding: str) -> None:
    x = X[:, :, :4]
    for scales in ((1, 1, 2, 3), (1, 1, 0.5, 1.5)):  # exact in float32, sizes are whole
        model = resize(
            x, scales=scales, coordinate_transformation_mode=places, nearest_mode=rounding
        )
        assert_like_reference(model, tmp_path, {"x": x}, rtol=0)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("exclude", [0, 1])
def test_shrinking_averages_with_antialias(tmp_path: Path, mode: str, exclude: int) -> None:
    model = resize(X, scales=(1, 1, 0.6, 0.5), mode=mode, antialias=1, exclude_outside=exclude)
    assert_like_reference(model, tmp_path, {"x": X}, rtol=1e-5)


def test_a_crop_is_filled_outside(tmp_path: Path) -> None:
    model = resize(
        X,
        sizes=(1, 2, 4, 4),
        roi=(0, 0, 0.3, -0.2, 1, 1, 1.2, 0.9),
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=7.0,
    )
    assert_like_reference(model, tmp_path, {"x": X})


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_some_axes_get_sizes(tmp_path: Path, policy: str) -> None:
    model = resize(X, sizes=(8, 7), axes=[2, 3], mode="linear", keep_aspect_ratio_policy=policy)
    assert_like_reference(model, tmp_path, {"x": X})


@pytest.mark.parametrize("shape", [(1, 2, 5), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_lines_and_volumes_are_resized(tmp_path: Path, shape: tuple[int, ...], mode: str) -> None:
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    model = resize(x, scales=(1, 1, *[2] * (len(shape) - 2)), mode=mode)
    assert_like_reference(model, tmp_path, {"x": x})


def test_what_a_kernel_computes_is_one_operator(tmp_path: Path) -> None:
    for told in (
        {"mode": "linear"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"coordinate_transformation_mode": "half_pixel"},
    ):
        model = api.optimize(load(resize(X, scales=(1, 1, 2, 2), **told), tmp_path))
        inner = [op.type for op in model.main.ops if op.type != "TRANSPOSE"]
        assert len(inner) == 1
        assert inner[0].startswith("RESIZE_")


def test_unknown_sizes_are_multiplied(tmp_path: Path) -> None:
    model = resize(X, scales=(1, 1, 2, 2), mode="linear")
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"d{axis}"
    assert_like_reference(model, tmp_path, {"x": X})


FACTORS = (1, 1, 1.7, 0.6)
OPEN = {"x": ["n", 2, "h", "w"]}


def opened(model: Any) -> Any:
    """Return a model whose images may have any size."""
    for axis in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"d{axis}"
    return model


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_unknown_sizes_are_scaled_by_fractions(tmp_path: Path, mode: str, places: str) -> None:
    told = {"mode": mode, "coordinate_transformation_mode": places}
    (want,) = computed(resize(X, scales=FACTORS, **told), tmp_path, {"x": X})[0]
    model = opened(resize(X, scales=FACTORS, **told))
    assert_like_reference(model, tmp_path, {"x": X}, [want])
    if places not in ("half_pixel_symmetric", "align_corners"):  # of sizes that are not rounded
        assert_like_reference(model, tmp_path, {"x": X})


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_elements_of_unknown_sizes_are_repeated(tmp_path: Path, places: str, rounding: str) -> None:
    told = {"coordinate_transformation_mode": places, "nearest_mode": rounding}
    (want,) = computed(resize(X, scales=FACTORS, **told), tmp_path, {"x": X})[0]
    assert_like_reference(opened(resize(X, scales=FACTORS, **told)), tmp_path, {"x": X}, [want], 0)


@pytest.mark.parametrize(
    "told", [{"antialias": 1}, {"exclude_outside": 1, "mode": "cubic"}, {"mode": "cubic"}]
)
def test_filters_of_unknown_sizes(tmp_path: Path, told: dict[str, Any]) -> None:
    told = {"mode": "linear", **told}
    model = opened(resize(X, scales=(1, 1, 0.5, 2), **told))
    assert_like_reference(model, tmp_path, {"x": X})


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("shapes", [{}, OPEN])
def test_sizes_come_from_outside(tmp_path: Path, mode: str, shapes: Any) -> None:
    feeds = {"x": X, "s": np.array([1, 2, 7, 4])}
    nodes = [node("Resize", "x _ _ s", "y", mode=mode)]
    model = network(nodes, feeds, ["y"], shapes=shapes)
    assert_like_reference(model, tmp_path, feeds)
    last = network(
        [node("Resize", "x _ _ s", "y", mode=mode)], feeds, ["y"], shapes={"x": ["n", "h", "w", 6]}
    )
    assert_like_reference(last, tmp_path, {"x": X, "s": np.array([1, 4, 7, 6])})


def test_factors_come_from_outside(tmp_path: Path) -> None:
    feeds = {"x": X, "s": np.array([1.5, 2], np.float32)}
    constants = {"o": np.array([1, 1], np.float32)}
    nodes = [node("Concat", "o s", "f", axis=0), node("Resize", "x _ f", "y", mode="linear")]
    model = network(nodes, feeds, ["y"], constants, shapes=OPEN)
    assert_like_reference(model, tmp_path, feeds)
    old = [node("Concat", "o s", "f", axis=0), node("Upsample", "x f", "y")]
    model = network(old, feeds, ["y"], constants, opset=9)
    want = X[:, :, [0, 0, 1, 2, 2, 3, 4]].repeat(2, 3)
    assert_like_reference(model, tmp_path, feeds, [want], 0)


def test_upsample_repeats_elements(tmp_path: Path) -> None:
    want = X.repeat(2, 2).repeat(3, 3)
    by_attribute = node("Upsample", "x", "y", scales=[1.0, 1.0, 2.0, 3.0])
    model = network([by_attribute], {"x": X}, ["y"], opset=7)
    np.testing.assert_array_equal(computed(model, tmp_path, {"x": X})[0][0], want)
    scales = {"s": np.array([1, 1, 2, 3], np.float32)}
    model = network([node("Upsample", "x s", "y")], {"x": X}, ["y"], scales, opset=9)
    np.testing.assert_array_equal(computed(model, tmp_path, {"x": X})[0][0], want)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, {"strides": [2], "dilations": [2], "pads": [1, 0]}),
        (2, {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
        (2, {"strides": [2, 3], "auto_pad": "SAME_UPPER"}),
        (2, {"strides": [2, 3], "auto_pad": "SAME_LOWER"}),
        (2, {"dilations": [2, 2]}),
        (3, {"strides": [2, 2, 2], "pads": [1, 0, 1, 0, 1, 0]}),
    ],
)
@pytest.mark.parametrize("group", [1, 2, 4])
def test_transposed_convolutions(
    tmp_path: Path, count: int, told: dict[str, Any], group: int
) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, *(5, 4, 3)[:count])).astype(np.float32)
    w = rng.normal(size=(4, 4 // group, *[3] * count)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    one = node("ConvTranspose", "x w b", "y", group=group, **told)
    model = network([one], {"x": x}, ["y"], {"w": w, "b": bias})
    alone = [node("ConvTranspose", "x w", "y", **told)]
    parts = [
        ReferenceEvaluator(network(alone, {"x": of_x}, ["y"], {"w": of_w})).run(None, {"x": of_x})
        for image in np.split(x, 2)
        for of_x, of_w in zip(np.split(image, group, axis=1), np.split(w, group), strict=True)
    ]
    # The reference evaluator knows neither several images nor the biases of groups.
    images = [
        np.concatenate([p[0] for p in parts[i : i + group]], axis=1)
        for i in range(0, len(parts), group)
    ]
    want = np.concatenate(images) + bias.reshape(4, *[1] * count)
    assert_like_reference(model, tmp_path, {"x": x}, [want])


def test_usual_padding_needs_no_slice(tmp_path: Path) -> None:
    w = np.ones((2, 3, 4, 4), np.float32)
    one = node("ConvTranspose", "x w", "y", strides=[2, 2], pads=[1, 1, 1, 1])
    model = api.optimize(load(network([one], {"x": X}, ["y"], {"w": w}), tmp_path))
    inner = [op.type for op in model.main.ops if op.type != "TRANSPOSE"]
    assert inner == ["TRANSPOSE_CONV"]


def test_sizes_beyond_what_is_reached_are_refused(tmp_path: Path) -> None:
    one = node("ConvTranspose", "x w", "y", strides=[2, 2], output_shape=[20, 13])
    w = {"w": np.ones((2, 1, 3, 3), np.float32)}
    with pytest.raises(UnsupportedError, match="lies beyond the 11 that are reached"):
        load(network([one], {"x": X}, ["y"], w), tmp_path)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER"])
def test_a_wanted_size_cuts_the_larger_half_in_front_unless_upper(
    tmp_path: Path, auto_pad: str
) -> None:
    x = np.array([[[1, 10]]], np.float32)
    w = {"w": np.array([[[1, 2, 3]]], np.float32)}
    one = node("ConvTranspose", "x w", "y", strides=[2], output_shape=[4], auto_pad=auto_pad)
    whole = np.array([[[1, 2, 13, 20, 30]]], np.float32)  # so ONNX Runtime cuts it
    want = whole[:, :, 1:] if auto_pad == "NOTSET" else whole[:, :, :-1]
    assert_like_reference(network([one], {"x": x}, ["y"], w), tmp_path, {"x": x}, [want])


def test_corners_are_aligned_whatever_the_scale_was_before_rounding(tmp_path: Path) -> None:
    x = np.array([[[[0, 1, 2, 3, 4, 5, 6]]]], np.float32)
    told = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    model = resize(x, scales=(1, 1, 1, 0.6), **told)  # 4.2 elements: ONNX Runtime has four
    assert_like_reference(model, tmp_path, {"x": x}, [np.array([[[[0, 2, 4, 6]]]], np.float32)])


def test_places_are_computed_in_float32(tmp_path: Path) -> None:
    x = np.arange(7, dtype=np.float32).reshape(1, 1, 1, 7)
    told = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    model = resize(x, scales=(1, 1, 1, 0.6), **told)
    assert_like_reference(model, tmp_path, {"x": x}, [np.array([[[[0, 1, 3, 5]]]], np.float32)])
