"""Attention, against ONNX's own reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, network, node

F = np.float32


def operands(**sizes: Any) -> dict[str, Any]:
    """Return queries, keys and values of 2 images, 3 heads, 4 queries, 6 keys."""
    rng = np.random.default_rng(3)
    heads, own = sizes.get("heads", 3), sizes.get("own", 3)
    shapes = {"q": (2, heads, 4, 8), "k": (2, own, 6, 8), "v": (2, own, 6, 5)}
    return {name: rng.normal(size=shape).astype(F) for name, shape in shapes.items()}


def check(folder: Path, feeds: dict[str, Any], reads: str, makes: str = "y", **told: Any) -> None:
    """Compare with the reference for fixed and for open sizes of images and steps."""
    nodes = [node("Attention", reads, makes, **told)]
    outputs = [name for name in makes.split() if name != "_"]
    images = {n: a.shape for n, a in feeds.items() if a.ndim == 4}
    shapes: list[Any] = [{}, {n: ["n", s[1], f"t{n}", s[3]] for n, s in images.items()}]
    for chosen in shapes if "m" not in feeds else shapes[:1]:
        model = network(nodes, feeds, outputs, opset=25, shapes=chosen)
        assert_like_reference(model, folder, feeds)


@pytest.mark.parametrize("told", [{}, {"scale": 0.3}, {"softcap": 1.5}, {"is_causal": 1}])
def test_without_a_mask(tmp_path: Path, told: Any) -> None:
    check(tmp_path, operands(), "q k v", **told)


@pytest.mark.parametrize("window", [(2, 0), (0, 1), (-1, 1), (1, -1)])
def test_windows(tmp_path: Path, window: tuple[int, int]) -> None:
    left, right = window
    check(tmp_path, operands(), "q k v", left_window_size=left, right_window_size=right)


def test_heads_that_share_keys(tmp_path: Path) -> None:
    check(tmp_path, operands(heads=6, own=2), "q k v")


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mode", [0, 1, 3])
def test_what_comes_before_the_result(tmp_path: Path, mode: int, causal: int) -> None:
    told = {"qk_matmul_output_mode": mode, "is_causal": causal}
    check(tmp_path, operands(), "q k v", "y _ _ s", **told)


@pytest.mark.parametrize("kind", [np.bool_, F])
@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 6), (2, 1, 4, 6), (4, 5)])
@pytest.mark.parametrize("causal", [0, 1])
def test_masks_may_hide_whole_rows(tmp_path: Path, kind: Any, shape: Any, causal: int) -> None:
    shown = np.random.default_rng(1).integers(0, 2, shape).astype(bool)
    shown[..., 1, :] = False
    mask = shown if kind is np.bool_ else np.where(shown, F(0.5), F(-np.inf))
    check(tmp_path, {**operands(), "m": mask}, "q k v m", is_causal=causal)


def test_a_past_is_in_front_of_the_keys(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    past = {"pk": rng.normal(size=(2, 3, 2, 8)), "pv": rng.normal(size=(2, 3, 2, 5))}
    feeds = operands() | {name: a.astype(F) for name, a in past.items()}
    check(tmp_path, feeds, "q k v _ pk pv", "y k2 v2", is_causal=1)


@pytest.mark.parametrize("causal", [0, 1])
def test_a_count_of_keys_for_each_image(tmp_path: Path, causal: int) -> None:
    feeds = {**operands(), "c": np.array([3, 6])}
    check(tmp_path, feeds, "q k v _ _ _ c", is_causal=causal)


def test_heads_side_by_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    shapes = {"q": (2, 4, 12), "k": (2, 6, 6), "v": (2, 6, 10)}
    feeds = {name: rng.normal(size=shape).astype(F) for name, shape in shapes.items()}
    check(tmp_path, feeds, "q k v", q_num_heads=4, kv_num_heads=2)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("turned", [8, 4])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_turned_pairs(
    tmp_path: Path, interleaved: int, turned: int, rank: int, placed: bool, known: bool
) -> None:
    rng = np.random.default_rng(6)
    shape: Any = (2, 4, 24) if rank == 3 else (2, 3, 4, 8)
    feeds: dict[str, Any] = {"x": rng.normal(size=shape).astype(F)}
    caches = (9, turned // 2) if placed else (2, 4, turned // 2)
    feeds |= {name: rng.normal(size=caches).astype(F) for name in ("c", "s")}
    feeds |= {"p": rng.integers(0, 9, (2, 4))} if placed else {}
    told: dict[str, Any] = {"interleaved": interleaved, "num_heads": 3}
    told |= {"rotary_embedding_dim": turned} if turned < 8 else {}
    nodes = [node("RotaryEmbedding", "x c s p" if placed else "x c s", "y", **told)]
    open_shape: Any = ["n", "t", 24] if rank == 3 else ["n", 3, "t", 8]
    shapes = {} if known else {"x": open_shape}
    model = network(nodes, feeds, ["y"], opset=23, shapes=shapes)
    assert_like_reference(model, tmp_path, feeds)
