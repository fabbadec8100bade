"""Files that are no model tqconv reads: what they are, and what leads from them to one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from tqconv.errors import FormatError

KNOWN = "tqconv reads frozen GraphDefs (binary or text), SavedModels, Keras, ONNX and .tflite files"
MODELS = (".pb", ".pbtxt", ".tflite", ".onnx", ".keras", ".h5", ".hdf5")
"""What the names of models end with, among those that a folder holds."""
UNPACK = "unpack it first"
TORCH = "export the model to ONNX, `torch.onnx.export(model, example, 'model.onnx')`"
WEIGHTS = f"it holds weights and no graph; load and export it in its framework; {KNOWN}"
EXPORT = f"export the model from its framework to one of the formats read here; {KNOWN}"
AGAIN = "the download gave a page instead of the file; get it again, from a direct link"
CHECKPOINT = "give the graph that it belongs to, as MODEL or .meta file, and this with --checkpoint"
ORIGINAL = f"it is made for its runtime only; convert the model that it was made from; {KNOWN}"


class Stranger(NamedTuple):
    """What a file is, and what to do."""

    what: str
    advice: str = KNOWN


BEGINNINGS: tuple[tuple[bytes, Stranger], ...] = (
    (b"\x89PNG", Stranger("a PNG image")),
    (b"\xff\xd8\xff", Stranger("a JPEG image")),
    (b"GIF8", Stranger("a GIF image")),
    (b"II*\x00", Stranger("a TIFF image")),
    (b"MM\x00*", Stranger("a TIFF image")),
    (b"%PDF", Stranger("a PDF document")),
    (b"\x7fELF", Stranger("a program or library")),
    (b"MZ\x90\x00", Stranger("a program or library for Windows")),
    (b"\xcf\xfa\xed\xfe", Stranger("a program or library for macOS")),
    (b"\xca\xfe\xba\xbe", Stranger("a program or library for macOS or Java")),
    (b"\x1f\x8b", Stranger("a gzip archive", UNPACK)),
    (b"BZh", Stranger("a bzip2 archive", UNPACK)),
    (b"\xfd7zXZ", Stranger("an xz archive", UNPACK)),
    (b"\x28\xb5\x2f\xfd", Stranger("a zstd archive", UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Stranger("a 7z archive", UNPACK)),
    (b"Rar!", Stranger("a RAR archive", UNPACK)),
    (b"\x04\x22\x4d\x18", Stranger("an LZ4 archive", UNPACK)),
    (b"\x93NUMPY", Stranger("a NumPy array", WEIGHTS)),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", Stranger("a PyTorch file", TORCH)),
    *((bytes([0x80, n]), Stranger("a Python pickle", EXPORT)) for n in (2, 3, 4, 5)),
    (b"GGUF", Stranger("a GGUF file of llama.cpp", WEIGHTS)),
    *((magic, Stranger("a GGML file", WEIGHTS)) for magic in (b"lmgg", b"tjgg", b"fmgg")),
    (b"ftrt", Stranger("a TensorRT engine", ORIGINAL)),
    (b"ptrt", Stranger("a TensorRT engine", ORIGINAL)),
    (b"RKNN", Stranger("an RKNN model", ORIGINAL)),
    (b"\x12\x01\x00\x00\x00\x00\x00\x00", Stranger("weights of MXNet", WEIGHTS)),
    (b"SQLite format 3", Stranger("an SQLite database")),
    (
        b"version https://git-lfs",
        Stranger("a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    ),
)
"""First bytes, in any case."""

IDENTIFIERS: dict[bytes, Stranger] = {
    b"ORTM": Stranger(
        "a model in ONNX Runtime's own format", "use the .onnx file it was made from"
    ),
    b"ET12": Stranger("an ExecuTorch program", ORIGINAL),
    b"ftyp": Stranger("a video"),
}
"""Bytes 4 to 8, behind a number."""

TEXTS: tuple[tuple[bytes, Stranger], ...] = (
    (rb"(?i)<!doctype|<html|<head", Stranger("a web page", AGAIN)),
    (rb"(?s)<\?xml.*<net\b", Stranger("a model of OpenVINO", ORIGINAL)),
    (rb"(?s)<\?xml.*<(Error|Code|Message)>", Stranger("an error of a server", AGAIN)),
    (rb"<\?xml|<svg", Stranger("XML")),
    (rb"program\(\d", Stranger("a program of Core ML", EXPORT)),
    (rb"model_checkpoint_path:", Stranger("the list of a folder's checkpoints", CHECKPOINT)),
    (rb"7767517\s", Stranger("a model of ncnn", ORIGINAL)),
    (rb"(?m)^\s*\[net(work)?\]", Stranger("a network of Darknet", EXPORT)),
    (rb"(?m)^\s*(layers?\s*:?\s*\{|input_param\b|base_lr:)", Stranger("a Caffe network", EXPORT)),
    (rb'\{\s*"(base_code|program)"', Stranger("a model of PaddlePaddle", EXPORT)),
    (rb'\{\s*"nodes"\s*:\s*\[\s*\{\s*"op"', Stranger("a network of MXNet", EXPORT)),
    (
        rb'(?s)\{.{0,400}"(modelTopology|weightsManifest)"',
        Stranger("a TensorFlow.js model", EXPORT),
    ),
    (
        rb'(?s)\{.{0,400}"class_name"',
        Stranger("the architecture of a Keras model, without weights", "save the whole model"),
    ),
    (rb"\{|\[\s*[\[\{\"\d-]", Stranger("JSON")),
)
"""How the text of a file looks near its beginning."""

MEMBERS: tuple[tuple[str, Stranger], ...] = (
    (r"(^|/)constants\.pkl$", Stranger("a TorchScript file", TORCH)),
    (r"(^|/)data\.pkl$", Stranger("a PyTorch file", TORCH)),
    (r"serialized_exported_program|(^|/)archive_format$", Stranger("a PyTorch program", TORCH)),
    (r"\.npy$", Stranger("a set of NumPy arrays", WEIGHTS)),
    (r"saved_model\.pb$", Stranger("a zip archive of a SavedModel", UNPACK)),
    (r"\.(tflite|pb|pbtxt|onnx|h5|keras)$", Stranger("a zip archive with a model", UNPACK)),
)
"""Names in a zip archive."""

FOLDERS: tuple[tuple[str, Stranger], ...] = (
    (r"com\.apple\.CoreML|coremldata\.bin|model\.espresso", Stranger("a Core ML model", EXPORT)),
    (r"\.safetensors$|pytorch_model.*\.bin$", Stranger("a PyTorch model of Hugging Face", TORCH)),
    (r"\.index$|\.meta$", Stranger("a folder of checkpoints", CHECKPOINT)),
    (r"__model__$|\.pdmodel$", Stranger("a model of PaddlePaddle", EXPORT)),
    (
        r"\.weights\.h5$",
        Stranger("an unpacked Keras archive", "pack it again, or use the .keras file"),
    ),
    (r"^keras_metadata\.pb$", Stranger("a part of a SavedModel", "copy the whole folder")),
)
"""Names in a folder."""

TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""The last bytes of LevelDB's tables, which checkpoints are (tensorflow/core/lib/io/format.h)."""


