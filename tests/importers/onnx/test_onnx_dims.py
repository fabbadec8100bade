"""Dimensions that an ONNX model names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import load, network, node

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import UsageError


def model() -> Any:
    x = np.zeros((1, 3, 4), np.float32)
    return network([node("Relu", "x", "y")], {"x": x}, ["y"], shapes={"x": ("batch", 3, "time")})


def test_named_dimensions_get_sizes(tmp_path: Path) -> None:
    made = load(model(), tmp_path, LoadOptions(dims={"batch": 2}))
    assert made.main.inputs[0].shape == (2, 3, None)
    made = load(model(), tmp_path, LoadOptions(dims={"batch": 2, "time": 7}))
    assert made.main.outputs[0].shape == (2, 3, 7)


def test_an_unknown_name_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no input has a dimension `bach`; did you mean `batch`"):
        load(model(), tmp_path, LoadOptions(dims={"bach": 2}))


def test_other_formats_name_no_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "g.pb"
    path.write_bytes(b"\x0a\x00")
    with pytest.raises(UsageError, match="names no dimensions"):
        api.load(path, LoadOptions(format="graphdef", dims={"batch": 1}))


def test_inputs_without_a_rank_are_asked_for_together(tmp_path: Path) -> None:
    graph = model()
    graph.graph.node[0].CopyFrom(node("Add", "x z", "y"))
    graph.graph.input.add().CopyFrom(graph.graph.input[0])
    graph.graph.input[1].name = "z"
    for given in graph.graph.input:
        given.type.tensor_type.ClearField("shape")
    with pytest.raises(UsageError, match="shapes of inputs `x`, `z`\n") as caught:
        load(graph, tmp_path)
    assert "--input_shapes 'x=1,?,8;z=1,?,8'" in str(caught.value.hint)
    with pytest.raises(UsageError, match="shape of input `z`\n"):
        load(graph, tmp_path, LoadOptions(named_shapes={"x": (2, 3)}))
    made = load(graph, tmp_path, LoadOptions(named_shapes={"x": (2, 3), "z": (None, 3)}))
    assert made.main.outputs[0].shape == (2, 3)
