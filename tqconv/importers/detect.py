"""Which format a file has, by its content."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tqconv.errors import FormatError, UsageError
from tqconv.schema.files import without_mark

KNOWN = "tqconv reads frozen GraphDefs (binary or text), SavedModels, ONNX and .tflite files"
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
TFLITE = b"TFL3"
HEAD = 4096
"""Bytes that are enough to recognise every format but a binary protobuf."""

STRANGERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a PNG image", ""),
    (b"\xff\xd8\xff", "a JPEG image", ""),
    (b"GIF8", "a GIF image", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x7fELF", "a program", ""),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"\x93NUMPY", "a NumPy array", ""),
    (b"\x80\x02", "a Python pickle", "export the model to one of the formats that tqconv reads"),
    (b"\x80\x04", "a Python pickle", "export the model to one of the formats that tqconv reads"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    (b"<!DOCTYPE", "a web page", "the download gave a page instead of the file"),
    (b"<html", "a web page", "the download gave a page instead of the file"),
)
"""First bytes, what such a file is, and what to do."""

TEXT_FIELDS = {
    "node": "graphdef",
    "library": "graphdef",
    "versions": "graphdef",
    "version": "graphdef",
    "meta_info_def": "meta_graph",
    "graph_def": "meta_graph",
    "saver_def": "meta_graph",
    "collection_def": "meta_graph",
    "signature_def": "meta_graph",
    "saved_model_schema_version": "saved_model",
    "meta_graphs": "saved_model",
    "ir_version": "onnx",
    "opset_import": "onnx",
    "producer_name": "onnx",
}
"""First field of a text protobuf -> the format."""


class Field(NamedTuple):
    """A field of the outermost message of a binary protobuf; `size` is 0 for numbers."""

    number: int
    wire_type: int
    start: int
    size: int


def kind_of(path: Path, given: str | None = None) -> str:
    """Return a file's format: `given`, or what its content says; a key of `NAMES`."""
    return format_of(path) if given is None else _given(path, given)


NAMES = {
    "graphdef": "a GraphDef",
    "meta_graph": "a MetaGraphDef",
    "saved_model": "a SavedModel",
    "keras": "a Keras model",
    "onnx": "an ONNX model",
    "tflite": "a .tflite file",
}


def format_of(path: Path) -> str:
    """Return the name of a file's format, a key of `NAMES`.

    Raises UsageError when there is nothing to read, FormatError when it is no format that tqconv
    knows.
    """
    _check_readable(path)
    if path.is_dir():
        return _format_of_folder(path)
    with path.open("rb") as file:
        head = without_mark(file.read(HEAD))
        if not head:
            raise FormatError(f"{path} is empty")
        if head[4:8] == TFLITE:
            return "tflite"
        if head.startswith((HDF5, ZIP)):
            return _format_of_archive(path, head)
        _refuse_strangers(path, head)
        if is_text(head):
            return _format_of_text(path, head)
        return _format_of_protobuf(path, file)


def is_text(head: bytes) -> bool:
    """Whether a file starts with text; a binary protobuf has control characters at once."""
    start = head[:512]
    try:
        start.decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - UTF8_LENGTH:
            return False
    return not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", start)


UTF8_LENGTH = 4
"""Bytes of the longest character, which the end of the excerpt may cut."""


def _given(path: Path, kind: str) -> str:
    _check_readable(path)
    if path.is_dir() != (kind == "saved_model" and path.name != "saved_model.pb"):
        what = "a folder" if path.is_dir() else "not a folder"
        raise FormatError(f"{path} is {what}; --input_format says it is {NAMES[kind]}")
    try:
        found = format_of(path)
    except FormatError:
        return kind  # its content does not tell: that is what the flag is for
    if found != kind and {found, kind} != {"graphdef", "meta_graph"}:
        raise FormatError(
            f"{path} is {NAMES[found]}; --input_format says it is {NAMES[kind]}",
            hint="leave --input_format out",
        )
    return found


def _check_readable(path: Path) -> None:
    try:
        if not path.exists():
            if path.is_symlink():
                path.stat()  # says what is wrong with the link
            raise UsageError(f"{path} does not exist")
        if not path.is_dir() and not path.is_file():
            raise UsageError(f"{path} is not a regular file")
        if path.is_file():
            path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{str(path)!r} is not a file name") from error


def _format_of_folder(path: Path) -> str:
    if (path / "saved_model.pb").exists() or (path / "saved_model.pbtxt").exists():
        return "saved_model"
    inside = sorted(p.name for p in path.iterdir() if p.suffix in (".pb", ".pbtxt", ".tflite"))
    raise FormatError(
        f"{path} is a folder without saved_model.pb",
        hint=f"it holds {', '.join(inside[:5])}: name the file" if inside else KNOWN,
    )