def refuse(path: Path, head: bytes, is_text: bool) -> None:
    """Raise FormatError for a file that is known to be something else; head: its first bytes."""
    found = _by_head(head) or _by_name(path) or (_by_text(head) if is_text else _by_end(path))
    if found is not None:
        raise FormatError(f"{path} is {found.what}", hint=found.advice)


def archive_error(path: Path, members: Collection[str]) -> FormatError:
    """Return the error about a zip archive in which no model lies as it should."""
    found = _by_names(MEMBERS, members) or Stranger("a zip archive without a model", UNPACK)
    return FormatError(f"{path} is {found.what}", hint=found.advice)


def folder_error(path: Path) -> FormatError:
    """Return the error about a folder without saved_model.pb."""
    names = sorted(str(p.relative_to(path)) for p in [*path.iterdir(), *path.glob("Data/*")])
    models = [name for name in names if (path / name / "saved_model.pb").exists()]
    models += [name for name in names if name.endswith(MODELS)]
    found = _by_names(FOLDERS, names)
    if found is not None:
        return FormatError(f"{path} is {found.what}", hint=found.advice)
    return FormatError(
        f"{path} is {'a folder without saved_model.pb' if names else 'an empty folder'}",
        hint=f"it holds {', '.join(models[:5])}: name one of them" if models else KNOWN,
    )


