"""Flexbuffers: the options of custom operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flatbuffers import flexbuffers


def flex_map(values: Mapping[str, Any]) -> bytes:
    """A flexbuffer map by name of: bool, int, float, str or bytes, or lists of one of them.

    Custom operators of LiteRT read their options from it.
    """
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
