"""Which format a file has, by its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UnsupportedError
from tqconv.ir.graph import Model

Importer = Callable[[Path, LoadOptions], Model]

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
TFLITE = b"TFL3"


def format_of(path: Path) -> str:
    """Return the name of a file's format; FormatError when it is none that tqconv knows."""
    if path.is_dir():
        if (path / "saved_model.pb").exists() or (path / "saved_model.pbtxt").exists():
            return "saved_model"
        raise FormatError(f"{path} is a folder without saved_model.pb")
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise FormatError(f"{path} is empty")
    if start[4:8] == TFLITE:
        return "tflite"
    if start.startswith(HDF5) or start.startswith(ZIP):
        return "keras"
    if path.name in ("saved_model.pb", "saved_model.pbtxt"):
        return "saved_model"
    if _looks_like_onnx(start):
        return "onnx"
    return "graphdef"


def _looks_like_onnx(start: bytes) -> bool:
    """An ONNX ModelProto starts with field 1 (ir_version, a small varint), a GraphDef with a node."""
    return (
        len(start) > 2
        and start[0] == 0x08
        and 0 < start[1] < 0x20
        and start[2] in (0x12, 0x1A, 0x3A, 0x42)
    )


def importer_of(path: Path, name: str | None) -> Importer:
    """Return the importer for a file; `name` overrides what its content says."""
    kind = format_of(path) if name is None else name
    if kind == "graphdef":
        from tqconv.importers.tf import graphdef

        return graphdef.load
    if kind == "tflite":
        from tqconv.importers import tflite

        return tflite.load
    raise UnsupportedError(f"{path} is a model in the format `{kind}`, which is not supported yet")
