"""Operators that ONNX Runtime's optimizer writes for other layouts and for models of language."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Array, assert_like_reference, load, network, node
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tqconv.errors import FormatError, UnsupportedError

F = np.float32
RNG = np.random.default_rng(12)
MS = "com.microsoft"


def noise(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(F)


def codes(dtype: Any, *shape: int) -> Array:
    ends = np.iinfo(dtype)
    return RNG.integers(ends.min, ends.max, shape).astype(dtype)


@pytest.mark.parametrize("trans_x", [0, 1])
@pytest.mark.parametrize("trans_w", [0, 1])
def test_products_whose_batch_stands_behind(tmp_path: Path, trans_x: int, trans_w: int) -> None:
    x, w = noise(3, 2, 4), noise(4, 2, 5)
    told = {"transA": trans_x, "transB": trans_w, "transBatchA": 1, "transBatchB": 1}
    constants = {"w": w.transpose(2, 1, 0).copy() if trans_w else w}
    given = {"x": x.transpose(2, 1, 0).copy() if trans_x else x}
    nodes = [node("FusedMatMul", "x w", "y", MS, alpha=0.5, **told)]
    want = 0.5 * x.transpose(1, 0, 2) @ w.transpose(1, 0, 2)
    assert_like_reference(network(nodes, given, ["y"], constants), tmp_path, given, [want])


STEP, ZERO = np.array(0.02, F), np.array(120, np.uint8)


@pytest.mark.parametrize("last", [0, 1])
def test_convolution_of_codes_with_channels_last(tmp_path: Path, last: int) -> None:
    x = codes(np.uint8, 1, 3, 6, 6)
    constants: dict[str, Array] = {"w": codes(np.int8, 4, 3, 3, 3), "s": STEP, "z": ZERO}
    constants |= {"t": np.array(0.01, F), "u": np.array(0, np.int8), "v": np.array(0.3, F)}
    judge = network([node("QLinearConv", "x s z w t u v z", "y")], {"x": x}, ["y"], constants)
    want = ReferenceEvaluator(judge).run(None, {"x": x})[0]
    if last:
        x, want = x.transpose(0, 2, 3, 1).copy(), want.transpose(0, 2, 3, 1)
    told = {"channels_last": last, "kernel_shape": [3, 3], "group": 1}
    nodes = [node("QLinearConv", "x s z w t u v z", "y", MS, **told)]
    model = network(nodes, {"x": x}, ["y"], constants)
    assert_like_reference(model, tmp_path, {"x": x}, [want], rtol=1 / 250)


def test_largest_codes_with_channels_last(tmp_path: Path) -> None:
    x = codes(np.uint8, 1, 6, 4, 3)
    nodes = [node("NhwcMaxPool", "x", "y", MS, kernel_shape=[2, 2], strides=[2, 2])]
    want = x.reshape(1, 3, 2, 2, 2, 3).max((2, 4))
    assert_like_reference(network(nodes, {"x": x}, ["y"]), tmp_path, {"x": x}, [want])


def packed(numbers: Array, bits: int) -> Array:
    """Numbers [rows, n] as bytes, the first one in the low bits; the last byte may have room."""
    each = 8 // bits
    rows = np.pad(numbers, ((0, 0), (0, -numbers.shape[1] % each)))
    parts = rows.reshape(rows.shape[0], -1, each) << np.arange(0, 8, bits)
    return np.asarray(parts.sum(-1), np.uint8)


@pytest.mark.parametrize("zeros", ["none", "packed", "reals"])
@pytest.mark.parametrize(("bits", "k", "block"), [(4, 40, 16), (8, 32, 16), (2, 48, 16)])
def test_weights_of_few_bits(tmp_path: Path, bits: int, k: int, block: int, zeros: str) -> None:
    blocks, n = -(-k // block), 5
    numbers = RNG.integers(0, 1 << bits, (n, blocks, block))
    zero = RNG.integers(0, 1 << bits, (n, blocks))
    scale = np.abs(noise(n, blocks)) / (1 << bits)
    stored = packed(numbers.reshape(n, -1), bits).reshape(n, blocks, -1)
    constants: dict[str, Array] = {"w": stored, "s": scale.reshape(-1), "b": noise(n)}
    if zeros == "none":
        zero = np.full_like(zero, 1 << (bits - 1))
    else:
        constants["z"] = packed(zero, bits).reshape(-1) if zeros == "packed" else zero.astype(F)
    reads = f"x w s {'_' if zeros == 'none' else 'z'} _ b"
    x = noise(2, 3, k)
    nodes = [node("MatMulNBits", reads, "y", MS, K=k, N=n, bits=bits, block_size=block)]
    reals = ((numbers - zero[:, :, None]) * scale[:, :, None]).reshape(n, -1)[:, :k]
    want = x @ reals.T.astype(F) + constants["b"]
    assert_like_reference(network(nodes, {"x": x}, ["y"], constants), tmp_path, {"x": x}, [want])


@pytest.mark.parametrize(
    ("told", "size", "error", "said"),
    [
        ({"bits": 3}, 8, UnsupportedError, "of 3 bits"),
        ({"weight_prepacked": 1}, 8, UnsupportedError, "prepacked"),
        ({}, 7, FormatError, "bytes for"),
    ],
)
def test_weights_that_cannot_be_read(
    tmp_path: Path, told: Any, size: int, error: type[Exception], said: str
) -> None:
    constants: dict[str, Array] = {"w": codes(np.uint8, 5, 1, size), "s": np.ones(5, F)}
    nodes = [node("MatMulNBits", "x w s", "y", MS, K=16, N=5, block_size=16, **told)]
    with pytest.raises(error, match=said):
        load(network(nodes, {"x": noise(2, 16)}, ["y"], constants), tmp_path)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("bits", "size"), [(4, 40), (8, 40), (2, 48)])
def test_rows_of_a_table_of_few_bits(tmp_path: Path, bits: int, size: int, zeros: bool) -> None:
    blocks = -(-size // 16)
    numbers = RNG.integers(0, 1 << bits, (7, size))
    zero = RNG.integers(0, 1 << bits, (7, blocks))
    scale = np.abs(noise(7, blocks)) / (1 << bits)
    constants: dict[str, Array] = {"w": packed(numbers, bits), "s": scale}
    if zeros:
        constants["z"] = packed(zero, bits)
    zero = zero if zeros else np.full_like(zero, 1 << (bits - 1))
    reals = (numbers - zero.repeat(16, 1)[:, :size]) * scale.repeat(16, 1)[:, :size]
    reads = f"w i s {'z' if zeros else '_'}"
    nodes = [node("GatherBlockQuantized", reads, "y", MS, bits=bits, block_size=16)]
    rows = np.array([[0, 3, 6], [2, 2, 5]])
    want = [reals[rows].astype(F)]
    assert_like_reference(
        network(nodes, {"i": rows}, ["y"], constants), tmp_path, {"i": rows}, want
    )


def test_rows_of_a_table_of_nibbles(tmp_path: Path) -> None:
    """Numbers of type uint4 and int4 stand for themselves, and zero is what is not said."""
    numbers, rows = RNG.integers(0, 16, (4, 32)), np.array([3, 0])
    scale = np.abs(noise(4, 2))
    nodes = [node("GatherBlockQuantized", "w i s", "y", MS, block_size=16)]
    for kind, low in ((TensorProto.UINT4, 0), (TensorProto.INT4, -8)):
        model = network(nodes, {"i": rows}, ["y"], {"s": scale}, opset=21)
        stored = (numbers + low).reshape(-1).tolist()
        model.graph.initializer.append(helper.make_tensor("w", kind, (4, 32), stored))
        want = ((numbers + low) * scale.repeat(16, 1)).astype(F)[rows]
        assert_like_reference(model, tmp_path, {"i": rows}, [want])


@pytest.mark.parametrize("columns", [False, True])
def test_attention_of_codes(tmp_path: Path, columns: bool) -> None:
    x, w = codes(np.uint8, 2, 5, 8), codes(np.int8, 8, 24)
    step = np.abs(noise(24)) * F(0.01) if columns else np.array(0.01, F)
    zero = np.zeros(24, np.int8) if columns else np.array(3, np.int8)
    mask = np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32)
    constants: dict[str, Array] = {"w": w, "b": noise(24), "t": step, "u": zero, "m": mask}
    constants |= {"s": STEP, "z": ZERO}
    nodes = [node("QAttention", "x w b s t m z u", "y", MS, num_heads=2)]
    sums = (x.astype(F) - 120) * STEP @ ((w.astype(F) - zero) * step) + constants["b"]
    q, k, v = (p.reshape(2, 5, 2, 4).transpose(0, 2, 1, 3) for p in np.split(sums, 3, 2))
    scores = q @ k.transpose(0, 1, 3, 2) / 2 + np.where(mask, 0, -10000)[:, None, None]
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    made = shares / shares.sum(-1, keepdims=True) @ v
    want = made.transpose(0, 2, 1, 3).reshape(2, 5, 8)
    assert_like_reference(network(nodes, {"x": x}, ["y"], constants), tmp_path, {"x": x}, [want])


def normal(x: Array, axes: Any, epsilon: float) -> Array:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def test_embedding_tables_of_codes(tmp_path: Path) -> None:
    ids, kinds = RNG.integers(0, 9, (2, 4)), RNG.integers(0, 2, (2, 4))
    given = {"i": ids.astype(np.int32), "k": kinds.astype(np.int32)}
    shapes = {"W": (9, 6), "P": (7, 6), "S": (2, 6), "G": (6,), "B": (6,)}
    tables = {name: codes(np.uint8, *shape) for name, shape in shapes.items()}
    steps = {name: np.array(0.01 * (i + 1), F) for i, name in enumerate(shapes)}
    zeros = {name: np.array(100 + i, np.uint8) for i, name in enumerate(shapes)}
    reads = ["i", "k", *shapes, "_", *(f"{n}s" for n in shapes), *(f"{n}z" for n in shapes)]
    constants = tables | {f"{n}s": a for n, a in steps.items()}
    constants |= {f"{n}z": a for n, a in zeros.items()}
    word, place, kind, factor, shift = ((tables[n].astype(F) - zeros[n]) * steps[n] for n in shapes)
    want = normal(word[ids] + place[:4] + kind[kinds], -1, 1e-12) * factor + shift
    nodes = [node("QEmbedLayerNormalization", " ".join(reads), "y n", MS)]
    model = network(nodes, given, ["y", "n"], constants)
    assert_like_reference(model, tmp_path, given, [want, np.zeros(2, np.int32)])


@pytest.mark.parametrize("activation", [0, 1])
def test_groups_of_channels_that_come_last(tmp_path: Path, activation: int) -> None:
    x, skip = noise(2, 3, 3, 8), noise(2, 8)
    constants = {"g": noise(8), "b": noise(8), "a": noise(8)}
    told = {"groups": 4, "activation": activation, "epsilon": 1e-3}
    nodes = [
        node("SkipGroupNorm", "x g b s a", "h t", MS, **told),
        node("GroupNorm", "t g b", "y", MS, **told),
    ]
    total = x + skip[:, None, None] + constants["a"]
    parts = normal(total.reshape(2, 3, 3, 4, 2), (1, 2, 4), 1e-3).reshape(x.shape)
    want = parts * constants["g"] + constants["b"]
    want = want / (1 + np.exp(-want)) if activation else want
    given = {"x": x, "s": skip}
    model = network(nodes, given, ["h", "y", "t"], constants)
    assert_like_reference(model, tmp_path, given, [want, want, total])


def test_sums_and_gates(tmp_path: Path) -> None:
    x, skip, bias = noise(2, 4, 6), noise(2, 4, 6), noise(6)
    nodes = [node("BiasAdd", "x b s", "t", MS), node("BiasSplitGelu", "t b", "y", MS)]
    left, right = np.split(x + skip + 2 * bias, 2, -1)
    erf = np.vectorize(math.erf)(right / math.sqrt(2))
    want = left * right * (1 + erf) / 2
    given = {"x": x, "s": skip}
    assert_like_reference(network(nodes, given, ["y"], {"b": bias}), tmp_path, given, [want])


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_distances_of_rows(tmp_path: Path, metric: str) -> None:
    given = {"x": noise(3, 5), "y": noise(4, 5)}
    want = ((given["x"][:, None] - given["y"]) ** 2).sum(-1)
    want = np.sqrt(want) if metric == "euclidean" else want
    nodes = [node("CDist", "x y", "d", MS, metric=metric)]
    assert_like_reference(network(nodes, given, ["d"]), tmp_path, given, [want])


def test_other_names_of_standard_operators(tmp_path: Path) -> None:
    x = noise(3, 3) + 4 * np.eye(3, dtype=F)
    nodes = [
        node("Inverse", "x", "i", MS),
        node("Trilu", "i", "u", MS),
        node("ExpandDims", "u one", "e", MS),
        node("Range", "zero three", "r", MS),
    ]
    constants = {"one": np.array(1, np.int32), "zero": np.array(0, F), "three": np.array(3, F)}
    want = [np.triu(np.linalg.inv(x))[:, None], np.arange(3, dtype=F)]
    model = network(nodes, {"x": x}, ["e", "r"], constants)
    assert_like_reference(model, tmp_path, {"x": x}, want)


GIVEN = {"activation_alpha": 0.7}
BEHIND: dict[str, tuple[dict[str, float], Any]] = {
    "Elu": (GIVEN, lambda x: np.where(x < 0, 0.7 * np.expm1(x), x)),
    "Selu": (
        {**GIVEN, "activation_gamma": 1.5},
        lambda x: 1.5 * np.where(x < 0, 0.7 * np.expm1(x), x),
    ),
    "Softplus": ({}, lambda x: np.log1p(np.exp(x))),
    "Softsign": ({}, lambda x: x / (1 + np.abs(x))),
    "ThresholdedRelu": (GIVEN, lambda x: np.where(x > 0.7, x, 0)),
}


@pytest.mark.parametrize("name", BEHIND)
def test_activations_behind_products(tmp_path: Path, name: str) -> None:
    told, apply = BEHIND[name]
    x, w = noise(3, 4), noise(4, 6)
    nodes = [node("FusedGemm", "x w", "y", MS, activation=name, **told)]
    model = network(nodes, {"x": x}, ["y"], {"w": w})
    assert_like_reference(model, tmp_path, {"x": x}, [apply(x @ w)])


def pooled(x: Array, region: Array, bins: tuple[int, int], scale: float) -> Array:
    """One region of an image [c, h, w]; halves are rounded away from zero."""
    edges = region * F(scale)
    x1, y1, x2, y2 = (int(v) for v in np.sign(edges) * np.floor(np.abs(edges) + 0.5))
    made = np.zeros((len(x), *bins), F)
    for i, j in np.ndindex(*bins):
        spans = []
        for k, n, first, last, size in (
            (i, bins[0], y1, y2, x.shape[1]),
            (j, bins[1], x1, x2, x.shape[2]),
        ):
            width = F(max(last - first + 1, 1)) / F(n)
            ends = np.floor(k * width) + first, np.ceil((k + 1) * width) + first
            spans.append(slice(*(int(np.clip(end, 0, size)) for end in ends)))
        part = x[:, spans[0], spans[1]]
        made[:, i, j] = part.max((1, 2)) if part.size else 0
    return made


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("bins", "scale"), [((2, 3), 1.0), ((4, 1), 0.5)])
def test_largest_elements_of_regions(
    tmp_path: Path, bins: tuple[int, int], scale: float, known: bool
) -> None:
    x = noise(2, 3, 7, 9)
    corners = np.array([[0, 0, 6, 4], [-3, 1.5, 4.5, 20], [8, 2, 3, 2], [12, 12, 15, 16]], F)
    rois = np.concatenate([np.array([[0], [1], [1], [0]], F), corners], 1)
    want = np.stack([pooled(x[int(r[0])], r[1:], bins, scale) for r in rois])
    assert (want == 0).any()
    given = {"x": x} if known else {"x": x, "r": rois}
    nodes = [node("MaxRoiPool", "x r", "y", pooled_shape=bins, spatial_scale=scale)]
    model = network(nodes, given, ["y"], {"r": rois} if known else {})
    assert_like_reference(model, tmp_path, given, [want])


PLACES = np.clip(noise(2, 3, 4, 2), -1, 1)
ALIASES: dict[str, tuple[dict[str, Array], dict[str, Any]]] = {
    "GatherND": ({"x": noise(3, 4), "i": np.array([[0, 1], [2, 3]])}, {}),
    "GridSample": ({"x": noise(2, 3, 5, 5), "g": PLACES}, {"padding_mode": "border"}),
    "Pad": ({"x": noise(3, 4), "p": np.array([1, 0, 0, 2]), "v": np.array(2.5, F)}, {}),
}


@pytest.mark.parametrize("op", ALIASES)
def test_standard_operators_under_the_optimizers_domain(tmp_path: Path, op: str) -> None:
    tensors, told = ALIASES[op]
    given = {name: a for name, a in tensors.items() if a.dtype == F and a.ndim}
    constants = {name: a for name, a in tensors.items() if name not in given}
    plain = network([node(op, " ".join(tensors), "y", **told)], given, ["y"], constants)
    want = ReferenceEvaluator(plain).run(None, given)
    nodes = [node(op, " ".join(tensors), "y", MS, **told)]
    assert_like_reference(network(nodes, given, ["y"], constants), tmp_path, given, want)


def test_a_product_with_its_older_name(tmp_path: Path) -> None:
    x, w = noise(2, 3, 4), noise(2, 5, 4)
    nodes = [node("TransposeMatMul", "x w", "y", MS, transB=1, alpha=0.5)]
    model = network(nodes, {"x": x}, ["y"], {"w": w})
    assert_like_reference(model, tmp_path, {"x": x}, [0.5 * x @ w.transpose(0, 2, 1)])


IMAGE = noise(2, 3, 6, 7)
DROPPED: dict[str, tuple[dict[str, Any], Array]] = {
    "Affine": ({"alpha": 2.5, "beta": 0.3}, 2.5 * IMAGE + F(0.3)),
    "Crop": ({"border": [1, 2, 3, 1]}, IMAGE[:, :, 2:-1, 1:-3]),
    "ImageScaler": (
        {"scale": 0.5, "bias": [0.1, 0.2, 0.3]},
        0.5 * IMAGE + np.array([0.1, 0.2, 0.3], F)[:, None, None],
    ),
    "ParametricSoftplus": ({"alpha": 1.7, "beta": 0.6}, 1.7 * np.log1p(np.exp(0.6 * IMAGE))),
    "Scale": ({"scale": 2.5}, 2.5 * IMAGE),
    "ScaledTanh": ({"alpha": 1.7, "beta": 0.6}, 1.7 * np.tanh(0.6 * IMAGE)),
}


@pytest.mark.parametrize("op", DROPPED)
def test_operators_of_2017(tmp_path: Path, op: str) -> None:
    told, want = DROPPED[op]
    model = network([node(op, "x", "y", **told)], {"x": IMAGE}, ["y"], opset=7)
    assert_like_reference(model, tmp_path, {"x": IMAGE}, [want])


def test_a_size_instead_of_the_far_border(tmp_path: Path) -> None:
    nodes = [node("Crop", "x", "y", border=[1, 2, 3, 1], scale=[4, 5])]
    model = network(nodes, {"x": IMAGE}, ["y"], opset=7)
    assert_like_reference(model, tmp_path, {"x": IMAGE}, [IMAGE[:, :, 2:6, 1:6]])
    with pytest.raises(FormatError, match="a border of 2 numbers"):
        load(network([node("Crop", "x", "y", border=[1, 2])], {"x": IMAGE}, ["y"]), tmp_path)
