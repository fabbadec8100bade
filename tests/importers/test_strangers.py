"""Files of other kinds are called what they are, with the way from there."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tqconv.errors import FormatError
from tqconv.importers.detect import format_of


def field(number: int, content: bytes | int) -> bytes:
    """Return a protobuf field."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return buffer.getvalue()


def saved(save: Any, value: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, value)
    return buffer.getvalue()


HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
PAGE = "get it again"
CHECKPOINT_FLAG = "--checkpoint"

FILES: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "is empty", "run that again"),
    "torch zip": (zipped("m/data.pkl", "m/data/0"), "is a PyTorch file", "torch.onnx.export"),
    "torchscript": (
        zipped("m/data.pkl", "m/constants.pkl", "m/code/a.py"),
        "is a TorchScript file",
        "torch.onnx.export",
    ),
    "exported program": (zipped("archive_format"), "is a PyTorch program", "torch.onnx.export"),
    "torch legacy": (
        pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"rest",
        "is a PyTorch file",
        "torch.onnx.export",
    ),
    "pickle": (pickle.dumps({"w": 1}, protocol=4), "is a Python pickle", "export the model"),
    "numpy": (saved(np.save, np.ones(3)), "is a NumPy array", "no graph"),
    "npz": (
        saved(lambda f, v: np.savez(f, w=v), np.ones(3)),
        "is a set of NumPy arrays",
        "no graph",
    ),
    "zeros": (bytes(5000), "is nothing but zeros", "get it again"),
    "safetensors": (
        struct.pack("<Q", len(HEADER)) + HEADER + bytes(4),
        "is a safetensors file",
        "no graph",
    ),
    "tensorrt": (b"ftrt" + bytes(40), "is a TensorRT engine", "made from"),
    "core ml": (
        field(1, 4) + field(2, field(1, b"description")) + field(500, field(1, b"layer")),
        "is a Core ML model",
        "export the model",
    ),
    "caffe text": (
        b'name: "LeNet"\ninput: "data"\nlayer {\n  name: "conv1"\n}',
        "is a Caffe network",
        "export the model",
    ),
    "caffe": (
        field(1, b"LeNet") + field(100, field(1, b"conv1")),
        "is weights of Caffe",
        "export the model",
    ),
    "old caffe": (
        field(1, b"CaffeNet") + field(2, field(4, b"conv1")),
        "is weights of Caffe",
        "export the model",
    ),
    "paddle": (
        field(1, field(1, 0) + field(2, 2**64 - 1) + field(3, b"x")) + field(4, field(1, 0)),
        "is a model of PaddlePaddle",
        "export the model",
    ),
    "paddle weights": (
        bytes(16) + struct.pack("<i", 4) + b"\x08\x05\x10\x03",
        "weights of PaddlePaddle",
        "no graph",
    ),
    "ort": (b"\x20\0\0\0ORTM" + bytes(40), "ONNX Runtime's own format", ".onnx"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(9), "is a PNG image", "tqconv reads"),
    "bmp": (b"BM\x46\0\0\0" + bytes(60), "is a BMP image", "tqconv reads"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "is a WebP image", "tqconv reads"),
    "page": (b"\n<!doctype html>\n<html>", "is a web page", PAGE),
    "server error": (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code>', "a server", PAGE),
    "openvino": (b'<?xml version="1.0"?>\n<net name="n" version="11">', "OpenVINO", "made from"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS", "git lfs pull"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(20), "is a gzip archive", "unpack"),
    "tar": (
        b"model.pb".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
        "is a tar archive",
        "unpack",
    ),
    "zip of a saved model": (zipped("m/saved_model.pb"), "of a SavedModel", "unpack"),
    "zip of a model": (zipped("m/detect.tflite"), "with a model", "unpack"),
    "checkpoint list": (b'model_checkpoint_path: "m-1"', "checkpoints", CHECKPOINT_FLAG),
    "checkpoint index": (
        b"\x0a\x00\x05" + bytes(range(100)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
        "is the index of a TensorFlow checkpoint",
        CHECKPOINT_FLAG,
    ),
    "keras json": (
        json.dumps({"class_name": "Sequential", "config": {}}).encode(),
        "is the architecture of a Keras model",
        "save the whole model",
    ),
    "tfjs": (
        json.dumps({"format": "graph-model", "modelTopology": {}}).encode(),
        "is a TensorFlow.js model",
        "export the model",
    ),
    "labels": (b"cat\ndog\n", "is text, but no GraphDef", "tqconv reads"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_is_called_what_it_is(tmp_path: Path, what: str) -> None:
    content, says, advice = FILES[what]
    path = tmp_path / "model.pb"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=says) as caught:
        format_of(path)
    assert str(caught.value).startswith(str(path))
    assert advice in str(caught.value.hint)


FOLDERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "nothing": ((), "is an empty folder", "tqconv reads"),
    "core ml": (("Manifest.json", "Data/com.apple.CoreML/m"), "is a Core ML model", "export"),
    "hugging face": (("config.json", "model.safetensors"), "Hugging Face", "torch.onnx.export"),
    "checkpoints": (("checkpoint", "m-1.index", "m-1.meta"), "of checkpoints", CHECKPOINT_FLAG),
    "a model among others": (("frozen.pb", "labels.txt"), "without saved_model.pb", "frozen.pb"),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_a_folder_is_called_what_it_is(tmp_path: Path, what: str) -> None:
    names, says, advice = FOLDERS[what]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(FormatError, match=says) as caught:
        format_of(tmp_path)
    assert advice in str(caught.value.hint)


def test_the_data_of_a_checkpoint_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt.data-00000-of-00001"
    path.write_bytes(np.linspace(0, 1, 50, dtype=np.float32).tobytes())
    with pytest.raises(FormatError, match="is the data of a TensorFlow checkpoint"):
        format_of(path)
