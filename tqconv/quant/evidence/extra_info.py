"""TOCO's file of ranges by array name, as a protocol buffer in binary or text form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqconv.config import ArrayRange
from tqconv.errors import FormatError, UnsupportedError, suggestion
from tqconv.ir.types import Range
from tqconv.patterns import check_count, matcher
from tqconv.schema import proto
from tqconv.schema.files import without_mark
from tqconv.untrusted import read_file

BITS = {"IO_DATA_TYPE_UNKNOWN": 8, "FLOAT": 8, "QUANTIZED_UINT8": 8, "QUANTIZED_INT16": 16}
"""Data type of an entry -> bits of the integer; reals are stored as integers in any case."""


def read(path: Path) -> tuple[ArrayRange, ...]:
    """Return the entries of a file in order.

    Raises UsageError where the file cannot be read, FormatError where it or an entry is wrong,
    UnsupportedError for entries that say something else than a range.
    """
    content = without_mark(read_file(path))
    kinds = proto.messages("toco.proto")
    if content.lstrip().startswith((b"entries", b"#")):
        text = content.decode("utf-8", errors="replace")
        message = proto.parse_text(kinds.ArraysExtraInfo, text, str(path))
    else:
        message = proto.parse_binary(kinds.ArraysExtraInfo, content, str(path))
    names = {number: name for name, number in kinds.IODataType.items()}
    found = tuple(
        _entry(entry, names.get(entry.data_type, ""), f"{path}, entry {index + 1}")
        for index, entry in enumerate(message.entries)
    )
    check_count(sum(bool(entry.pattern) for entry in found), str(path))
    labels: set[tuple[str, str]] = set()
    for index, entry in enumerate(found):
        if (entry.name, entry.pattern) in labels:
            where = f"{path}, entry {index + 1}"
            raise FormatError(f"`{entry.name or entry.pattern}` has an entry already", where=where)
        labels.add((entry.name, entry.pattern))
    return found


def unknown_notes(said: Sequence[ArrayRange], names: Sequence[str]) -> list[str]:
    """Return a note for each entry that matches none of a model's arrays."""
    known = set(names)
    notes = []
    for entry in said:
        if re.sub(r":\d+$", "", entry.name) in known or entry.name in known:
            continue
        if entry.pattern and any(map(matcher(entry.pattern).matches, names)):
            continue
        near = suggestion(entry.name, names) if entry.name else ""
        notes.append(
            f"--arrays_extra_info_file: no array is named `{entry.name or entry.pattern}`{near}"
        )
    return notes


def _entry(entry: Any, data_type: str, where: str) -> ArrayRange:
    if not entry.name and not entry.name_regexp:
        raise FormatError("an entry has neither `name` nor `name_regexp`", where=where)
    if entry.HasField("shape"):
        raise UnsupportedError("`shape` is not supported", where=where, hint="use --input_shapes")
    if entry.HasField("constant_float_value"):
        hint = "put a constant in the place of an array with --set_input NAME=VALUE"
        raise UnsupportedError("`constant_float_value` is not supported", where=where, hint=hint)
    if not (entry.HasField("min") and entry.HasField("max")):
        raise FormatError("`min` and `max` go together, and an entry needs both", where=where)
    if not entry.min <= entry.max:
        raise FormatError(f"min {entry.min} and max {entry.max} are not a range", where=where)
    if data_type not in BITS:
        raise UnsupportedError(f"`data_type: {data_type}` is not supported", where=where)
    matcher(entry.name_regexp, where)
    bits = BITS[data_type]
    known = Range(entry.min, entry.max, "user", "--arrays_extra_info_file", bits)
    return ArrayRange(entry.name, entry.name_regexp, known)
