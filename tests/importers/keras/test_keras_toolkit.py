"""Models that the optimization toolkit trains: scales, zeros and centroids are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_reference import grid
from networks_keras import (
    call3,
    computed,
    functional,
    given,
    layer,
    operation3,
    ref3,
    sequential,
    write_h5,
    write_keras,
)

from tqconv import api
from tqconv.config import ConvertOptions, QuantizeOptions, TocoOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.tflite.reader import parse
from tqconv.ir.graph import Model

F = np.float32
RNG = np.random.default_rng(31)
X = RNG.uniform(-1, 1, (16, 3)).astype(F)
W = RNG.uniform(-1, 1, (3, 4)).astype(F)
B = RNG.uniform(-1, 1, 4).astype(F)
STEP = np.array(-1, np.int32)
SCHEME = {"weight_attrs": ["kernel"], "activation_attrs": ["activation"], "quantize_output": False}
"""Of a layer with weights, as the toolkit writes it."""


def scalars(*values: float) -> list[Any]:
    return [np.array(value, F) for value in values]


def wrapped(op: str, name: str, inner: Any, config: Any, kind: str) -> dict[str, Any]:
    return layer(op, name, layer=inner, quantize_config={"class_name": kind, "config": config})


def dense(activation: str, **config: Any) -> dict[str, Any]:
    around = {"class_name": "QuantizeAwareActivation", "config": {"activation": activation}}
    return layer("Dense", "dense", units=4, use_bias=True, activation=around, **config)


def quantizer(kind: str = "AllValuesQuantizer", **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"num_bits": 8, "narrow_range": False, **config}}


RANGES = {"input": (-1.5, 1.0), "kernel": (-0.75, 0.75), "post_activation": (0.0, 2.5)}
OWN = [*scalars(*RANGES["kernel"]), *scalars(*RANGES["post_activation"])]


def written(folder: Path, form: str) -> Path:
    """A quantized layer behind a quantized input, in one of the forms in which files hold it."""
    op = "QuantizeWrapper" if "first" in form else "QuantizeWrapperV2"
    model = sequential(
        given("x", [1, 3]),
        layer("QuantizeLayer", "entry", quantizer=quantizer(per_axis=False, symmetric=False)),
        wrapped(op, "quant_dense", dense("relu"), SCHEME, "Default8BitQuantizeConfig"),
    )
    ends = [*scalars(*RANGES["input"]), STEP]
    if form.startswith("archive"):
        again = [W] if "first" in form else [W, B, W]
        place = "quantize_wrapper" if "first" in form else "quantize_wrapper_v2"
        groups = {
            "quantize_layer/vars": ends,
            f"{place}/vars": [*again, STEP, *OWN],
            f"{place}/layer/vars": [B],
        }
        weights = {f"layers/{g}/{i}": a for g, found in groups.items() for i, a in enumerate(found)}
        return write_keras(folder / "m.keras", model, weights, "2.21.0")
    pair = [("d/bias:0", B), ("d/kernel:0", W)] if "first" in form else [("k", W), ("b", B)]
    own = [(f"own{i}", array) for i, array in enumerate([STEP, *OWN])]
    named = [(f"end{i}", array) for i, array in enumerate(ends)]
    return write_h5(folder / "m.h5", model, {"entry": named, "quant_dense": [*pair, *own]})


FORMS = ["list", "list of the first version", "archive", "archive of the first version"]


@pytest.mark.parametrize("form", FORMS)
def test_a_quantized_layer_computes_what_training_saw(tmp_path: Path, form: str) -> None:
    kernel = grid(W, *RANGES["kernel"], narrow=True)
    sums = grid(X[:1], *RANGES["input"]) @ kernel + B
    expected = grid(np.maximum(sums, 0), *RANGES["post_activation"])
    made = computed(written(tmp_path, form), X[:1])[0]
    np.testing.assert_allclose(made, expected, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["int8", "int16x8", "uint8"])
def test_a_quantized_layer_keeps_its_scales(tmp_path: Path, form: str, mode: str) -> None:
    model = quantized(written(tmp_path, form), mode)
    (op,) = [op for op in model.main.ops if op.type == "FULLY_CONNECTED"]
    x, w, y = op.input(0).quant, op.input(1).quant, op.output.quant
    assert x is not None
    assert w is not None
    assert y is not None
    if mode != "int16x8":
        shift = 128 if mode == "uint8" else 0
        assert x.scale[0] == pytest.approx(2.5 / 255, rel=1e-6)
        assert (x.zero_point[0], y.zero_point[0]) == (25 + shift, -128 + shift)
        assert y.scale[0] == pytest.approx(2.5 / 255, rel=1e-6)
    codes = op.input(1).data
    assert codes is not None
    steps = codes.astype(F) - w.zero_point.reshape(-1, 1)
    reals = steps * w.scale.reshape(-1, 1)
    np.testing.assert_allclose(reals.T, grid(W, -0.75, 0.75, narrow=True), atol=1e-6)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_ranges_of_nodes_of_keras_3_become_scales(tmp_path: Path, suffix: str) -> None:
    module = "keras.src.quantizers.quantizers"
    config = {"num_bits": 8, "narrow_range": False, "axis": None}
    nodes = {
        name: {**operation3("", "FakeQuantWithMinMaxVars", name, **config), "module": module}
        for name in ("before", "after")
    }
    model = functional(
        given("x", [None, 3]),
        call3(nodes["before"], ref3("x"), -1.0, 2.0),
        call3(operation3("nn", "Relu", "relu"), ref3("before")),
        call3(nodes["after"], ref3("relu"), 0.0, 3.0),
        inputs=["x", 0, 0],
        outputs=["after", 0, 0],
    )
    path = tmp_path / f"m.{suffix}"
    if suffix == "keras":
        write_keras(path, model, {})
    else:
        write_h5(path, model, {}, "3.15.1")
    graph = quantized(path, "int8").main
    for tensor, zero in ((graph.inputs[0], -43), (graph.outputs[0], -128)):
        assert tensor.quant is not None
        np.testing.assert_allclose(tensor.quant.scale, [3 / 255], rtol=1e-6)
        assert tensor.quant.zero_point.tolist() == [zero]


def quantized(path: Path, mode: str) -> Model:
    np.savez(path.parent / "samples.npz", x=X)
    options = QuantizeOptions(
        mode=mode,  # type: ignore[arg-type]
        calibration_data=str(path.parent / "samples.npz"),
        integer_only=True,
    )
    target = path.parent / "m.tflite"
    like = TocoOptions(inference_type="uint8" if mode == "uint8" else None)
    api.convert(path, target, ConvertOptions(quantize=options, toco=like))
    return parse(target.read_bytes(), "m.tflite")


def test_quantizers_of_channels_stand_along_the_last_axis(tmp_path: Path) -> None:
    kernel = RNG.uniform(-1, 1, (2, 2, 3, 4)).astype(F)
    high = np.array([0.5, 0.7, 0.9, 1.1], F)
    none = {"class_name": "NoOpActivation", "config": {}}
    around = {"class_name": "QuantizeAwareActivation", "config": {"activation": none}}
    conv = {"filters": 4, "kernel_size": [2, 2], "strides": [1, 1], "padding": "valid"}
    inner = layer("Conv2D", "conv", use_bias=False, activation=around, **conv)
    kind = "Default8BitConvQuantizeConfig"
    model = sequential(
        given("x", [1, 2, 2, 3]), wrapped("QuantizeWrapperV2", "q", inner, SCHEME, kind)
    )
    weights = [("k", kernel), ("step", STEP), ("low", -high), ("high", high)]
    path = write_h5(tmp_path / "m.h5", model, {"q": weights})
    x = RNG.uniform(-1, 1, (1, 2, 2, 3)).astype(F)
    expected = np.einsum("nhwi,hwio->no", x, grid(kernel, -high, high, narrow=True))
    np.testing.assert_allclose(computed(path, x)[0].reshape(1, 4), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "names"),
    [("softmax", ["pre"]), ("relu", ["post"]), ("gelu", ["pre", "post"]), ("linear", ["post"])],
)
def test_activations_are_quantized_on_the_side_that_the_toolkit_does(
    tmp_path: Path, activation: str, names: list[str]
) -> None:
    inner = dense(activation)
    model = sequential(
        given("x", [1, 3]),
        wrapped("QuantizeWrapperV2", "q", inner, SCHEME, "Default8BitQuantizeConfig"),
    )
    ranges = [array for name in names for array in scalars(-0.5, 0.5 if name == "pre" else 0.25)]
    own = [STEP, *scalars(-1, 1), *ranges]
    named = [("k", W), ("b", B), *((f"own{i}", array) for i, array in enumerate(own))]
    y = computed(write_h5(tmp_path / "m.h5", model, {"q": named}), 4 * X[:1])[0]
    if names[-1] == "post":
        assert y.max() <= 0.25 + 0.75 / 255
    else:
        assert y.max() / y.min() <= np.exp(1.01)


def test_a_fixed_quantizer_has_no_weights(tmp_path: Path) -> None:
    fixed = {"config": {"class_name": "Default8BitOutputQuantizeConfig", "config": {}}}
    ends = {"num_bits": 8, "init_min": -0.5, "init_max": 0.5, "narrow_range": False}
    inner = layer("Activation", "linear", activation="linear")
    model = sequential(
        given("x", [1, 3]),
        wrapped("QuantizeWrapperV2", "q", inner, {**fixed, **ends}, "FixedQuantizeConfig"),
    )
    path = write_h5(tmp_path / "m.h5", model, {"q": [("step", STEP)]})
    np.testing.assert_allclose(computed(path, X[:1])[0], grid(X[:1], -0.5, 0.5), atol=1e-6)


def test_quantizers_of_a_class_of_the_users_are_refused_by_name(tmp_path: Path) -> None:
    model = sequential(
        given("x", [1, 3]),
        wrapped("QuantizeWrapperV2", "q", dense("relu"), {}, "MyOwnQuantizeConfig"),
    )
    with pytest.raises(UnsupportedError, match="`MyOwnQuantizeConfig`"):
        api.load(write_h5(tmp_path / "m.h5", model, {}))


@pytest.mark.parametrize("is_archive", [False, True])
def test_what_pruning_masks_is_zero(tmp_path: Path, is_archive: bool) -> None:
    mask = (W > 0).astype(F)
    inner = layer("Dense", "dense", units=4, use_bias=True, activation="linear")
    schedule = {"class_name": "ConstantSparsity", "config": {}}
    model = sequential(
        given("x", [1, 3]),
        layer("PruneLowMagnitude", "p", layer=inner, pruning_schedule=schedule, block_size=[1, 1]),
    )
    own = [mask, *scalars(0.1), np.array(7, np.int64)]
    if is_archive:
        place = "layers/prune_low_magnitude"
        arrays = {f"{place}/vars/{i}": array for i, array in enumerate([W, *own])}
        arrays |= {f"{place}/layer/vars/0": W, f"{place}/layer/vars/1": B}
        path = write_keras(tmp_path / "m.keras", model, arrays, "2.21.0")
    else:
        named = [("k", W), ("b", B), *((f"own{i}", array) for i, array in enumerate(own))]
        path = write_h5(tmp_path / "m.h5", model, {"p": named})
    np.testing.assert_allclose(computed(path, X[:1])[0], X[:1] @ (W * mask) + B, atol=1e-6)


@pytest.mark.parametrize("is_archive", [False, True])
def test_clustered_weights_are_their_nearest_centroids(tmp_path: Path, is_archive: bool) -> None:
    centroids = np.array([-0.5, 0.25, 0.5], F)
    inner = layer("Dense", "dense", units=4, use_bias=True, activation="linear")
    options = {"number_of_clusters": 3, "preserve_sparsity": False, "cluster_per_channel": False}
    model = sequential(given("x", [1, 3]), layer("ClusterWeights", "c", layer=inner, **options))
    indices = np.zeros((3, 4), np.int64)  # of an earlier step: they say nothing
    if is_archive:
        place = "layers/cluster_weights"
        arrays = {f"{place}/vars/{i}": a for i, a in enumerate([W, centroids, indices])}
        path = write_keras(
            tmp_path / "m.keras", model, {**arrays, f"{place}/layer/vars/0": B}, "2.21.0"
        )
    else:
        named = [("bias", B), ("kernel", W), ("centroids", centroids), ("indices", indices)]
        path = write_h5(tmp_path / "m.h5", model, {"c": named})
    nearest = centroids[np.argmin(np.abs(W[..., None] - centroids), -1)]
    np.testing.assert_allclose(computed(path, X[:1])[0], X[:1] @ nearest + B, atol=1e-6)


def test_an_annotated_layer_is_the_layer(tmp_path: Path) -> None:
    inner = layer("Dense", "dense", units=4, use_bias=True, activation="linear")
    model = sequential(
        given("x", [1, 3]), layer("QuantizeAnnotate", "a", layer=inner, quantize_config=None)
    )
    path = write_h5(tmp_path / "m.h5", model, {"a": [("k", W), ("b", B)]})
    np.testing.assert_allclose(computed(path, X[:1])[0], X[:1] @ W + B, atol=1e-6)
