"""Large constants are read where they lie in the model's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import computed, network, node
from onnx import numpy_helper

from tqconv import api
from tqconv.errors import FormatError, TqconvError, UnsupportedError
from tqconv.exporters import tflite
from tqconv.importers.onnx.model import read
from tqconv.importers.onnx.outlined import LARGE, outlined

F = np.float32
RNG = np.random.default_rng(3)
X = RNG.normal(size=(1, 64)).astype(F)
W = RNG.normal(size=(64, LARGE // 256 + 1)).astype(F)
B = np.array([7], F)


def a_model(place: str = "initializer") -> Any:
    """A product with weights of a little more than LARGE bytes, and a sum with a small constant."""
    nodes = [node("MatMul", "x w", "h"), node("Add", "h b", "y")]
    if place == "attribute":
        nodes.insert(0, node("Constant", "", "w", value=numpy_helper.from_array(W)))
    constants = {"b": B} if place == "attribute" else {"w": W, "b": B}
    return network(nodes, {"x": X}, ["y"], constants)


def weights(model: Any) -> Any:
    return next(t for t in model.graph.initializer if t.name == "w")


@pytest.mark.parametrize("place", ["initializer", "attribute"])
def test_what_is_parsed_lacks_them(tmp_path: Path, place: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(a_model(place).SerializeToString())
    content, places = outlined(path)
    assert len(content) < LARGE // 10
    assert [bytes(p) for p in places] == [W.tobytes()]
    np.testing.assert_allclose(
        computed(a_model(place), tmp_path, {"x": X})[0][0], X @ W + 7, rtol=0, atol=1e-4
    )


def test_a_location_that_is_written_out_as_the_default_is_replaced(tmp_path: Path) -> None:
    model = a_model()
    weights(model).data_location = onnx.TensorProto.DEFAULT
    got = computed(model, tmp_path, {"x": X})[0][0]
    np.testing.assert_allclose(got, X @ W + 7, rtol=0, atol=1e-4)


def test_a_tensor_with_a_place_of_its_own_keeps_it(tmp_path: Path) -> None:
    model = a_model()
    weights(model).external_data.add(key="location", value="w.data")
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    assert outlined(path)[1] == []


@pytest.mark.parametrize("number", ["0", "1", "-1", "x", "99999999999999999999"])
def test_a_file_cannot_name_such_places_itself(tmp_path: Path, number: str) -> None:
    model = a_model()
    model.graph.initializer[1].ClearField("raw_data")
    model.graph.initializer[1].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[1].external_data.add(key="location", value=f"\0{number}")
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match="'b'"):
        api.load(path)


@pytest.mark.parametrize("end", [LARGE, LARGE + 40, -3])
def test_a_truncated_file_is_damaged(tmp_path: Path, end: int) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(a_model().SerializeToString()[:end])
    with pytest.raises(TqconvError):
        read(path)


def test_more_than_a_file_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "ROOM", LARGE)
    path, target = tmp_path / "net.onnx", tmp_path / "net.tflite"
    path.write_bytes(a_model().SerializeToString())
    with pytest.raises(UnsupportedError, match="the constants take") as caught:
        api.convert(path, target)
    assert "--quantize float16" in str(caught.value.hint)
    assert not target.exists()
