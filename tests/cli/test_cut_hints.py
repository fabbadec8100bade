"""The flags that an error proposes work as they are printed, in the place of those given."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import const, graph, placeholder
from graphs import node as tf_node
from networks import network, node

from tests.cli.conftest import Result, Tqconv

F = np.float32
RNG = np.random.default_rng(5)
FILTER = RNG.uniform(-1, 1, (3, 3, 2, 5)).astype(F)


def conv(name: str, x: str) -> Any:
    """Return a node that convolves with the filter `w`."""
    return tf_node(name, "Conv2D", x, "w", T=F, strides=[1, 1, 1, 1], padding=b"SAME")


def two_inputs() -> list[Any]:
    """Return a graph that loses `m`, and with it what reads the input b: c and its input a stay."""
    return [
        placeholder("a", F, (None, 4, 4, 2)),
        placeholder("b", F, (None, 5)),
        const("w", FILTER),
        conv("c", "a"),
        tf_node("m", "Mystery", "c", T=F),
        tf_node("y", "Add", "m", "b", T=F),
    ]


def decoded() -> list[Any]:
    """Return a graph that begins with an operator that has no translation, and another input."""
    return [
        placeholder("raw", F, (None, 4, 4, 2)),
        placeholder("b", F, (None, 5)),
        tf_node("image", "Mystery", "raw", T=F),
        const("w", FILTER),
        conv("c", "image"),
        tf_node("y", "Add", "c", "b", T=F),
    ]


def cut_of(found: Result) -> list[str]:
    """Return the words of the cut that a refused conversion proposes."""
    assert found.code == 4
    hint = json.loads(found.out)["error"]["hint"]
    proposed = re.search(r"cut them off with `([^`]*)`", hint)
    assert proposed is not None, hint
    return shlex.split(proposed[1])


def replaced(words: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return flags and their values with others in the place of those of the same names."""
    given = dict(zip(words[::2], words[1::2], strict=True))
    given |= dict(zip(others[::2], others[1::2], strict=True))
    return [word for pair in given.items() for word in pair]


@pytest.mark.parametrize(
    ("words", "cut"),
    [
        ("", "--output_arrays c"),
        ("--input_shapes 1,4,4,2:1,5",
         "--input_arrays a --output_arrays c --input_shapes 1,4,4,2"),
        ("--input_shapes a=1,4,4,2;b=1,5",
         "--input_arrays a --output_arrays c --input_shapes a=1,4,4,2"),
        ("--input_shapes b=1,5", "--input_arrays a --output_arrays c --input_shapes a=?,4,4,2"),
        ("--input_shapes 1,4,4,2:1,5 --input_data_types FLOAT,FLOAT",
         "--input_arrays a --output_arrays c --input_shapes 1,4,4,2 --input_data_types float32"),
        ("--input_arrays b,a --input_shapes 1,5:1,4,4,2", "--output_arrays c"),
        ("--output_arrays y,c --input_shapes 1,4,4,2:1,5",
         "--input_arrays a --output_arrays c --input_shapes 1,4,4,2"),
    ],
)  # fmt: skip
def test_the_end_of_a_graph_is_cut_off(
    tqconv: Tqconv, tmp_path: Path, words: str, cut: str
) -> None:
    path = tmp_path / "g.pb"
    path.write_bytes(graph(*two_inputs()).SerializeToString())
    call = ["convert", path, "-o", tmp_path / "m.tflite"]
    proposed = cut_of(tqconv(*call, *words.split(), "--json"))
    assert proposed == cut.split()
    found = tqconv(*call, *replaced(words.split(), proposed))
    assert found.code == 0, found.err
    assert re.search(r"\n  a  float32 .*\noutputs\n  c  float32 ", found.out)


@pytest.mark.parametrize(
    ("words", "shapes"),
    [
        ("", "image=?,?,?,2"),
        ("--input_shapes 1,4,4,2:1,5", "b=1,5;image=?,?,?,2"),
        ("--input_shapes b=1,5", "b=1,5;image=?,?,?,2"),
        ("--input_arrays raw,b --input_shapes ?,4,4,2:1,5", "b=1,5;image=?,?,?,2"),
    ],
)
def test_the_beginning_of_a_graph_is_cut_off(
    tqconv: Tqconv, tmp_path: Path, words: str, shapes: str
) -> None:
    path = tmp_path / "g.pb"
    path.write_bytes(graph(*decoded()).SerializeToString())
    call = ["convert", path, "-o", tmp_path / "m.tflite"]
    proposed = cut_of(tqconv(*call, *words.split(), "--json"))
    assert proposed == ["--input_arrays", "b,image", "--input_shapes", shapes]
    found = tqconv(*call, *replaced(words.split(), proposed))
    assert found.code == 0, found.err


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--input_shapes 1,2,8,8:1,5",
        "--input_shapes a=1,2,8,8;b=1,5",
        "--dim n=1",
        "--nhwc_io true",
        "--nhwc_io true --dim n=1",
    ],
)
def test_the_end_of_an_onnx_model_is_cut_off(tqconv: Tqconv, tmp_path: Path, words: str) -> None:
    nodes = [
        node("Conv", "a w", "c"),
        node("GlobalAveragePool", "c", "mean"),
        node("Mystery", "c", "m"),
        node("Add", "m b", "y"),
    ]
    inputs = {"a": np.zeros((1, 2, 8, 8), F), "b": np.zeros((1, 5), F)}
    shapes = {"a": ("n", 2, 8, 8), "b": ("n", 5)}
    weights = {"w": FILTER.transpose(3, 2, 0, 1).copy()}
    made = network(nodes, inputs, ["y", "mean"], weights, shapes=shapes)
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    call = ["convert", path, "-o", tmp_path / "m.tflite"]
    proposed = cut_of(tqconv(*call, *words.split(), "--json"))
    assert proposed == ["--output_arrays", "mean,c"]
    found = tqconv(*call, *replaced(words.split(), proposed))
    assert found.code == 0, found.err


def test_operators_are_kept_only_where_that_works(tqconv: Tqconv, tmp_path: Path) -> None:
    path = tmp_path / "g.pb"
    for nodes, works in ((decoded(), False), (two_inputs()[:5], True)):
        path.write_bytes(graph(*nodes).SerializeToString())
        call = ["convert", path, "-o", tmp_path / "m.tflite"]
        said = tqconv(*call).err
        assert ("or keep them with `--allow_custom_ops`" in said) == works
        unkept = "; --allow_custom_ops does not do here: Conv2D 'c' in g.pb: the shape of 'image'"
        assert (unkept in said) != works
        assert tqconv(*call, "--allow_custom_ops").code == (0 if works else 4)


def test_a_shape_that_contradicts_the_model_is_told(tqconv: Tqconv, tmp_path: Path) -> None:
    made = network(
        [node("Conv", "a w", "c"), node("Mystery", "c", "y")],
        {"a": np.zeros((1, 2, 8, 8), F)},
        ["y"],
        {"w": FILTER.transpose(3, 2, 0, 1).copy()},
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    words = ["-o", tmp_path / "m.tflite", "--nhwc_io", "--input_shapes", "1,8,8,2"]
    found = tqconv("convert", path, *words)
    assert "hint: --input_shapes gives [1, 8, 8, 2] for input a, which is [1, 2, 8, 8]" in found.err