def _format_of_archive(path: Path, head: bytes) -> str:
    if head.startswith(HDF5):
        return "keras"
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
    except zipfile.BadZipFile as error:
        raise FormatError(f"{path} is a damaged zip archive: {error}") from error
    if {"config.json", "metadata.json"} & members:
        return "keras"
    if any(name.endswith("data.pkl") for name in members):
        raise FormatError(f"{path} is a PyTorch file", hint="export the model to ONNX")
    raise FormatError(f"{path} is a zip archive without a model", hint="unpack it first")


def _refuse_strangers(path: Path, head: bytes) -> None:
    for start, what, advice in STRANGERS:
        if head.lower().startswith(start.lower()):
            raise FormatError(f"{path} is {what}", hint=advice or KNOWN)
    start = head[2:64]
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if marked and start.count(0) >= len(start) // 2:  # ASCII characters have a zero byte each
        raise FormatError(f"{path} is text in UTF-16", hint="save it as UTF-8")


_COMMENT_OR_SPACE = re.compile(rb"(?:\s+|#[^\n]*\n)*")
_FIELD = re.compile(rb"(\w+)\s*[:{<]")


def _format_of_text(path: Path, head: bytes) -> str:
    start = _COMMENT_OR_SPACE.match(head)
    found = _FIELD.match(head, start.end() if start else 0)
    kind = TEXT_FIELDS.get(found[1].decode("ascii", "replace")) if found else None
    if kind is None:
        raise FormatError(f"{path} is text, but no GraphDef", hint=KNOWN)
    return kind


def _format_of_protobuf(path: Path, file: BinaryIO) -> str:
    """Tell the messages apart by their outermost fields."""
    numbers: dict[int, Field] = {}
    try:
        for field in fields(file, path.stat().st_size):
            numbers.setdefault(field.number, field)
    except FormatError as error:
        if not numbers:
            raise FormatError(f"{path} is no model in a known format", hint=KNOWN) from error
        kind = NAMES.get(_kind(numbers, file) or "", "a model")
        raise FormatError(
            f"{path} looks like {kind}, but {error.message}", hint="copy or download it again"
        ) from error
    found = _kind(numbers, file)
    if found is None:
        raise FormatError(f"{path} is no model in a known format", hint=KNOWN)
    return found


VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def _kind(numbers: dict[int, Field], file: BinaryIO) -> str | None:
    """Return the format whose outermost fields these are, or None.

    SavedModel {1: number, 2: graphs}; ONNX {1: number, 7: graph, …}; MetaGraphDef {1: info,
    2: graph, …}; GraphDef {1: nodes, 2: library, 3: number, 4: versions}.
    """
    types = {number: field.wire_type for number, field in numbers.items()}
    if types.get(1) == VARINT or 1 not in types:
        if types.get(7) == BYTES:
            return "onnx"
        if types.get(2) == BYTES and set(types) <= {1, 2}:
            return "saved_model"
    if set(types) <= {1, 2, 3, 4} and types.get(3, VARINT) == VARINT and types.get(1) == BYTES:
        return "graphdef" if _is_node(file, numbers[1]) else "meta_graph" if 2 in types else None
    if types.get(2) == BYTES and set(types) <= set(range(1, 8)) and types.get(1, BYTES) == BYTES:
        return "meta_graph"
    return "graphdef" if set(types) <= {2, 3, 4} and types.get(4) == BYTES else None


def _is_node(file: BinaryIO, field: Field) -> bool:
    """Whether a field's content is a NodeDef: a name, then an operator that is an identifier."""
    end = field.start + field.size
    for inner in fields(file, end, field.start):
        if inner.number == 2 and inner.wire_type == BYTES:
            file.seek(inner.start)
            return re.fullmatch(rb"[A-Za-z_][\w>]*", file.read(min(inner.size, 200))) is not None
        if inner.number > 2:
            return False
    return False


def fields(file: BinaryIO, end: int, start: int = 0) -> Iterator[Field]:
    """Yield the fields of a message that lies at [start, end); FormatError where it is none."""
    position = start
    while position < end:
        tag, position = _varint(file, position, end)
        number, wire_type = tag >> 3, tag & 7
        size = 0
        if wire_type == VARINT:
            begin = position
            _, position = _varint(file, position, end)
        elif wire_type == BYTES:
            size, begin = _varint(file, position, end)
            position = begin + size
        elif wire_type in (FIXED64, FIXED32):
            begin, position = position, position + (8 if wire_type == FIXED64 else 4)
        else:
            raise FormatError(f"byte {position} belongs to no field")
        if position > end:
            raise FormatError(f"it ends after {end} bytes where {position} are needed")
        if number == 0:
            raise FormatError(f"byte {begin} belongs to no field")
        yield Field(number, wire_type, begin, size)


def _varint(file: BinaryIO, position: int, end: int) -> tuple[int, int]:
    """Read a number of at most 10 bytes; return it and the position behind it."""
    file.seek(position)
    value = 0
    for count, byte in enumerate(file.read(min(10, end - position))):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise FormatError(f"byte {position} starts no number")
