"""Flexbuffers: the options of custom operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flatbuffers import flexbuffers


def flex_map(values: Mapping[str, Any]) -> bytes:
    """Return a flexbuffer map, from which custom operators read their options, as TOCO wrote it.

    It holds strings, numbers, truth values, and lists of the first two, by name; other values are
    left out, and where there are no more it is nothing.
    """
    kept = {name: values[name] for name in sorted(values) if _is_plain(values[name])}
    return _written(kept) if kept else b""


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and not isinstance(value[0], bool) and _is_plain(value[0])
    return isinstance(value, str | bytes | int | float)


def _written(values: Mapping[str, Any]) -> bytes:
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in values.items():
            builder.Key(key.encode())
            if isinstance(value, list):
                with builder.TypedVector():
                    for item in value:
                        _add_flex(builder, item)
            else:
                _add_flex(builder, value)
    return bytes(builder.Finish())


def _add_flex(builder: Any, value: Any) -> None:
    if isinstance(value, bytes):
        # A string that is no UTF-8: Builder.String cannot write it, and readers ask for a string.
        builder._WriteBlob(value, append_zero=True, type_=flexbuffers.Type.STRING)
    else:
        builder.Add(value)
