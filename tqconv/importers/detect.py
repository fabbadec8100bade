"""Which format a file has, by its content."""

from __future__ import annotations

import codecs
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tqconv.errors import FormatError, UsageError, absent
from tqconv.importers import strangers
from tqconv.importers.strangers import KNOWN
from tqconv.schema.files import without_mark
from tqconv.untrusted import reading

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
TFLITE = b"TFL3"
HEAD = 4096
"""Bytes that are enough to recognise every format but a binary protobuf."""

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
    """A field of a message of a binary protobuf; `size` is 0 for numbers.

    tag, start, end: where the field, its value and the next field begin.
    """

    number: int
    wire_type: int
    start: int
    size: int
    tag: int = 0
    end: int = 0


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
            raise FormatError(
                f"{path} is empty", hint="what should have written it failed; run that again"
            )
        if head[4:8] == TFLITE:
            return "tflite"
        if head.startswith((HDF5, ZIP)):
            return _format_of_archive(path, head)
        _refuse_utf16(path, head)
        strangers.refuse(path, head, is_text(head) and _text_kind(head) is None)
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
            raise absent(path)
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
    raise strangers.folder_error(path)


def _format_of_archive(path: Path, head: bytes) -> str:
    if head.startswith(HDF5):
        return "keras"
    import zipfile

    with reading(f"{path} is a damaged zip archive"), zipfile.ZipFile(path) as archive:
        members = set(archive.namelist())
    if {"config.json", "metadata.json"} & members:
        return "keras"
    raise strangers.archive_error(path, members)


def _refuse_utf16(path: Path, head: bytes) -> None:
    start = head[2:64]
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if marked and start.count(0) >= len(start) // 2:  # ASCII characters have a zero byte each
        raise FormatError(f"{path} is text in UTF-16", hint="save it as UTF-8")


_COMMENT_OR_SPACE = re.compile(rb"(?:\s+|#[^\n]*\n)*")
_FIELD = re.compile(rb"(\w+)\s*[:{<]")


def _text_kind(head: bytes) -> str | None:
    """Return the format whose text form begins so, or None."""
    start = _COMMENT_OR_SPACE.match(head)
    found = _FIELD.match(head, start.end() if start else 0)
    return TEXT_FIELDS.get(found[1].decode("ascii", "replace")) if found else None


def _format_of_text(path: Path, head: bytes) -> str:
    kind = _text_kind(head)
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
        types = {number: field.wire_type for number, field in numbers.items()}
        raise strangers.message_error(path, types, lambda n: _begin(file, numbers[n]))
    return found


def _begin(file: BinaryIO, field: Field) -> bytes:
    """Return the first bytes of a field's content."""
    file.seek(field.start)
    return file.read(min(field.size, NAME_LENGTH))


NAME_LENGTH = 64
"""Bytes that tell a name from a message."""


VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def _kind(numbers: dict[int, Field], file: BinaryIO) -> str | None:
    """Return the format whose outermost fields these are, or None.

    SavedModel {1: number, 2: graphs}; ONNX {1: number, 7: graph, …}; MetaGraphDef {1: info,
    2: graph, …}; GraphDef {1: nodes, 2: library, 3: number, 4: versions}.
    """
    types = {number: field.wire_type for number, field in numbers.items()}
    if types.get(1) == BYTES and strangers.is_name(_begin(file, numbers[1])):
        return None
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
    try:
        for inner in fields(file, end, field.start):
            if inner.number == 2 and inner.wire_type == BYTES:
                file.seek(inner.start)
                op = file.read(min(inner.size, 200))
                return re.fullmatch(rb"[A-Za-z_][\w>]*", op) is not None
            if inner.number > 2:
                return False
    except FormatError:
        return False  # no message at all
    return False


def fields(file: BinaryIO | mmap.mmap, end: int, start: int = 0) -> Iterator[Field]:
    """Yield the fields of a message that lies at [start, end); FormatError where it is none."""
    position = start
    while position < end:
        first = position
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
        yield Field(number, wire_type, begin, size, first, position)


def _varint(file: BinaryIO | mmap.mmap, position: int, end: int) -> tuple[int, int]:
    """Read a number of at most 10 bytes; return it and the position behind it."""
    file.seek(position)
    value = 0
    for count, byte in enumerate(file.read(min(10, end - position))):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise FormatError(f"byte {position} starts no number")
