"""Our schema text against LiteRT's own binding: slots, types, defaults, enum members."""

import re

import numpy as np
import pytest

from tqconv.schema import fbs, flatbuf
from tqconv.schema.layout import layouts

binding = pytest.importorskip("ai_edge_litert.schema_py_generated")

SCHEMA = flatbuf.tflite()
CODES = {
    **{"Bool": "?", "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i"},
    **{"Uint32": "I", "Int64": "q", "Uint64": "Q", "Float32": "f", "Float64": "d"},
}


class Recorder:
    """Stands in for a flatbuffers.Builder; keeps what it is asked to do."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, arguments))


def recorded(function):
    recorder = Recorder()
    function(recorder, 7)
    return recorder.calls[0]


def classes():
    return {name: c for name, c in vars(binding).items() if isinstance(c, type)}


def binding_tables():
    return {name for name, c in classes().items() if hasattr(c, "GetRootAs")}


def binding_enums():
    named = {
        name: {m: v for m, v in vars(c).items() if isinstance(v, int) and m[0] != "_"}
        for name, c in classes().items()
        if not hasattr(c, "GetRootAs") and not hasattr(c, "InitFromBuf")
    }
    return {name: members for name, members in named.items() if members}


def owned(pattern):
    """Functions of the binding whose name is table, then `pattern`; the group names a field."""
    tables = sorted(binding_tables(), key=len, reverse=True)
    for name, function in vars(binding).items():
        for table in tables:
            match = re.fullmatch(table + pattern, name)
            if match:
                yield table, match[1], function
                break


def fold(name):
    return name.replace("_", "").lower()


def ours():
    """(table, slot) -> (folded name, format character or "" for a reference, default)."""
    found = {}
    for table in SCHEMA.tables.values():
        for field in table.fields:
            if field.deprecated:
                continue
            inline = field.kind == "scalar" and not field.vector
            code = field.code if inline else ""
            found[table.name, field.slot] = (fold(field.name), code, field.default if inline else 0)
            if field.kind == "union":
                found[table.name, field.slot - 1] = (fold(field.name) + "type", "B", 0)
    return found


def test_the_same_tables():
    assert set(SCHEMA.tables) == binding_tables()


def test_the_same_enums_and_unions():
    assert SCHEMA.enums | SCHEMA.unions == binding_enums()


def test_the_same_slots_types_and_defaults():
    theirs = {}
    for table, name, function in owned("Add([A-Z].*)"):
        call, (slot, _, default) = recorded(function)
        kind = re.fullmatch("Prepend(.*)Slot", call)[1]
        theirs[table, slot] = (fold(name), CODES.get(kind, ""), default)
    assert len(theirs) > 300
    assert ours() == theirs


def test_the_same_element_sizes():
    theirs = {}
    for table, name, function in owned("Start([A-Z].*)Vector"):
        _, (size, _, _) = recorded(function)
        theirs[table, fold(name)] = size
    sizes = {
        (table, fold(name)): slot.dtype.itemsize if slot.field.kind == "scalar" else 4
        for table, layout in layouts(SCHEMA).items()
        for name, slot in layout.by_name.items()
        if slot.field.vector
    }
    assert sizes == theirs


def test_the_same_vector_types():
    """The binding reads every scalar vector that we write, element for element."""
    for table, layout in layouts(SCHEMA).items():
        for name, slot in layout.by_name.items():
            if not slot.field.vector or slot.field.kind != "scalar":
                continue
            values = np.array([1, 0, 1], slot.dtype)
            pascal = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
            read = getattr(_read_as(table, {name: values}), pascal + "AsNumpy")()
            assert read.dtype == slot.dtype, (table, name)
            np.testing.assert_array_equal(read, values)


def _read_as(table, values):
    schema = fbs.Schema(SCHEMA.enums, SCHEMA.unions, SCHEMA.tables, {}, table, SCHEMA.identifier)
    return getattr(binding, table).GetRootAs(bytearray(flatbuf.write(values, schema)))
