"""Options of an operator: our dict with enum members by name <-> the table that a file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from tqconv.errors import InternalError, UnsupportedError, suggestion
from tqconv.ir.graph import Op
from tqconv.schema.flatbuf import enum_number, fields, options_table, tflite

SUBGRAPHS = {
    "IF": ("then_subgraph_index", "else_subgraph_index"),
    "WHILE": ("cond_subgraph_index", "body_subgraph_index"),
    "CALL_ONCE": ("init_subgraph_index",),
    "CALL": ("subgraph",),
}
"""Options that name a subgraph; in an `Op` these are its `graphs`, in this order."""

ROLES = {
    "IF": ("then", "else"),
    "WHILE": ("condition", "body"),
    "CALL_ONCE": ("start-up",),
    "CALL": ("callee",),
}
"""What the graphs of an operator are to it, in the same order, for people."""

CUSTOM_OPTIONS = frozenset({"custom_code", "custom_options", "takes_integers", "makes_reals"})


@cache
def option_names(type: str) -> frozenset[str]:
    """Return the names of the options that an operator of this type has."""
    if type == "CUSTOM":
        return CUSTOM_OPTIONS
    table = options_table(type)
    return frozenset(fields(table)) if table else frozenset()


@cache
def default_options(type: str) -> Mapping[str, Any]:
    """Return what the schema says of options that a file leaves out, enum members by name."""
    table = None if type == "CUSTOM" else options_table(type)
    if table is None:
        return {}
    return decode(table, {name: field.default for name, field in fields(table).items()})


def check_names(type: str, options: Iterable[str]) -> None:
    """Raise InternalError for an option that the operator does not have."""
    names = option_names(type)
    for name in options:
        if name not in names:
            raise InternalError(
                f"{type} has no option `{name}`{suggestion(name, names)}; it has {sorted(names)}"
            )


def check_values(type: str, options: Mapping[str, Any]) -> None:
    """Raise UnsupportedError for a word or a number that the file has no room for."""
    table = None if type == "CUSTOM" or not options else options_table(type)
    if table is None:
        return
    declared, enums = fields(table), tflite().enums
    for name, value in options.items():
        kind = declared[name]
        if kind.type in enums and isinstance(value, str):
            if value not in enums[kind.type]:
                words = ", ".join(sorted(enums[kind.type]))
                raise UnsupportedError(f"`{name}` is `{value}`, which is none of {words}")
        elif kind.code in INTEGERS:
            least, most = LIMITS[kind.code]
            numbers = np.asarray(value).reshape(-1) if kind.vector else [value]
            for number in numbers:
                if not least <= int(number) <= most:
                    raise UnsupportedError(f"`{name}` cannot be {number}")


INTEGERS = {code: np.dtype("=" + code) for code in "bBhHiIqQ"}
"""Format character of a field -> the integers that it holds."""
LIMITS = {
    code: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) for code, dtype in INTEGERS.items()
}


def encode(op: Op) -> tuple[str, dict[str, Any]] | None:
    """Return an operator's options table and its fields as numbers; None where it has no table."""
    table = options_table(op.type)
    if table is None:
        return None
    schema = tflite()
    declared = fields(table)
    encoded = {}
    for name, value in op.options.items():
        if name not in declared:
            raise InternalError(f"{op.type} has no option `{name}`", where=op.source)
        enum = declared[name].type
        encoded[name] = (
            enum_number(schema, enum, value)
            if enum in schema.enums and isinstance(value, str)
            else value
        )
    return table, encoded


@cache
def _members(enum: str) -> dict[int, str]:
    return {number: name for name, number in tflite().enums[enum].items()}


def decode(table: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an options table with enum members by name."""
    declared = fields(table)
    enums = tflite().enums
    return {
        name: _members(declared[name].type).get(value, value)
        if declared[name].type in enums
        else value
        for name, value in values.items()
    }
