"""Files of Keras weights alone, and files that are damaged or larger than they say."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from chain_keras import H5, RELU, B, V, W, X, chain
from networks_keras import computed, layer, sequential, write_h5, write_keras

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UsageError


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
    with pytest.raises(FormatError, match="holds weights alone") as caught:
        api.load(tmp_path / "w.h5")
    assert "--keras_config" in str(caught.value.hint)


def weights_alone(path: Path, *names: str) -> Path:
    """Write a weights file whose layers have these names."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names]
        for name, arrays in zip(names, H5.values(), strict=True):
            group = file.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key, _ in arrays]
            for key, array in arrays:
                group.create_dataset(key, data=array)
    return path


@pytest.mark.parametrize("names", [("first", "second"), ("dense_7", "dense_8")])
def test_the_architecture_may_stand_in_a_file_of_its_own(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(chain()))
    options = LoadOptions(keras_config=str(config))
    path = weights_alone(tmp_path / "w.h5", *names)
    np.testing.assert_allclose(computed(path, X, options=options)[0], RELU @ V, rtol=1e-6)


def test_weights_in_groups_may_be_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(chain()))
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        for key, array in (("dense/vars/0", W), ("dense/vars/1", B), ("dense_1/vars/0", V)):
            file.create_dataset(f"layers/{key}", data=array)
    y = computed(tmp_path / "m.weights.h5", X, options=LoadOptions(keras_config=str(config)))
    np.testing.assert_allclose(y[0], RELU @ V, rtol=1e-6)


@pytest.mark.parametrize(("marked", "slope"), [(True, 1 / 6), (False, 0.2)])
def test_an_architecture_tells_which_keras_wrote_it(
    tmp_path: Path, marked: bool, slope: float
) -> None:
    key = "batch_shape" if marked else "batch_input_shape"
    entry = {"class_name": "InputLayer", "config": {"name": "x", key: [None, 2]}}
    model = sequential(entry, layer("Activation", "a", activation="hard_sigmoid"))
    (tmp_path / "c.json").write_text(json.dumps(model))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = np.zeros(0)
    y = computed(tmp_path / "w.h5", X, options=LoadOptions(keras_config=str(tmp_path / "c.json")))
    np.testing.assert_allclose(y[0], np.clip(slope * X + 0.5, 0, 1), atol=1e-6)


def test_only_keras_weights_take_an_architecture(tmp_path: Path) -> None:
    (tmp_path / "g.pbtxt").write_text('node { name: "x" op: "Placeholder" }')
    with pytest.raises(UsageError, match="--keras_config goes with the weights of a Keras model"):
        api.load(tmp_path / "g.pbtxt", LoadOptions(keras_config="c.json"))
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    with pytest.raises(UsageError, match=r"c\.json cannot be read"):
        api.load(path, LoadOptions(keras_config=str(tmp_path / "c.json")))
    (tmp_path / "c.json").write_text("layers: []")
    with pytest.raises(FormatError, match="is not JSON"):
        api.load(path, LoadOptions(keras_config=str(tmp_path / "c.json")))


@pytest.mark.parametrize("kind", ["soft", "external"])
def test_links_are_not_followed(tmp_path: Path, kind: str) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    with h5py.File(path, "a") as file:
        del file["model_weights/second/second/kernel:0"]
        file["model_weights/second/second/kernel:0"] = (
            h5py.SoftLink("/elsewhere") if kind == "soft" else h5py.ExternalLink("/etc/x", "/y")
        )
    with pytest.raises(FormatError, match="is a link, which is not followed"):
        api.load(path)


def test_what_a_weight_claims_is_paid_for(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    with h5py.File(path, "a") as file:
        del file["model_weights/second/second/kernel:0"]
        file.create_dataset(
            "model_weights/second/second/kernel:0", (1 << 20, 1 << 20), "f4", chunks=(64, 64)
        )
    with pytest.raises(FormatError, match="far more than is stored for it"):
        api.load(path)


@pytest.mark.parametrize("kind", ["last", "free"])
def test_a_list_of_texts_that_never_ends_is_refused(tmp_path: Path, kind: str) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL\x01") + 16  # the first object: index, references, size
    if kind == "free":
        content[start : start + 2] = bytes(2)
    # One step of a header and this size ends where it began.
    size = -16 % 2**64 if kind == "last" else 0
    content[start + 8 : start + 16] = size.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a list of texts in m\.h5 is damaged"):
        api.load(path)


def test_a_text_of_another_length_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    content = path.read_bytes()
    collection = content.index(b"GCOL\x01").to_bytes(8, "little")
    size = len(json.dumps(chain())).to_bytes(4, "little")
    assert content.count(size + collection) == 1
    path.write_bytes(content.replace(size + collection, b"\x01\0\0\0" + collection))
    with pytest.raises(FormatError, match=r"a list of texts in m\.h5 is damaged"):
        api.load(path)


def test_a_text_longer_than_its_file_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    content = path.read_bytes()
    collection = content.index(b"GCOL\x01").to_bytes(8, "little")
    size = len(json.dumps(chain())).to_bytes(4, "little")
    elsewhere = b"\xff\xff\xff\x7f" + (1 << 40).to_bytes(8, "little")
    path.write_bytes(content.replace(size + collection, elsewhere))
    with pytest.raises(FormatError, match=r"a text in m\.h5 is longer than the file"):
        api.load(path)


def test_an_attribute_of_another_type_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    content = path.read_bytes()
    text = b"\x19\x01\x01\x00\x10"  # version 1, variable length: text, UTF-8, of 16 bytes
    assert content.count(text) == 2
    path.write_bytes(content.replace(text, b"\x19\x09\x01\x00\x10"))
    with pytest.raises(FormatError, match="the attribute `keras_version` is no text"):
        api.load(path)


def test_an_archive_whose_member_was_changed_is_refused(tmp_path: Path) -> None:
    weights = {"layers/dense/vars/0": W, "layers/dense/vars/1": B, "layers/dense_1/vars/0": V}
    path = write_keras(tmp_path / "m.keras", chain(), weights)
    content = path.read_bytes()
    path.write_bytes(content.replace(W.tobytes(), (W + 1).tobytes()))
    with pytest.raises(FormatError, match="damaged"):
        api.load(path)


def test_an_archive_of_a_later_version_is_refused(tmp_path: Path) -> None:
    weights = {"layers/dense/vars/0": W, "layers/dense/vars/1": B, "layers/dense_1/vars/0": V}
    path = write_keras(tmp_path / "m.keras", chain(), weights)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 200  # needs version 20.0 of the format
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"m\.keras is a damaged zip archive: .*zip file version"):
        api.load(path)
