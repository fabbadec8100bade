"""Files that are no models: each ends in one clear error, and nothing is written."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tqconv.schema import proto

if TYPE_CHECKING:
    from .conftest import Result, Tqconv

FOREIGN = {
    "empty": (b"", "is empty"),
    "zeros": (bytes(1000), "is nothing but zeros"),
    "noise": (bytes(range(255, 0, -1)) * 9, "is no model in a known format"),
    "image.png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "is a PNG image"),
    "photo.jpg": (b"\xff\xd8\xff\xe0" + bytes(64), "is a JPEG image"),
    "model.tar.gz": (b"\x1f\x8b\x08" + bytes(64), "is a gzip archive"),
    "weights.npy": (b"\x93NUMPY\x01\x00" + bytes(64), "is a NumPy array"),
    "model.pkl": (b"\x80\x04\x95" + bytes(64), "is a Python pickle"),
    "notes.txt": (b"to whom it may concern\n", "is text, but no GraphDef"),
    "page.html": (b"<!DOCTYPE html><html></html>", "is a web page"),
    "data.json": (b'{"nodes": []}', "is JSON"),
    "pointer.pb": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "bad.zip": (b"PK\x03\x04" + bytes(64), "is a damaged zip archive"),
    "bad.pbtxt": (b'node { name: "a" op: \n', "is not a GraphDef as text"),
    "none.pbtxt": (b"versions { producer: 21 }\n", "holds no nodes"),
}


def refused(tqconv: Tqconv, source: Path, folder: Path) -> Result:
    """Return what `convert` says; nothing may be written, and no traceback shown."""
    target = folder / "out.tflite"
    result = tqconv("convert", source, "-o", target)
    assert result.out == ""
    assert not target.exists()
    assert "Traceback" not in result.err
    assert "internal error" not in result.err
    return result


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tqconv: Tqconv, tmp_path: Path, name: str) -> None:
    content, message = FOREIGN[name]
    source = tmp_path / name
    source.write_bytes(content)
    result = refused(tqconv, source, tmp_path)
    assert result.code == 3
    assert message in result.err
    assert tqconv("inspect", source).code == 3


@pytest.mark.parametrize("share", [0.03, 0.5, 0.9, 0.999])
def test_truncated_graphs(tqconv: Tqconv, digits: Path, tmp_path: Path, share: float) -> None:
    content = digits.read_bytes()
    source = tmp_path / "cut.pb"
    source.write_bytes(content[: int(len(content) * share)])
    result = refused(tqconv, source, tmp_path)
    assert result.code == 3
    assert "looks like a GraphDef, but it ends after" in result.err


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_results(tqconv: Tqconv, tflite: Path, tmp_path: Path, share: float) -> None:
    content = tflite.read_bytes()
    source = tmp_path / "cut.tflite"
    source.write_bytes(content[: max(8, int(len(content) * share))])
    assert refused(tqconv, source, tmp_path).code == 3


def test_a_missing_file(tqconv: Tqconv, tmp_path: Path) -> None:
    source = tmp_path / "none.pb"
    result = refused(tqconv, source, tmp_path)
    assert (result.code, result.err) == (2, f"error: {source} does not exist\n")


def test_a_folder_that_is_no_model_names_what_is_in_it(tqconv: Tqconv, tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(b"x")
    result = refused(tqconv, tmp_path, tmp_path)
    assert result.code == 3
    assert result.err.endswith(
        "without saved_model.pb\nhint: it holds graph.pb: name one of them\n"
    )


def test_a_folder_around_a_saved_model_names_that_first(tqconv: Tqconv, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    for name in ("saved/saved_model.pb", "a.keras", "a.txt"):
        (tmp_path / name).write_bytes(b"x")
    result = refused(tqconv, tmp_path, tmp_path)
    assert result.err.endswith("hint: it holds saved, a.keras: name one of them\n")


def test_a_missing_file_suggests_what_is_beside_it(tqconv: Tqconv, tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(b"x")
    result = refused(tqconv, tmp_path / "grap.pb", tmp_path)
    assert result.err == f"error: {tmp_path / 'grap.pb'} does not exist; did you mean `graph.pb`?\n"
    result = refused(tqconv, tmp_path / "none" / "graph.pb", tmp_path)
    assert result.err.endswith(
        f"graph.pb does not exist\nhint: nor does the folder {tmp_path}/none\n"
    )


def test_a_pipe_is_not_read(tqconv: Tqconv, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = refused(tqconv, tmp_path / "pipe", tmp_path)
    assert (result.code, result.err) == (2, f"error: {tmp_path / 'pipe'} is not a regular file\n")


def test_zip_archives_are_not_read(tqconv: Tqconv, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("graph.pb", b"x")
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    assert "with a model" in refused(tqconv, tmp_path / "a.zip", tmp_path).err
    assert "is a PyTorch file" in refused(tqconv, tmp_path / "a.pt", tmp_path).err


def graph_with_constant(*dims: int, content: bytes = b"") -> bytes:
    """Return a GraphDef of one constant that is also read."""
    graph = proto.messages().GraphDef()
    node = graph.node.add(name="c", op="Const")
    node.attr["dtype"].type = 1
    tensor = node.attr["value"].tensor
    tensor.dtype = 1
    for size in dims:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = content
    graph.node.add(name="y", op="Relu", input=["c"]).attr["T"].type = 1
    return bytes(graph.SerializeToString())


@pytest.mark.parametrize(
    ("dims", "content"), [((1 << 30,), b""), ((1 << 31, 1 << 31), b""), ((8,), bytes(5))]
)
def test_constants_that_claim_more_than_they_hold(
    tqconv: Tqconv, tmp_path: Path, dims: tuple[int, ...], content: bytes
) -> None:
    source = tmp_path / "claim.pb"
    source.write_bytes(graph_with_constant(*dims, content=content))
    assert refused(tqconv, source, tmp_path).code in (3, 4)


def test_a_length_beyond_the_file(tqconv: Tqconv, tmp_path: Path) -> None:
    source = tmp_path / "long.pb"
    source.write_bytes(b"\x0a\xff\xff\xff\xff\x7f" + b"\x0a\x01a")
    assert refused(tqconv, source, tmp_path).code == 3


def test_offsets_beyond_the_file(tqconv: Tqconv, tflite: Path, tmp_path: Path) -> None:
    content = bytearray(tflite.read_bytes())
    content[:4] = struct.pack("<I", 0xFFFFFFF0)
    source = tmp_path / "root.tflite"
    source.write_bytes(content)
    assert refused(tqconv, source, tmp_path).code == 3


@pytest.mark.parametrize("kind", ["TFLITE", "SAVED_MODEL"])
def test_a_wrong_input_format(tqconv: Tqconv, digits: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "m.tflite"
    result = tqconv("convert", digits, "-o", target, "--input_format", kind)
    assert result.code == 3
    assert not target.exists()


def test_a_graph_in_text_form_is_read(tqconv: Tqconv, tmp_path: Path) -> None:
    source = tmp_path / "g.pbtxt"
    source.write_text(
        "# made by hand\n"
        'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }\n'
        '  attr { key: "shape" value { shape { dim { size: 2 } } } } }\n'
        'node { name: "y" op: "Relu" input: "x" attr { key: "T" value { type: DT_FLOAT } } }\n'
    )
    result = tqconv("convert", source, "-o", tmp_path / "m.tflite")
    assert result.code == 0, result.err
    assert "  y  float32  [2]\n" in result.out


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory, and files have holes there")
@pytest.mark.parametrize(
    ("start", "words", "code"),
    [
        (b"\x1c\0\0\0TFL3", ["FILE"], 2),
        (b"\x0a\x0a\x0a\x01x\x12\x05Const", ["FILE"], 3),
        (b"{", ["MODEL", "--quantize", "int8", "--ranges", "FILE"], 2),
        (b"\n", ["MODEL", "--quantize", "int8", "--calibration_random", "1",
                 "--arrays_extra_info_file", "FILE"], 2),
    ],
)  # fmt: skip
def test_a_file_larger_than_memory(
    digits: Path, tmp_path: Path, start: bytes, words: list[str], code: int
) -> None:
    file = tmp_path / "file"
    file.write_bytes(start)
    os.truncate(file, 6 << 30)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        "from tqconv.cli.main import main; sys.exit(main())"
    )
    given = [{"FILE": file, "MODEL": digits}.get(word, word) for word in words]
    call = [sys.executable, "-c", script, "convert", *given, "-o", tmp_path / "m.tflite"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert f"error: {file} " in done.stderr
    assert code == 3 or "does not fit into memory: it has 6 GiB" in done.stderr
    assert not (tmp_path / "m.tflite").exists()