def message_error(path: Path, types: dict[int, int], begins: Callable[[int], bytes]) -> FormatError:
    """Return the error about a protobuf message that is no model.

    types: the wire type of each field; begins: the first bytes of a field's content.
    """
    found = _by_fields(types, begins)
    what = "no model in a known format" if found is None else found.what
    return FormatError(f"{path} is {what}", hint=KNOWN if found is None else found.advice)


def is_name(content: bytes) -> bool:
    """Whether a field's content is text, where a message would begin with a tag."""
    return re.fullmatch(rb"[\w .:/()+-]{2,}", content) is not None


VARINT, BYTES = 0, 2
CAFFE_LAYERS, CAFFE_OLD_LAYERS = 100, 2
"""Fields of NetParameter beside 1, its name (BVLC caffe.proto)."""
CORE_ML_TYPES = range(200, 3001)
"""Fields of Core ML's Model beside 1, the version, and 2, its description (apple Model.proto)."""


def _by_fields(types: dict[int, int], begins: Callable[[int], bytes]) -> Stranger | None:
    if types.get(1) == VARINT and types.get(2) == BYTES and any(n in CORE_ML_TYPES for n in types):
        return Stranger("a Core ML model", EXPORT)
    layers = types.get(CAFFE_LAYERS) == BYTES or types.get(CAFFE_OLD_LAYERS) == BYTES
    if layers and types.get(1, BYTES) == BYTES and (1 not in types or is_name(begins(1))):
        return Stranger("weights of Caffe", EXPORT)
    if types.get(1) == BYTES and re.match(rb"\x08.\x10", begins(1), re.DOTALL):
        return Stranger("a model of PaddlePaddle", EXPORT)  # blocks: number, number of the parent
    return None


def _by_head(head: bytes) -> Stranger | None:
    low = head[:64].lower()
    found = next((what for start, what in BEGINNINGS if low.startswith(start.lower())), None)
    if found is not None:
        return found
    if head[2:3] == b"\0" and head[4:8] in IDENTIFIERS:  # a node's name may stand there
        return IDENTIFIERS[head[4:8]]
    if head[:4] == b"RIFF":
        return Stranger("a WebP image" if head[8:12] == b"WEBP" else "a sound or a video")
    if re.fullmatch(rb"\x00+", head):
        return Stranger("nothing but zeros", "the download was cut or the disk full; get it again")
    if head[:16] == bytes(16) and head[17:21] == b"\0\0\0\x08":  # size and tag of a TensorDesc
        return Stranger("weights of PaddlePaddle", WEIGHTS)
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return Stranger("a BMP image")
    if head[257:262] == b"ustar":
        return Stranger("a tar archive", UNPACK)
    if head[8:10] == b'{"' and head[5:8] == bytes(3):  # the length of the JSON, then the JSON
        return Stranger("a safetensors file", WEIGHTS)
    return None


def _by_name(path: Path) -> Stranger | None:
    if re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return Stranger("the data of a TensorFlow checkpoint", CHECKPOINT)
    if ".tfevents." in path.name:
        return Stranger("a log for TensorBoard")
    return None


def _by_text(head: bytes) -> Stranger | None:
    text = head.lstrip()
    return next((what for pattern, what in TEXTS if _looks(pattern, text)), None)


def _looks(pattern: bytes, text: bytes) -> bool:
    anywhere = pattern.startswith(b"(?m)")
    return (re.search if anywhere else re.match)(pattern, text) is not None


def _by_end(path: Path) -> Stranger | None:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - len(TABLE_END)))
        ends = file.read() == TABLE_END
    return Stranger("the index of a TensorFlow checkpoint", CHECKPOINT) if ends else None


def _by_names(table: tuple[tuple[str, Stranger], ...], names: Collection[str]) -> Stranger | None:
    return next(
        (what for pattern, what in table if any(re.search(pattern, name) for name in names)), None
    )
